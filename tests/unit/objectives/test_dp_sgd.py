import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from opacus.accountants import PRVAccountant, RDPAccountant
from torch import nn

from mia_pruning import registry
from mia_pruning.constraints.admm import Admm
from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.objectives.dp_sgd import DpSgd, n_steps
from mia_pruning.training.data import ResidentData
from mia_pruning.training.masking import KeepMasked
from mia_pruning.training.objective import Plan, Task
from mia_pruning.types import StudyError

ACCOUNTANTS = {"rdp": RDPAccountant, "prv": PRVAccountant}
MODELS = {
    "lenet5": {"channels": [2, 3], "hidden": 8},
    "vgg16": {"width": 0.05},
    "resnet18": {"width": 0.05},
    "mobilenet_v2": {"width": 0.1},
}
QUIET = 1e-9


def spent(*rows):
    return {"spent": torch.tensor(rows, dtype=torch.float64)}


def accounted(kind, rows, delta):
    """epsilon by Opacus' accountant told of one step after the other."""
    accountant = ACCOUNTANTS[kind]()
    for noise, rate, steps in rows:
        for _ in range(steps):
            accountant.step(noise_multiplier=noise, sample_rate=rate)
    return accountant.get_epsilon(delta)


def private_gradients(pursuit, images, labels):
    """What one step of the pursuit leaves for the optimiser, by parameter name."""
    model = pursuit.task.model
    model.train()
    loss, _ = pursuit.loss(images, labels)
    model.zero_grad(set_to_none=True)
    pursuit.backward(loss)
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def started(objective, model, data, batch_size):
    pursuit = objective.start(Task(model, data, batch_size, 3))
    pursuit.attach(torch.optim.SGD(model.parameters(), lr=0.1))
    return pursuit


def clipped_sum(model, images, labels, clip):
    """One example after the other: its gradient, shortened to the length clip if it is longer."""
    total = {name: torch.zeros_like(parameter) for name, parameter in model.named_parameters()}
    norms = []
    for image, label in zip(images, labels, strict=True):
        loss = nn.functional.cross_entropy(model(image[None]), label[None])
        gradients = dict(
            zip(total, torch.autograd.grad(loss, list(model.parameters())), strict=True)
        )
        norms.append(
            math.sqrt(sum(float(gradient.square().sum()) for gradient in gradients.values()))
        )
        for name, gradient in gradients.items():
            total[name] += gradient * min(1.0, clip / norms[-1])
    return total, norms


@pytest.mark.parametrize("kind", ACCOUNTANTS)
@pytest.mark.parametrize(
    "rows",
    [
        [(4.0, 0.1, 30)],
        [(4.0, 0.1, 30), (4.0, 0.1, 12), (4.0, 0.1, 7)],
        [(0.8, 0.05, 20), (1.3, 0.2, 9), (2.0, 0.1, 5)],
    ],
    ids=["one phase", "three phases", "three different phases"],
)
def test_epsilon_is_opacus_own_of_all_steps_in_all_phases(kind, rows):
    found = DpSgd(noise=1.0, delta=1e-3, accountant=kind).guarantee(spent(*rows))
    assert found["epsilon"] == pytest.approx(accounted(kind, rows, 1e-3), rel=1e-6)
    assert found["delta"] == 1e-3
    assert [
        (phase["noise"], phase["sample_rate"], phase["steps"]) for phase in found["phases"]
    ] == rows


@pytest.mark.parametrize("kind", ACCOUNTANTS)
def test_the_curve_is_opacus_own_at_other_deltas_and_never_below_zero(kind):
    rows = [(1.0, 0.1, 30), (2.0, 0.1, 5)]
    curve = DpSgd(noise=1.0, delta=1e-3, accountant=kind).guarantee(spent(*rows))["curve"]
    found = {pair["delta"]: pair["epsilon"] for pair in curve}
    assert found[1e-6] == pytest.approx(accounted(kind, rows, 1e-6), rel=1e-6)
    assert list(found.values()) == sorted(found.values())
    little = DpSgd(noise=20.0, delta=1e-3, accountant=kind).guarantee(spent((20.0, 0.01, 2)))[
        "curve"
    ]
    assert little[0] == {"epsilon": 0.0, "delta": 0.3}


def test_a_promise_that_no_audit_reaches_has_no_curve():
    found = DpSgd(noise=0.1, delta=1e-3, accountant="rdp").guarantee(spent((0.1, 0.5, 100)))
    assert found["epsilon"] > 50
    assert found["curve"] == []


@pytest.mark.parametrize("kind", ACCOUNTANTS)
def test_a_phase_without_epochs_spends_nothing(kind):
    objective = DpSgd(noise=4.0, delta=1e-3, accountant=kind)
    wanted = objective.guarantee(spent((4.0, 0.1, 50)))["epsilon"]
    assert wanted > 0.1
    for rows in (
        [(4.0, 0.1, 0), (4.0, 0.1, 50)],
        [(4.0, 0.1, 30), (4.0, 0.1, 0), (4.0, 0.1, 20)],
    ):
        assert objective.guarantee(spent(*rows))["epsilon"] == pytest.approx(wanted, rel=1e-6)


@pytest.mark.parametrize("kind", ACCOUNTANTS)
@pytest.mark.parametrize("epsilon", [0.5, 3.0])
def test_a_target_epsilon_is_nearly_spent_and_never_exceeded(kind, epsilon):
    objective = DpSgd(epsilon=epsilon, epochs=6, delta=1e-3, accountant=kind)
    noise = objective.noise_for(200, 16)
    found = objective.guarantee(spent((noise, 16 / 200, 6 * n_steps(200, 16))))["epsilon"]
    assert epsilon - 0.02 < found <= epsilon


def test_training_takes_the_steps_that_the_noise_was_chosen_for(make_trainer):
    training = make_trainer(DpSgd(epsilon=3.0, epochs=4, delta=1e-3))
    training.run(4)
    assert training.objective.guarantee(training.pursuit.tensors())["epsilon"] == pytest.approx(
        3.0, abs=0.02
    )
    again = make_trainer(
        DpSgd(epsilon=3.0, epochs=4, delta=1e-3), carried=training.pursuit.tensors()
    )
    again.run(2)
    noise = training.pursuit.noise
    assert again.pursuit.tensors()["spent"].tolist() == [[noise, 16 / 60, 16], [noise, 16 / 60, 8]]


def test_a_killed_training_counts_every_step_once(make_trainer):
    training = make_trainer(DpSgd(noise=1.0, delta=1e-3))
    training.run(2)
    resumed = make_trainer(DpSgd(noise=1.0, delta=1e-3))
    resumed.load_state(training.state())
    resumed.run(3)
    assert resumed.pursuit.tensors()["spent"].tolist() == [[1.0, 16 / 60, 3 * 4]]


@given(
    n=st.integers(1, 7),
    clip=st.floats(0.01, 5),
    channels=st.integers(1, 3),
    groups=st.sampled_from([1, 2]),
    stride=st.integers(1, 2),
    padding=st.integers(0, 2),
    memory_format=st.sampled_from([torch.channels_last, torch.contiguous_format]),
    seed=st.integers(0, 99),
)
def test_gradients_are_clipped_as_in_a_slow_loop_over_examples(
    n, clip, channels, groups, stride, padding, memory_format, seed
):
    torch.manual_seed(seed)
    width = 2 * channels
    size = (6 + 2 * padding - 3) // stride + 1
    layers = (
        nn.Conv2d(width, 4, 3, stride=stride, padding=padding, groups=groups),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(4 * size * size, 3),
    )
    model = nn.Sequential(*layers).to(memory_format=memory_format)
    images, labels = (
        torch.randn(n, width, 6, 6).contiguous(memory_format=memory_format),
        torch.randint(3, (n,)),
    )
    wanted, _ = clipped_sum(model, images, labels, clip)
    pixels = np.zeros((20, 6, 6, width), np.uint8)
    data = ResidentData(
        pixels,
        np.zeros(20),
        mean=[0.0] * width,
        deviation=[1.0] * width,
        device=torch.device("cpu"),
    )
    found = private_gradients(
        started(DpSgd(noise=QUIET, clip=clip), model, data, 5), images, labels
    )
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient / 5, rtol=2e-3, atol=1e-5 * clip + 1e-6)


def test_some_examples_are_clipped_and_some_are_not(examples, network):
    """What the loop above is compared on is no trivial case."""
    images, labels = examples(30).batch(np.arange(30))
    _, norms = clipped_sum(network(), images, labels, 1.0)
    clip = float(np.median(norms))
    wanted, _ = clipped_sum(network(), images, labels, clip)
    unclipped, _ = clipped_sum(network(), images, labels, math.inf)
    model = network()
    found = private_gradients(
        started(DpSgd(noise=QUIET, clip=clip), model, examples(30), 30), images, labels
    )
    for name, gradient in wanted.items():
        torch.testing.assert_close(found[name], gradient / 30, rtol=1e-3, atol=1e-6)
        assert not torch.allclose(gradient, unclipped[name])


@pytest.mark.parametrize(("noise", "clip", "batch_size"), [(1.0, 1.0, 10), (0.5, 4.0, 20)])
def test_the_noise_has_the_promised_deviation_where_no_example_speaks(
    examples, noise, clip, batch_size
):
    """An empty batch leaves noise alone: deviation noise x clip / expected batch size in every weight."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 300), nn.ReLU(), nn.Linear(300, 3))
    pursuit = started(DpSgd(noise=noise, clip=clip, delta=1e-3), model, examples(60), batch_size)
    drawn = private_gradients(pursuit, torch.zeros(0, 2, 6, 6), torch.zeros(0, dtype=torch.long))
    weights = drawn["1.weight"].flatten()
    assert float(weights.std()) == pytest.approx(noise * clip / batch_size, rel=0.03)
    assert abs(float(weights.mean())) < 4 * noise * clip / batch_size / math.sqrt(weights.numel())
    assert not torch.equal(
        weights,
        private_gradients(pursuit, torch.zeros(0, 2, 6, 6), torch.zeros(0, dtype=torch.long))[
            "1.weight"
        ],
    )


def test_the_same_noise_lies_on_a_batch_of_examples(examples, network):
    images, labels = examples(12).batch(np.arange(12))
    with_noise, without = (
        private_gradients(
            started(DpSgd(noise=noise, clip=0.5), network(1, 200), examples(12), 12), images, labels
        )
        for noise in (2.0, QUIET)
    )
    difference = torch.cat([(with_noise[name] - without[name]).flatten() for name in without])
    assert float(difference.std()) == pytest.approx(2.0 * 0.5 / 12, rel=0.03)


def test_training_outlives_empty_batches(make_trainer, examples):
    training = make_trainer(DpSgd(noise=1.0, delta=1e-3), data=examples(12), batch_size=1)
    sizes = [len(labels) for _, labels in training.pursuit.batches(training.epoch_stream(0))]
    assert 0 in sizes
    training.run(3)
    assert all(math.isfinite(value) for value in training.history[-1][1:3])
    assert training.pursuit.steps == 3 * 12


def test_batches_are_poisson_samples(make_trainer, examples):
    data = examples(60)
    data.labels = torch.arange(60)
    pursuit = make_trainer(DpSgd(noise=1.0, delta=1e-3), data=data).pursuit
    drawn = [
        labels.numpy()
        for epoch in range(400)
        for _, labels in pursuit.batches(np.random.default_rng(epoch))
    ]
    assert len(drawn) == 400 * n_steps(60, 16)
    assert all(len(np.unique(rows)) == len(rows) for rows in drawn)
    sizes = np.array([len(rows) for rows in drawn])
    rate = 16 / 60
    assert sizes.mean() == pytest.approx(16, abs=4 * math.sqrt(60 * rate * (1 - rate) / len(drawn)))
    assert sizes.var() == pytest.approx(60 * rate * (1 - rate), rel=0.2)
    counts = np.bincount(np.concatenate(drawn), minlength=60) / len(drawn)
    assert np.abs(counts - rate).max() < 5 * math.sqrt(rate * (1 - rate) / len(drawn))


def test_with_next_to_no_noise_and_no_clipping_a_step_on_all_members_is_erms(make_trainer, network):
    training = make_trainer(
        DpSgd(noise=QUIET, clip=100.0, delta=1e-3), batch_size=60, optimizer="sgd"
    )
    training.run(1)
    model = network()
    images, labels = training.task.data.batch(np.arange(60))
    nn.functional.cross_entropy(model(images), labels).backward()
    for one, other in zip(training.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other - 0.01 * other.grad, rtol=0, atol=1e-6)


def test_adam_steps_on_the_noised_gradients(make_trainer, network):
    """Adam's first step is the learning rate along the gradient's sign."""
    training = make_trainer(DpSgd(noise=1.0, delta=1e-3), batch_size=60)
    training.run(1)
    for before, after in zip(network().parameters(), training.model.parameters(), strict=True):
        step = 0.01 * after.grad / (after.grad.abs() + 1e-8)
        torch.testing.assert_close(after, before - step, rtol=0, atol=1e-6)


def test_the_penalty_and_the_masks_come_after_the_noise(make_trainer):
    """rho (W - Z + U) is post-processing: it is neither clipped nor does it count against the clipping of an example."""
    seen = {}

    class Recorder(Admm):
        def start(self, task, sparsity_set, rng):
            penalty = super().start(task, sparsity_set, rng)
            add = penalty.on_gradients

            def on_gradients():
                before = {name: weight.grad.clone() for name, weight in penalty.weights.items()}
                add()
                for name, weight in penalty.weights.items():
                    added = penalty.rho * (weight.detach() - penalty.z[name] + penalty.u[name])
                    seen[name] = torch.allclose(
                        weight.grad - before[name], added, rtol=1e-3, atol=1e-3
                    )

            penalty.on_gradients = on_gradients
            return penalty

    solver = Recorder(rho=(100.0,), epochs=1)
    make_trainer(
        DpSgd(noise=0.5, delta=1e-3, clip=0.1),
        make_callbacks=lambda task: [
            solver.start(task, Cardinality(compression=4), np.random.default_rng(0))
        ],
    ).run(1)
    assert len(seen) == 3
    assert all(seen.values())


def test_masked_weights_get_no_noise(make_trainer):
    def masked(task):
        weights = {name: weight.detach() for name, weight in prunable_weights(task.model).items()}
        return [KeepMasked(task.model, Cardinality(compression=5).masks(weights))]

    training = make_trainer(DpSgd(noise=5.0, delta=1e-3), make_callbacks=masked)
    zeros = {name: weight == 0 for name, weight in prunable_weights(training.model).items()}
    training.run(2)
    for name, weight in prunable_weights(training.model).items():
        assert torch.equal(weight == 0, zeros[name])


@pytest.mark.parametrize("name", registry.catalogue("model"))
def test_every_network_can_be_trained_and_queried_in_one_form(make_trainer, name):
    plug_in = registry.catalogue("model")[name]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 32, 32, 3), dtype=np.uint8)
    data = ResidentData(
        pixels, np.arange(8) % 3, mean=[120.0] * 3, deviation=[60.0] * 3, device=torch.device("cpu")
    )
    torch.manual_seed(0)
    objective = DpSgd(noise=0.5, delta=1e-3)
    model = objective.adapt(plug_in.load()((32, 32, 3), 3, **MODELS.get(name, {})))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in model.modules())
    training = make_trainer(objective, model=model, data=data, batch_size=4)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    training.run(1)
    assert all((value != before[key]).any() for key, value in model.state_dict().items())
    queried = objective.adapt(plug_in.load()((32, 32, 3), 3, **MODELS.get(name, {}))).eval()
    queried.load_state_dict(model.state_dict())
    images, _ = data.batch(np.arange(8))
    torch.testing.assert_close(queried(images), model.eval()(images))


def test_a_network_answers_each_image_alone_after_adapting(network):
    """Batch normalisation would make an example's gradient depend on its neighbours."""
    torch.manual_seed(0)
    model = DpSgd(noise=1.0).adapt(
        nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Flatten())
    )
    images = torch.randn(5, 2, 6, 6)
    torch.testing.assert_close(model.train()(images)[2:3], model(images[2:3]))
    assert [type(layer).__name__ for layer in model] == ["Conv2d", "GroupNorm", "ReLU", "Flatten"]


PLAN = {"n_members": 200, "n_reference": 0, "batch_size": 20, "epochs": 5, "precision": "float32"}


@pytest.mark.parametrize(
    ("options", "plan", "message"),
    [
        ({"noise": 1.0}, {"precision": "bfloat16"}, "training.precision = 'bfloat16'"),
        (
            {"noise": 1.0},
            {"batch_size": 201},
            "batch_size = 201: allowed is at most the 200 members",
        ),
        (
            {"noise": 1.0, "delta": 0.005},
            {},
            "delta = 0.005: allowed is less than 1 / members = 0.005",
        ),
        ({"epsilon": 1e-3, "epochs": 5}, {}, "epsilon = 0.001: no noise reaches it in 5 epochs"),
    ],
)
def test_a_plan_that_cannot_be_met_is_refused(options, plan, message):
    with pytest.raises(StudyError) as refused:
        DpSgd(**options).check(Plan(**{**PLAN, **plan}))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "noise and epsilon: one of them is needed"),
        ({"noise": 1.0, "epsilon": 2.0, "epochs": 3}, "noise and epsilon: one of them is needed"),
        ({"epsilon": 2.0}, "epochs: it is needed with epsilon"),
        ({"noise": 2.0, "epochs": 3}, "epochs: it is needed with epsilon"),
        ({"noise": 1.0, "accountant": "gdp"}, "accountant = 'gdp': allowed is one of rdp, prv"),
    ],
)
def test_options_that_contradict_each_other_are_refused(options, message):
    with pytest.raises(StudyError) as refused:
        DpSgd(**options)
    assert message in str(refused.value)
