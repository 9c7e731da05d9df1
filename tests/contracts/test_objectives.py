"""What every registered objective promises: it trains a network, resumes with the same bits and keeps to masks and penalties."""

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning import registry
from mia_pruning.constraints.admm import Admm
from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.masking import KeepMasked
from mia_pruning.training.objective import Plan, Task

OBJECTIVES = registry.catalogue("objective")
#: for objectives that have no defaults of their own
OPTIONS = {"dp_sgd": {"noise": 0.3, "delta": 1e-3}}
SET = Cardinality(compression=3)


def examples(n, seed):
    """Images whose brightness tells the label."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    images = (labels * 60 + 40)[:, None, None, None] + rng.integers(0, 40, (n, 6, 6, 2))
    return ResidentData(
        images.astype(np.uint8),
        labels,
        mean=[120.0] * 2,
        deviation=[50.0] * 2,
        device=torch.device("cpu"),
    )


def network(objective, seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.1),
        nn.Linear(64, 3),
    )
    return objective.adapt(nn.Sequential(*layers)).to(memory_format=torch.channels_last)


def made(name):
    return OBJECTIVES[name].load()(**OPTIONS.get(name, {}))


def trainer(name, make_callbacks=lambda task: [], carried=None, seed=0):
    objective = made(name)
    task = Task(network(objective, seed), examples(60, 0), 12, 3, examples(30, 1), 5, carried or {})
    recipe = Recipe(12, "adam", 0.01, 0.0, 0.0, "float32")
    return Trainer(
        task,
        objective,
        recipe,
        lambda epoch: np.random.default_rng([3, epoch]),
        make_callbacks(task),
    )


def penalised(task):
    return [Admm(rho=(0.01, 0.1), epochs=4).start(task, SET, np.random.default_rng(0))]


def masked(task):
    weights = {
        name: weight.detach() for name, weight in prunable_weights(network(made("erm"))).items()
    }
    return [KeepMasked(task.model, SET.masks(weights))]


def same(one, other):
    return one.keys() == other.keys() and all(
        torch.equal(v.nan_to_num(-1), other[k].nan_to_num(-1)) for k, v in one.items()
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_training_learns_the_labels(name):
    training = trainer(name)
    training.run(30)
    assert training.history[-1][2] > 0.8


@pytest.mark.parametrize(
    "make_callbacks", [lambda task: [], penalised, masked], ids=["plain", "admm", "masked"]
)
@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_training_resumed_after_an_epoch_ends_with_the_same_bits(name, make_callbacks):
    whole = trainer(name, make_callbacks)
    whole.run(2)
    halfway = {key: value.clone() for key, value in whole.state().items()}
    whole.run(4)
    resumed = trainer(name, make_callbacks, seed=9)
    resumed.load_state(halfway)
    torch.rand(7)
    resumed.run(4)
    assert same(resumed.state(), whole.state())
    assert same(resumed.pursuit.tensors(), whole.pursuit.tensors())


@pytest.mark.parametrize("name", OBJECTIVES)
def test_masked_weights_stay_exactly_zero(name):
    training = trainer(name, masked)
    masks = {key: weight != 0 for key, weight in prunable_weights(training.model).items()}
    before = {
        key: weight.detach().clone() for key, weight in prunable_weights(training.model).items()
    }
    training.run(3)
    for key, weight in prunable_weights(training.model).items():
        assert torch.equal(weight != 0, masks[key])
        assert not torch.equal(weight, before[key])


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_next_phase_goes_on_from_what_the_last_one_left(name):
    first = trainer(name)
    first.run(2)
    left = first.pursuit.tensors()
    assert all(isinstance(value, torch.Tensor) for value in left.values())
    second = trainer(name, carried=left)
    second.run(1)
    assert second.pursuit.tensors().keys() == left.keys()


@pytest.mark.parametrize("name", OBJECTIVES)
def test_sample_passes_are_at_least_one_for_each_example_seen(name):
    training = trainer(name)
    training.run(2)
    assert training.sample_passes >= 0.5 * 2 * 60
    assert training.history[0][-1] < training.history[1][-1]


@pytest.mark.parametrize("name", OBJECTIVES)
def test_a_plan_that_fits_is_no_problem(name):
    made(name).check(
        Plan(n_members=100, n_reference=50, batch_size=20, epochs=3, precision="float32")
    )


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_order_of_the_examples_and_the_batches_are_not_changed(name):
    training = trainer(name)
    images, labels = training.task.data.images.clone(), training.task.data.labels.clone()
    training.run(1)
    assert torch.equal(training.task.data.images, images)
    assert torch.equal(training.task.data.labels, labels)
