import math

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.models.inference_network import InferenceNetwork
from mia_pruning.objectives.erm import Erm
from mia_pruning.objectives.min_max import MinMax, gain_of
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import predict
from mia_pruning.training.objective import Plan, Task
from mia_pruning.types import StudyError


def same_weights(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def decided_inference_network():
    """One whose answers depend so much on what it is given that a classifier must feel them."""
    torch.manual_seed(7)
    h = InferenceNetwork(3)
    with torch.no_grad():
        for parameter in h.parameters():
            parameter.mul_(3)
    return h


def carried_inference_network():
    return {
        f"inference/{name}": value
        for name, value in decided_inference_network().state_dict().items()
    }


def games(data, batch_size, rng):
    while True:
        yield from data.batches(batch_size, rng)


def played(model, task, *, weight, inference_steps, learning_rate, rng):
    """The game as it is written down: probabilities, logarithms and plain gradient descent. Returns h and the gains."""
    h = decided_inference_network()
    h_steps = torch.optim.Adam(h.parameters(), lr=0.001)
    rng.integers(1 << 63)
    members, reference = (
        games(data, task.batch_size, own)
        for data, own in zip((task.data, task.reference), rng.spawn(2), strict=True)
    )
    gains = []
    for images, labels in task.data.batches(task.batch_size, rng):
        extra = [next(members) for _ in range(inference_steps - 1)]
        for member_images, member_labels in [*extra, (images, labels)]:
            reference_images, reference_labels = next(reference)
            inside = torch.sigmoid(
                h(torch.softmax(model(member_images), 1).detach(), member_labels)
            )
            outside = torch.sigmoid(
                h(torch.softmax(model(reference_images), 1).detach(), reference_labels)
            )
            gain = 0.5 * torch.log(inside).mean() + 0.5 * torch.log(1 - outside).mean()
            h_steps.zero_grad()
            (-gain).backward()
            h_steps.step()
            gains.append(gain.item())
        probabilities = torch.softmax(model(images), 1)
        loss = -torch.log(probabilities[torch.arange(len(labels)), labels]).mean()
        loss = loss + weight * 0.5 * torch.log(torch.sigmoid(h(probabilities, labels))).mean()
        for parameter, gradient in zip(
            model.parameters(), torch.autograd.grad(loss, list(model.parameters())), strict=True
        ):
            parameter.data -= learning_rate * gradient
    return h, gains


@pytest.mark.parametrize(("weight", "inference_steps"), [(1.0, 1), (4.0, 1), (1.0, 3)])
@pytest.mark.parametrize(
    "n_members", [16, 60], ids=["one step", "an epoch with a smaller last batch"]
)
def test_the_game_is_played_as_it_is_written_down(
    make_trainer, network, examples, weight, inference_steps, n_members
):
    objective = MinMax(weight=weight, inference_steps=inference_steps)
    given = {"data": examples(n_members), "optimizer": "sgd", "learning_rate": 0.05}
    training = make_trainer(objective, carried=carried_inference_network(), **given)
    model, task = network(), training.task
    rng = np.random.default_rng([3, 0])
    h, gains = played(
        model, task, weight=weight, inference_steps=inference_steps, learning_rate=0.05, rng=rng
    )
    training.run(1)
    for one, other in zip(training.model.parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)
    for one, other in zip(training.pursuit.inference.parameters(), h.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-4)
    assert training.history[0][4] == pytest.approx(np.mean(gains), abs=1e-5)


def test_the_gain_moves_the_classifier(make_trainer):
    """Or the comparison above would say little."""
    plain = make_trainer(Erm(), optimizer="sgd")
    playing = make_trainer(MinMax(), carried=carried_inference_network(), optimizer="sgd")
    plain.run(1)
    playing.run(1)
    moved = [
        (a - b).abs().max().item()
        for a, b in zip(plain.model.parameters(), playing.model.parameters(), strict=True)
    ]
    assert min(moved) > 5e-5  # fifty times the tolerance above


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_without_weight_it_is_erm_to_the_bit(make_trainer, precision):
    plain, playing = (
        make_trainer(Erm(), precision=precision),
        make_trainer(MinMax(weight=0.0), precision=precision),
    )
    plain.run(3)
    playing.run(3)
    assert same_weights(plain.model, playing.model)
    assert [row[1:3] for row in plain.history] == [row[1:3] for row in playing.history]


@pytest.mark.parametrize("inference_steps", [1, 3])
def test_the_classifier_takes_full_epochs_and_h_its_steps_for_each_of_them(
    make_trainer, inference_steps
):
    plain, playing = make_trainer(Erm()), make_trainer(MinMax(inference_steps=inference_steps))
    plain.run(2)
    playing.run(2)
    steps = {int(held["step"]) for held in playing.optimizer.state.values()}
    assert steps == {int(held["step"]) for held in plain.optimizer.state.values()} == {2 * 4}
    assert {int(held["step"]) for held in playing.pursuit.inference_optimizer.state.values()} == {
        2 * 4 * inference_steps
    }
    assert playing.sample_passes == pytest.approx(2 * 60 * (1 + (2 * inference_steps - 1) / 3))


def test_a_step_of_the_classifier_leaves_h_alone_and_the_other_way_round(make_trainer):
    training = make_trainer(MinMax(inference_steps=2))
    next(iter(training.pursuit.batches(np.random.default_rng(0))))
    weights = [parameter.clone() for parameter in training.model.parameters()]
    loss, _ = training.pursuit.loss(*training.task.data.batch(np.arange(16)))
    assert all(torch.equal(a, b) for a, b in zip(weights, training.model.parameters(), strict=True))
    assert all(parameter.grad is None for parameter in training.model.parameters())
    held = [parameter.clone() for parameter in training.pursuit.inference.parameters()]
    gradients = [parameter.grad.clone() for parameter in training.pursuit.inference.parameters()]
    training.pursuit.backward(loss)
    for parameter, weight, gradient in zip(
        training.pursuit.inference.parameters(), held, gradients, strict=True
    ):
        assert torch.equal(parameter, weight)
        assert torch.equal(parameter.grad, gradient)
        assert parameter.requires_grad
    assert all(parameter.grad is not None for parameter in training.model.parameters())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_gain_of_each_epoch_is_recorded_and_starts_near_minus_log_2(make_trainer, precision):
    training = make_trainer(MinMax(inference_steps=2), precision=precision)
    training.run(3)
    gains = [row[4] for row in training.history]
    assert gains[0] == pytest.approx(-math.log(2), abs=0.01)
    assert len(gains) == 3
    assert all(math.isfinite(gain) and gain < 0 for gain in gains)
    assert len(set(gains)) == 3


def test_h_goes_from_phase_to_phase_with_its_classifier(make_trainer):
    first = make_trainer(MinMax())
    first.run(2)
    left = first.pursuit.tensors()
    second = make_trainer(MinMax(), carried=left, seed=99)
    started = second.pursuit.tensors()
    assert left.keys() == started.keys()
    assert all(torch.equal(value, started[name]) for name, value in left.items())
    fresh = make_trainer(MinMax(), seed=99).pursuit.tensors()
    assert not torch.equal(fresh["inference/joint.1.weight"], left["inference/joint.1.weight"])


def test_what_is_handed_on_is_a_copy(make_trainer):
    training = make_trainer(MinMax())
    training.run(1)
    kept = training.pursuit.tensors()
    left = {name: value.clone() for name, value in kept.items()}
    training.run(2)
    assert all(torch.equal(kept[name], value) for name, value in left.items())


def test_the_gain_is_minus_log_2_plus_the_divergence_for_the_best_response():
    """h* = p / (p + q) on three values: G(h*) = -log 2 + JS(p || q)."""
    p, q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])
    log_odds = torch.log(p / q)
    members = torch.repeat_interleave(log_odds, (1000 * p).round().long())
    reference = torch.repeat_interleave(log_odds, (1000 * q).round().long())
    middle = (p + q) / 2
    divergence = 0.5 * (p * torch.log(p / middle)).sum() + 0.5 * (q * torch.log(q / middle)).sum()
    assert float(gain_of(members, reference)) == pytest.approx(
        float(divergence) - math.log(2), abs=1e-5
    )
    assert float(gain_of(0.9 * members, 0.9 * reference)) < float(gain_of(members, reference))


def test_extreme_log_odds_give_a_finite_gain():
    assert float(gain_of(torch.tensor([-1e4]), torch.tensor([1e4]))) == -1e4


def test_a_plan_without_reference_set_is_refused():
    plan = Plan(n_members=10, n_reference=0, batch_size=5, epochs=1, precision="float32")
    with pytest.raises(StudyError, match=r"split.reference = 0; allowed is >= 1"):
        MinMax().check(plan)


def test_a_task_without_reference_set_is_refused(network, examples):
    with pytest.raises(StudyError, match="there is no reference set"):
        MinMax().start(Task(network(), examples(10), 5, 3))


def noisy(n, seed):
    """A task that cannot be learnt well and can be learnt by heart."""
    rng = np.random.default_rng(seed)
    classes = np.arange(n) % 3
    images = np.clip(
        (classes * 25 + 95)[:, None, None, None] + rng.integers(-90, 90, (n, 6, 6, 2)), 0, 255
    )
    labels = np.where(rng.random(n) < 0.3, rng.integers(0, 3, n), classes)
    return ResidentData(
        images.astype(np.uint8),
        labels,
        mean=[120.0] * 2,
        deviation=[60.0] * 2,
        device=torch.device("cpu"),
    )


def best_held_out_gain(model, members, others):
    """A fresh inference model is fitted to every second example; the gain on the rest where it is best."""
    (seen_in, held_in), (seen_out, held_out) = (
        [(probabilities[half::2], data.labels[half::2]) for half in (0, 1)]
        for data in (members, others)
        for probabilities in [predict(model, data).softmax(dim=1)]
    )
    torch.manual_seed(1)
    h = InferenceNetwork(3)
    optimizer = torch.optim.Adam(h.parameters(), lr=0.001)
    gains = []
    for _ in range(60):
        optimizer.zero_grad()
        (-gain_of(h(*seen_in), h(*seen_out))).backward()
        optimizer.step()
        with torch.no_grad():
            gains.append(float(gain_of(h(*held_in), h(*held_out))))
    return max(gains)


def test_it_leaves_an_inference_model_less_to_gain_than_erm(make_trainer):
    """The inference model is fresh, and what it is tried on is neither D' nor what it was fitted to."""
    members, reference, others = (noisy(300, seed) for seed in range(3))
    gains, accuracies = {}, {}
    for objective in (Erm(), MinMax(weight=3.0)):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), nn.Linear(72, 128), nn.ReLU(), nn.Linear(128, 3))
        training = make_trainer(
            objective,
            model=model,
            data=members,
            reference=reference,
            batch_size=25,
            learning_rate=0.003,
        )
        training.run(20)
        name = type(objective).__name__
        gains[name] = best_held_out_gain(model, members, others)
        accuracies[name] = float(
            (predict(model, others).argmax(dim=1) == others.labels).float().mean()
        )
    assert gains["Erm"] > -0.52
    assert gains["MinMax"] < gains["Erm"] - 0.06
    assert accuracies["MinMax"] > 0.5  # of three classes


def test_the_reference_set_leaves_running_statistics_alone(make_trainer):
    """No model is trained on D', so at weight 0 a network with batch normalisation is erm's to the bit, statistics included."""

    def normalised():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
        )

    plain = make_trainer(Erm(), model=normalised())
    playing = make_trainer(MinMax(weight=0.0, inference_steps=2), model=normalised())
    for trainer in (plain, playing):
        trainer.run(2)
    states = plain.model.state_dict(), playing.model.state_dict()
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
