"""Losses recorded along training against training again and asking one example at a time."""

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.objective import Objective, Task
from mia_pruning.training.tracing import LossTrace

EPOCHS, N_POOL = 5, 30
STATISTICS = {"mean": [120.0] * 2, "deviation": [50.0] * 2, "device": torch.device("cpu")}


class CrossEntropy(Objective):
    def loss(self, model, images, labels):
        logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels), logits


def network():
    """A network whose losses in training differ from those in evaluation: batch norm, dropout."""
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 4, 3, stride=2), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten()
    network = nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(4 * 49, 3))
    return network.to(memory_format=torch.channels_last)


def examples(n, augmentations=()):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (N_POOL, 16, 16, 2), dtype=np.uint8)[:n]
    labels = rng.integers(0, 3, N_POOL)[:n]
    return ResidentData(images, labels, augmentations=augmentations, **STATISTICS)


def trainer(*recorded, precision="float32", pool=None):
    """The first half of the pool is trained on, and flipped at random."""
    model, members = network(), examples(N_POOL // 2, [AUGMENTATIONS["flip"]])
    pool = examples(N_POOL) if pool is None else pool
    return Trainer(
        Task(model, members, 4, 3),
        CrossEntropy(),
        Recipe(4, "adam", 0.01, weight_decay=0.0, momentum=0.9, precision=precision),
        lambda epoch: np.random.default_rng([7, epoch]),
        [LossTrace(model, pool, recorded)] if recorded else [],
        test_data=examples(10),
    )


def losses(made):
    return made.callbacks[0].losses.numpy()


@torch.no_grad()
def one_by_one(model, pool):
    """-log p_y of each example alone."""
    model.eval()
    found = []
    for row in range(len(pool)):
        images, labels = pool.batch(np.array([row]))
        probabilities = model(images)[0].double().softmax(dim=0)
        found.append(-float(probabilities[labels[0]].log()))
    return found


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_the_trace_is_that_of_networks_trained_up_to_each_epoch(precision):
    recorded = (0, 2, 4)
    made = trainer(*recorded, precision=precision)
    made.run(EPOCHS)
    assert losses(made).dtype == np.float16
    assert losses(made).shape == (N_POOL, 3)
    for column, epoch in enumerate(recorded):
        again = trainer(precision=precision)
        again.run(epoch + 1)
        wanted = one_by_one(again.model, examples(N_POOL))
        np.testing.assert_allclose(losses(made)[:, column], wanted, rtol=2e-3, atol=1e-6)


def test_recording_changes_no_weight_and_no_history():
    with_trace, without = trainer(0, 1, 2, 3, 4), trainer()
    with_trace.run(EPOCHS)
    without.run(EPOCHS)
    np.testing.assert_array_equal(with_trace.history, without.history)
    for name, weight in without.model.state_dict().items():
        assert torch.equal(with_trace.model.state_dict()[name], weight)


@pytest.mark.parametrize("n_epochs", [1, 2, 4])
def test_a_resumed_training_has_the_same_trace(n_epochs):
    whole, killed, resumed = (trainer(1, 3, 4) for _ in range(3))
    whole.run(EPOCHS)
    killed.run(n_epochs)
    resumed.load_state(killed.state())
    resumed.run(EPOCHS)
    np.testing.assert_array_equal(losses(resumed), losses(whole))
    assert np.isfinite(losses(whole)).all()


def test_a_loss_too_large_for_its_type_is_the_largest_of_it():
    model = nn.Sequential(nn.Flatten(), nn.Linear(512, 3))
    nn.init.constant_(model[1].weight, 0.0)
    with torch.no_grad():
        model[1].bias.copy_(torch.tensor([1e6, 0.0, 0.0]))
    pool = examples(N_POOL)
    trace = LossTrace(model, pool, [0])
    trace.on_epoch(0)
    wanted = np.where(pool.labels.numpy() == 0, 0.0, np.finfo(np.float16).max)
    np.testing.assert_array_equal(trace.losses[:, 0], wanted.astype(np.float16))
