import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.constraints.admm import Admm, AdmmPenalty
from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.objective import Task
from mia_pruning.types import StudyError

SET = Cardinality(compression=4)


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 5)).to(
        memory_format=torch.channels_last
    )


def move_(model, seed):
    """Other weights, as a training epoch would leave them."""
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=rng))


def copied(state):
    return {name: value.clone() for name, value in state.items()}


def test_it_finds_the_known_sparse_solution_of_a_quadratic():
    """min ||W - A||^2 / 2 with 5 non-zero weights: the 5 largest entries of A, the others 0, from any start."""
    rng = torch.Generator().manual_seed(0)
    wanted = torch.randn(5, 4, generator=rng, dtype=torch.float64)
    model = nn.Linear(4, 5, bias=False, dtype=torch.float64)
    nn.init.normal_(model.weight, generator=rng)
    penalty = Admm(rho=(0.5, 1.0, 2.0), epochs=60).start(
        Task(model, None, 1), Cardinality(compression=4), None
    )
    for epoch in range(60):
        for _ in range(80):
            model.weight.grad = model.weight.detach() - wanted
            penalty.on_gradients()
            with torch.no_grad():
                model.weight -= 0.3 * model.weight.grad
        penalty.on_epoch(epoch)
    solution = torch.where(wanted.abs() >= wanted.abs().flatten().topk(5).values.min(), wanted, 0.0)
    torch.testing.assert_close(model.weight.detach(), solution, atol=1e-6, rtol=0)
    assert torch.equal(penalty.masks()["weight"], solution != 0)
    rows = penalty.residuals["weight"]
    assert rows[-1][2] < 1e-6
    assert rows[-1][3] < 1e-6
    assert rows[0][2] > 0.1


def test_the_penaltys_gradient_equals_autograd():
    model = network()
    penalty = AdmmPenalty(model, SET, [0.7, 0.7])
    move_(model, 1)
    penalty.on_epoch(0)  # so that U is not zero
    move_(model, 2)
    images = torch.randn(6, 3, 4, 4)
    loss = model(images).square().mean()
    loss.backward()
    penalty.on_gradients()
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    distances = [
        (w - penalty.z[name] + penalty.u[name]).square().sum()
        for name, w in prunable_weights(model).items()
    ]
    (model(images).square().mean() + 0.7 / 2 * sum(distances)).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad)
    assert all(penalty.u[name].abs().max() > 0.01 for name in penalty.u)


def test_one_epoch_takes_the_steps_of_the_scaled_form_and_measures_the_residuals():
    model = network()
    penalty = AdmmPenalty(model, SET, [0.3, 0.3])
    move_(model, 1)
    penalty.on_epoch(0)
    z_before, u_before = copied(penalty.z), copied(penalty.u)
    move_(model, 2)
    penalty.on_epoch(1)
    for name, parameter in prunable_weights(model).items():
        weight = parameter.detach()
        pulled = weight + u_before[name]
        z = (
            pulled
            * SET.masks({n: p.detach() + u_before[n] for n, p in prunable_weights(model).items()})[
                name
            ]
        )
        assert torch.equal(penalty.z[name], z)
        torch.testing.assert_close(penalty.u[name], u_before[name] + weight - z)
        primal, dual = (weight - z).norm(), 0.3 * (z - z_before[name]).norm()
        wanted = [2, 0.3, float(primal), float(dual), float(weight.norm())]
        assert penalty.residuals[name][1] == pytest.approx(wanted, rel=1e-5)
        assert dual > 0.01


def test_z_has_exactly_the_budget_from_the_start():
    model = network()
    penalty = AdmmPenalty(model, SET, [0.3])
    budgets = SET.budgets(
        {name: tuple(weight.shape) for name, weight in prunable_weights(model).items()}
    )
    assert {name: int(z.count_nonzero()) for name, z in penalty.z.items()} == budgets
    assert all(not u.any() for u in penalty.u.values())


def test_the_dual_residual_is_zero_when_z_does_not_move():
    model = network()
    masks = SET.masks({name: weight.detach() for name, weight in prunable_weights(model).items()})
    with torch.no_grad():
        for name, weight in prunable_weights(model).items():
            weight *= masks[name]
    penalty = AdmmPenalty(model, SET, [0.3])
    penalty.on_epoch(0)
    for rows in penalty.residuals.values():
        assert rows[0][2:4] == [0.0, 0.0]


def test_a_rising_rho_rescales_u_so_that_the_multiplier_stays():
    """rho U is the unscaled multiplier, whatever the scale."""
    rising, level = (AdmmPenalty(network(), SET, schedule) for schedule in ([0.1, 0.4], [0.1, 0.1]))
    for penalty in (rising, level):
        with torch.no_grad():
            for weight in penalty.weights.values():
                weight.mul_(1.3)
        penalty.on_epoch(0)
    assert (rising.rho, level.rho) == (0.4, 0.1)
    for name, u in level.u.items():
        torch.testing.assert_close(rising.u[name], u / 4)
        assert rising.residuals[name] == level.residuals[name]  # measured before the rise


def test_the_last_epoch_keeps_rho():
    penalty = AdmmPenalty(network(), SET, [0.1, 0.4])
    penalty.on_epoch(0)
    penalty.on_epoch(1)
    assert penalty.rho == 0.4
    assert [row[1] for row in next(iter(penalty.residuals.values()))] == [0.1, 0.4]


@pytest.mark.parametrize(
    ("rho", "epochs", "step_epochs", "wanted"),
    [
        ((0.1, 0.2, 0.3), 6, 1, [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]),
        ((0.1, 0.2, 0.3), 7, 1, [0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3]),
        ([0.1], 2, 1, [0.1, 0.1]),
        ([0.1, 0.2, 0.3], 3, 1, [0.1, 0.2, 0.3]),
        ([0.1, 0.2, 0.3], 8, 2, [0.1, 0.1, 0.1, 0.1, 0.2, 0.2, 0.3, 0.3]),
        ([0.1, 0.2], 5, 3, [0.1, 0.1, 0.1, 0.2, 0.2]),
    ],
)
def test_each_rho_gets_an_equal_share_of_the_steps(rho, epochs, step_epochs, wanted):
    solver = Admm(rho=rho, epochs=epochs, step_epochs=step_epochs)
    penalty = solver.start(Task(network(), None, 1), SET, np.random.default_rng(0))
    assert penalty.rho_schedule == wanted
    assert penalty.rho == wanted[0]


def test_z_and_u_step_after_each_w_step_and_after_the_last_epoch():
    model = network()
    penalty = Admm(rho=[0.3], epochs=5, step_epochs=2).start(
        Task(model, None, 1), SET, np.random.default_rng(0)
    )
    stepped = []
    for epoch in range(5):
        before = copied(penalty.u)
        move_(model, epoch)
        penalty.on_epoch(epoch)
        stepped.append(any(not torch.equal(u, before[name]) for name, u in penalty.u.items()))
    assert stepped == [False, True, False, True, True]
    assert all([row[0] for row in rows] == [2, 4, 5] for rows in penalty.residuals.values())


@pytest.mark.parametrize(
    ("rho", "epochs", "step_epochs", "n_steps"),
    [([0.1, 0.2, 0.3], 2, 1, 2), ((0.1, 0.2), 1, 1, 1), ([0.1, 0.2, 0.3], 6, 3, 2)],
)
def test_a_rho_that_would_get_no_step_is_refused(rho, epochs, step_epochs, n_steps):
    with pytest.raises(StudyError) as refused:
        Admm(rho=rho, epochs=epochs, step_epochs=step_epochs)
    wanted = (
        f"rho = {list(rho)}: {len(rho)} values for {n_steps} W-steps ({epochs} epochs, step_epochs {step_epochs}); "
        "allowed is at most one a step"
    )
    assert str(refused.value) == wanted


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_restored_state_goes_on_identically(done):
    schedule = [0.1, 0.1, 0.3, 0.3, 0.9]
    model = network()
    penalty = AdmmPenalty(model, SET, schedule)
    for epoch in range(done):
        move_(model, epoch)
        penalty.on_epoch(epoch)
    saved, weights = copied(penalty.state()), copied(model.state_dict())
    other = network(seed=9)
    restored = AdmmPenalty(other, SET, schedule)
    other.load_state_dict(weights)
    restored.load_state(saved)
    for each_model, each in ((model, penalty), (other, restored)):
        for epoch in range(done, 5):
            move_(each_model, epoch)
            for parameter in each_model.parameters():
                parameter.grad = torch.ones_like(parameter)
            each.on_gradients()
            each.on_epoch(epoch)
    for name, value in penalty.state().items():
        assert torch.equal(restored.state()[name], value), name
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(one.grad, two.grad)


def test_loading_a_state_does_not_tie_the_solver_to_it():
    model = network()
    penalty = AdmmPenalty(model, SET, [0.1, 0.1])
    move_(model, 0)
    penalty.on_epoch(0)
    state = copied(penalty.state())
    kept = copied(state)
    penalty.load_state(state)
    move_(model, 1)
    penalty.on_epoch(1)
    for name, value in kept.items():
        assert torch.equal(state[name], value), name


def test_the_masks_are_the_projection_of_the_weights_themselves():
    model = network()
    penalty = AdmmPenalty(model, SET, [0.1])
    move_(model, 1)
    wanted = SET.masks({name: weight.detach() for name, weight in prunable_weights(model).items()})
    for name, mask in penalty.masks().items():
        assert torch.equal(mask, wanted[name])
