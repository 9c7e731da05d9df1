import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.constraints.cardinality import Cardinality, largest
from mia_pruning.constraints.one_shot import Magnitude
from mia_pruning.constraints.snip import Snip, connection_sensitivity
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Task

SET = Cardinality(compression=3)


def network(*, dropout=0.0):
    torch.manual_seed(0)
    layers = (
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(dropout),
        nn.Linear(16, 5),
    )
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def examples(members=0, augmentations=()):
    labels = np.arange(20) % 5
    images = np.random.default_rng(members).integers(0, 256, (20, 4, 4, 2), dtype=np.uint8)
    options = {
        "mean": [127.0] * 2,
        "deviation": [70.0] * 2,
        "device": torch.device("cpu"),
        "augmentations": augmentations,
    }
    return ResidentData(images, labels, **options)


def task(model=None, **options):
    return Task(model or network(), examples(**options), 8, 5)


def masks(n_batches=1, seed=0, **options):
    return (
        Snip(n_batches=n_batches).start(task(**options), SET, np.random.default_rng(seed)).masks()
    )


def same(one, other):
    return all(torch.equal(mask, other[layer]) for layer, mask in one.items())


def slow_sensitivity(model, batches, step=1e-5):
    """|dL/dc| of a factor c on each weight by itself, at c = 1, by central differences."""

    def loss(model):
        return sum(
            nn.functional.cross_entropy(model(images.double()), labels, reduction="sum")
            for images, labels in batches
        )

    found = {}
    for name, weight in prunable_weights(model).items():
        found[name] = torch.zeros_like(weight)
        for place in itertools.product(*map(range, weight.shape)):
            losses = []
            for factor in (1 + step, 1 - step):
                changed = copy.deepcopy(model)
                prunable_weights(changed)[name].data[place] *= factor
                losses.append(loss(changed.train()).item())
            found[name][place] = abs(losses[0] - losses[1]) / (2 * step)
    return found


@pytest.mark.parametrize("training", [True, False])
def test_the_sensitivity_equals_what_the_loss_loses_by_each_weight_alone(training):
    """In training mode, whichever mode the network is in."""
    model = network().double().train(training)
    batches = [
        (images.double(), labels)
        for images, labels in examples().batches(8, np.random.default_rng(1))
    ]
    slow = slow_sensitivity(model, batches[:2])
    fast = connection_sensitivity(model, batches[:2])
    assert fast.keys() == slow.keys()
    for name, sensitivity in fast.items():
        torch.testing.assert_close(sensitivity, slow[name], atol=1e-6, rtol=1e-5)
        assert sensitivity.max() > 0.01


def test_signs_cancel_between_batches():
    """The sum over the examples comes before the absolute value, so batches count as one great batch."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(32, 5))
    whole = list(examples().batches(20))
    assert same_values(
        connection_sensitivity(model, whole),
        connection_sensitivity(model, list(examples().batches(3))),
    )


def same_values(one, other):
    return all(torch.allclose(value, other[name], atol=1e-6) for name, value in one.items())


@pytest.mark.parametrize("n_batches", [1, 2, 3])
def test_the_batches_are_those_that_training_would_draw(n_batches):
    model = network()
    drawn = list(examples().batches(8, np.random.default_rng(5)))[:n_batches]
    for layer, sensitivity in connection_sensitivity(model, drawn).items():
        mask = masks(n_batches, seed=5)[layer]
        assert torch.equal(mask, largest(sensitivity, int(mask.sum())))


def test_each_layer_keeps_its_budget_of_other_weights_than_the_largest():
    magnitude = Magnitude().start(task(), SET, np.random.default_rng(0)).masks()
    found = masks()
    assert {layer: int(mask.sum()) for layer, mask in found.items()} == {
        n: int(m.sum()) for n, m in magnitude.items()
    }
    assert not same(found, magnitude)


def test_the_masks_depend_on_the_members_and_on_the_batches_drawn():
    assert same(masks(), masks())
    assert not same(masks(), masks(members=1))
    assert not same(masks(), masks(seed=1))


def test_augmentation_and_dropout_draw_from_the_generator_alone():
    options = {"augmentations": [AUGMENTATIONS["flip"]]}
    one = masks(model=network(dropout=0.5), **options)
    torch.rand(7)
    assert same(one, masks(model=network(dropout=0.5), **options))
    assert not same(one, masks(model=network(dropout=0.5)))
    assert not same(one, masks(**options))


@pytest.mark.parametrize("training", [True, False])
def test_the_network_and_torchs_generator_are_left_as_they_were(training):
    model = network(dropout=0.5).train(training)
    model[0].weight.grad = torch.full_like(model[0].weight, 3.0)
    before, state = copy.deepcopy(model.state_dict()), torch.random.get_rng_state()
    Snip(n_batches=2).start(task(model), SET, np.random.default_rng(0))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(module.training == training for module in model.modules())
    assert torch.equal(model[0].weight.grad, torch.full_like(model[0].weight, 3.0))
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == [
        "0.weight"
    ]
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize(("n_batches", "passes"), [(1, 8), (2, 16), (3, 20)])
def test_an_example_in_a_batch_counts_as_one_pass(n_batches, passes):
    assert Snip(n_batches=n_batches).start(task(), SET, np.random.default_rng(0)).passes == passes


def test_it_starts_from_the_initial_network_and_reads_members():
    assert (Snip().from_initial, Snip().reads_members, Snip().epochs) == (True, True, 0)
