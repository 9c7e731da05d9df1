import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.constraints.gradual import GradualMagnitude, Narrowing, n_kept
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.objectives.erm import Erm
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.objective import Callback, Task

SET = Cardinality(keep={"0": 0.25, "3": 0.2})
SIZES, BUDGETS = {"0.weight": 72, "3.weight": 48}, {"0.weight": 18, "3.weight": 9}


def network(seed=0):
    torch.manual_seed(seed)
    layers = nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def trainer(epochs, watch=(), optimizer="adam", seed=0):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (32, 4, 4, 2), dtype=np.uint8), rng.integers(0, 3, 32)
    data = ResidentData(
        images, labels, mean=[127.0] * 2, deviation=[70.0] * 2, device=torch.device("cpu")
    )
    task = Task(network(seed), data, 8)
    callbacks = [GradualMagnitude(epochs=epochs).start(task, SET, rng), *watch]
    recipe = Recipe(8, optimizer, 0.05, 0.1, 0.9, "float32")
    return Trainer(task, Erm(), recipe, lambda epoch: np.random.default_rng(epoch), callbacks)


def n_nonzero(model):
    return {name: int(weight.count_nonzero()) for name, weight in prunable_weights(model).items()}


@given(n_weights=st.integers(1, 10**7), share=st.floats(0.0001, 1), epochs=st.integers(1, 200))
def test_the_schedule_never_rises_and_ends_at_exactly_the_budget(n_weights, share, epochs):
    budget = max(1, int(n_weights * share))
    counts = [n_kept(n_weights, budget, epoch / epochs) for epoch in range(epochs + 1)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (n_weights, budget)


def test_sparsity_is_that_of_equation_1():
    for update in range(11):
        sparsity = 0.9 + (0 - 0.9) * (1 - update / 10) ** 3
        assert n_kept(10**6, 10**5, update / 10) == round(10**6 * (1 - sparsity))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_each_epoch_ends_with_the_schedules_weights(optimizer):
    training = trainer(3, optimizer=optimizer)
    seen = []
    training.run(3, lambda t: seen.append(n_nonzero(t.model)))
    # 18 + 54 (8/27, 1/27, 0) and 9 + 39 (8/27, 1/27, 0), rounded
    assert seen == [{"0.weight": a, "3.weight": b} for a, b in [(34, 21), (20, 10), (18, 9)]]
    masks = training.callbacks[0].masks()
    assert all(
        torch.equal(masks[name], weight != 0)
        for name, weight in prunable_weights(training.model).items()
    )


def test_a_single_epoch_ends_in_the_set():
    training = trainer(1)
    training.run(1)
    assert n_nonzero(training.model) == BUDGETS


def test_the_smallest_weights_go_and_the_others_keep_their_values():
    model = network()
    narrowing = Narrowing(model, SET, 2)
    before = {name: weight.detach().clone() for name, weight in prunable_weights(model).items()}
    narrowing.on_epoch(0)
    for name, weight in prunable_weights(model).items():
        kept = weight != 0
        assert torch.equal(weight[kept], before[name][kept])
        assert before[name][kept].abs().min() >= before[name][~kept].abs().max()
        assert int(kept.sum()) == n_kept(SIZES[name], BUDGETS[name], 0.5)


class Zeros(Callback):
    """Remembers which weights, and which gradients, were zero at each step."""

    def __init__(self):
        self.seen, self.gradients = [], []

    def on_gradients(self):
        self.gradients.append(
            {name: weight.grad == 0 for name, weight in prunable_weights(self.model).items()}
        )

    def on_step(self):
        self.seen.append(
            {name: weight.detach() == 0 for name, weight in prunable_weights(self.model).items()}
        )


def test_a_pruned_weight_is_zero_after_every_later_step():
    watch = Zeros()
    training = trainer(4, [watch])
    watch.model = training.model
    training.run(4)
    assert len(watch.seen) == 16
    for one, after, gradients in zip(watch.seen, watch.seen[1:], watch.gradients[1:], strict=False):
        assert all(
            after[name][zero].all() and gradients[name][zero].all() for name, zero in one.items()
        )
    assert watch.seen[0]["0.weight"].sum() == 0
    assert watch.seen[4]["0.weight"].sum() > 0


def test_masks_lie_within_those_before_though_kept_weights_are_zero():
    model = network()
    narrowing = Narrowing(model, SET, 3)
    narrowing.on_epoch(0)
    before = {name: mask.clone() for name, mask in narrowing.state().items()}
    with torch.no_grad():
        for weight in prunable_weights(model).values():
            weight.zero_()
    narrowing.on_epoch(1)
    for name, mask in narrowing.state().items():
        assert int(mask.sum()) == n_kept(SIZES[name], BUDGETS[name], 2 / 3)
        assert not (mask & ~before[name]).any()


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_restored_state_goes_on_to_the_same_bits(done):
    whole, killed, resumed = trainer(4), trainer(4), trainer(4, seed=9)
    whole.run(4)
    killed.run(done, schedule_epochs=4)
    resumed.load_state({name: value.clone() for name, value in killed.state().items()})
    resumed.run(4)
    state = resumed.state()
    assert state.keys() == whole.state().keys()
    assert all(
        torch.equal(value.nan_to_num(-1), state[name].nan_to_num(-1))
        for name, value in whole.state().items()
    )


def test_a_resumed_run_keeps_pruned_weights_at_zero_within_its_first_epoch():
    killed = trainer(4)
    killed.run(2)
    watch = Zeros()
    resumed = trainer(4, [watch], seed=9)
    watch.model = resumed.model
    resumed.load_state(killed.state())
    zero = {name: weight.detach() == 0 for name, weight in prunable_weights(resumed.model).items()}
    resumed.run(3)
    assert all(seen[name][zero[name]].all() for seen in watch.seen for name in zero)
