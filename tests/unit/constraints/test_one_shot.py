import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.constraints.cardinality import Cardinality, largest
from mia_pruning.constraints.one_shot import Magnitude, Random
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.objective import Task

SET = Cardinality(compression=3)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 5, 3), nn.Flatten(), nn.Linear(20, 6))


def masks(solver, seed=0, model=None):
    return solver.start(Task(model or network(), None, 1), SET, np.random.default_rng(seed)).masks()


@pytest.mark.parametrize("solver", [Magnitude(), Random()])
def test_each_layer_keeps_exactly_its_budget(solver):
    budgets = SET.budgets(
        {name: tuple(weight.shape) for name, weight in prunable_weights(network()).items()}
    )
    assert {name: int(mask.sum()) for name, mask in masks(solver).items()} == budgets


def test_magnitude_is_the_projection_and_needs_no_generator():
    model = network()
    for name, weight in prunable_weights(model).items():
        mask = masks(Magnitude(), seed=1, model=model)[name]
        assert torch.equal(mask, largest(weight, int(mask.sum())))
        assert weight[mask].abs().min() >= weight[~mask].abs().max()


def test_random_depends_on_the_generator_and_not_on_the_weights():
    model = network()
    with torch.no_grad():
        for weight in prunable_weights(model).values():
            weight.zero_()
    for name, mask in masks(Random(), seed=1).items():
        assert torch.equal(mask, masks(Random(), seed=1, model=model)[name])
        assert not torch.equal(mask, masks(Random(), seed=2)[name])


def test_random_keeps_each_weight_equally_often():
    drawn = torch.stack([masks(Random(), seed=seed)["2.weight"] for seed in range(400)]).double()
    expected = float(drawn[0].mean())
    assert (drawn.mean(dim=0) - expected).abs().max() < 4.5 * np.sqrt(
        expected * (1 - expected) / 400
    )


@pytest.mark.parametrize("solver", [Magnitude(), Random()])
def test_finding_masks_changes_no_weight(solver):
    model = network()
    masks(solver, model=model)
    for one, other in zip(model.parameters(), network().parameters(), strict=True):
        assert torch.equal(one, other)
