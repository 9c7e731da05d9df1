"""What every registered constraint, and every solver in it, promises: masks that are as many as the budgets say."""

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning import registry
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Callback, Task

CONSTRAINTS, SOLVERS = registry.catalogue("constraint"), registry.catalogue("solver")
#: the sets that are tested of each constraint; one without an entry here is built from its defaults
OPTIONS = {
    "cardinality": [
        {"compression": 1},
        {"compression": 3.7},
        {"compression": 8, "allocation": "uniform"},
        {"keep": {"0": 0.3, "3": 0.25}},
    ]
}
SETS = [(name, options) for name in CONSTRAINTS for options in OPTIONS.get(name, [{}])]


def network():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))
    return model.to(memory_format=torch.channels_last)


def task(model, members=0):
    rng = np.random.default_rng(members)
    images, labels = rng.integers(0, 256, (20, 4, 4, 2), dtype=np.uint8), rng.integers(0, 5, 20)
    data = ResidentData(
        images, labels, mean=[127.0] * 2, deviation=[70.0] * 2, device=torch.device("cpu")
    )
    return Task(model, data, 10, 5)


def made(name, options):
    return CONSTRAINTS[name].load()(**options)


def weights_of(model):
    return {name: weight.detach() for name, weight in prunable_weights(model).items()}


def budgets_of(sparsity_set):
    return sparsity_set.budgets(
        {name: tuple(weight.shape) for name, weight in weights_of(network()).items()}
    )


@pytest.mark.parametrize(("name", "options"), SETS)
def test_masks_are_boolean_of_the_weights_shape_and_exactly_as_many_as_the_budgets(name, options):
    sparsity_set, weights = made(name, options), weights_of(network())
    masks = sparsity_set.masks(weights)
    assert all(
        mask.dtype == torch.bool and mask.shape == weights[layer].shape
        for layer, mask in masks.items()
    )
    assert {layer: int(mask.sum()) for layer, mask in masks.items()} == budgets_of(sparsity_set)


@pytest.mark.parametrize(("name", "options"), SETS)
def test_projecting_twice_is_projecting_once(name, options):
    sparsity_set, weights = made(name, options), weights_of(network())

    def projected(tensors):
        masks = sparsity_set.masks(tensors)
        return {
            layer: weight * masks[layer] if layer in masks else weight
            for layer, weight in tensors.items()
        }

    once = projected(weights)
    assert all(torch.equal(weight, once[layer]) for layer, weight in projected(once).items())


@pytest.mark.parametrize(("name", "options"), SETS)
def test_no_random_mask_of_the_same_size_is_nearer(name, options):
    sparsity_set, weights = made(name, options), weights_of(network())
    rng = torch.Generator().manual_seed(0)
    for layer, mask in sparsity_set.masks(weights).items():
        nearest = weights[layer][~mask].square().sum()
        for _ in range(20):
            other = mask.flatten()[torch.randperm(mask.numel(), generator=rng)].view(mask.shape)
            assert weights[layer][~other].square().sum() >= nearest


@pytest.mark.parametrize(("name", "options"), SETS)
def test_projecting_changes_no_weight(name, options):
    weights = weights_of(network())
    made(name, options).masks(weights)
    assert all(
        torch.equal(weight, weights[layer]) for layer, weight in weights_of(network()).items()
    )


def solution_of(solver, sparsity_set, model, seed=0):
    """Start a solver and give it its epochs."""
    solver = SOLVERS[solver].load()()
    solution = solver.start(task(model), sparsity_set, np.random.default_rng(seed))
    train_(model, solution, range(solver.epochs))
    return solution


def train_(model, solution, epochs):
    """A training that moves the weights at random."""
    for epoch in epochs:
        rng = torch.Generator().manual_seed(epoch)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.grad = torch.randn(parameter.shape, generator=rng)
        solution.on_gradients()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(parameter.grad, alpha=-0.1)
        solution.on_step()
        solution.on_epoch(epoch)


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(("name", "options"), SETS)
def test_every_solver_ends_in_every_set(solver, name, options):
    sparsity_set, model = made(name, options), network()
    solution = solution_of(solver, sparsity_set, model)
    assert {layer: int(mask.sum()) for layer, mask in solution.masks().items()} == budgets_of(
        sparsity_set
    )
    assert all(mask.dtype == torch.bool for mask in solution.masks().values())
    assert all(isinstance(tensor, torch.Tensor) for tensor in solution.tensors().values())


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solver_with_epochs_takes_part_in_them(solver):
    plug_in = SOLVERS[solver].load()()
    solution = plug_in.start(
        task(network()), made("cardinality", {"compression": 3}), np.random.default_rng(0)
    )
    assert plug_in.epochs == 0 or isinstance(solution, Callback)


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_generator_decides_the_masks(solver):
    sparsity_set = made("cardinality", {"compression": 3})
    one, same = (solution_of(solver, sparsity_set, network(), seed=4).masks() for _ in range(2))
    assert all(torch.equal(mask, same[layer]) for layer, mask in one.items())


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_solution_that_is_restored_half_way_ends_with_the_same_masks_and_weights(solver):
    sparsity_set, plug_in = made("cardinality", {"compression": 3}), SOLVERS[solver].load()()
    half = plug_in.epochs // 2
    one, other = network(), network()
    whole, resumed = (
        plug_in.start(task(model), sparsity_set, np.random.default_rng(0)) for model in (one, other)
    )
    train_(one, whole, range(half))
    other.load_state_dict(one.state_dict())
    resumed.load_state({name: value.clone() for name, value in whole.state().items()})
    for model, solution in ((one, whole), (other, resumed)):
        train_(model, solution, range(half, plug_in.epochs))
    assert all(torch.equal(mask, resumed.masks()[layer]) for layer, mask in whole.masks().items())
    assert all(
        torch.equal(weight, other.state_dict()[name]) for name, weight in one.state_dict().items()
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_masks_depend_on_members_without_training_only_where_the_solver_says_so(solver):
    plug_in, sparsity_set = SOLVERS[solver].load()(), made("cardinality", {"compression": 3})
    masks = [
        plug_in.start(task(network(), members), sparsity_set, np.random.default_rng(0)).masks()
        for members in (0, 1)
    ]
    assert plug_in.reads_members == any(
        not torch.equal(mask, masks[1][layer]) for layer, mask in masks[0].items()
    )


@pytest.mark.parametrize("solver", SOLVERS)
def test_starting_changes_no_weight(solver):
    model = network()
    SOLVERS[solver].load()().start(
        task(model), made("cardinality", {"compression": 3}), np.random.default_rng(0)
    )
    assert all(
        torch.equal(one, other)
        for one, other in zip(model.parameters(), network().parameters(), strict=True)
    )
