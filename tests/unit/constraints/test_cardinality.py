import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning.constraints.cardinality import (
    ALLOCATIONS,
    Cardinality,
    erdos_renyi,
    largest,
    prunable,
    uniform,
)
from mia_pruning.types import StudyError

LENET = {
    "conv1.weight": (20, 1, 5, 5),
    "conv2.weight": (50, 20, 5, 5),
    "fc1.weight": (500, 800),
    "fc2.weight": (10, 500),
}
SHAPES = st.dictionaries(
    st.text("abc", min_size=1),
    hnp.array_shapes(min_dims=2, max_dims=4, max_side=8),
    min_size=1,
    max_size=5,
)
WEIGHTS = hnp.arrays(
    np.float32, st.integers(1, 8), elements=st.sampled_from([-2.0, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5])
)


@given(
    weight=hnp.arrays(
        np.float32, hnp.array_shapes(min_dims=2, max_dims=4), elements=st.integers(-3, 3)
    ),
    data=st.data(),
)
def test_the_mask_keeps_exactly_as_many_as_asked_even_among_ties_and_zeros(weight, data):
    n_kept = data.draw(st.integers(0, weight.size))
    mask = largest(torch.from_numpy(weight), n_kept)
    assert mask.dtype == torch.bool
    assert mask.shape == weight.shape
    assert int(mask.sum()) == n_kept


@given(weight=WEIGHTS, data=st.data())
def test_no_mask_of_the_same_size_is_nearer(weight, data):
    n_kept = data.draw(st.integers(1, weight.size))
    distance = np.square(weight[~largest(torch.from_numpy(weight), n_kept).numpy()]).sum()
    dropped = itertools.combinations(range(weight.size), weight.size - n_kept)
    assert distance == min(np.square(weight[list(rows)]).sum() for rows in dropped)


@given(weight=WEIGHTS, data=st.data())
def test_the_projection_is_idempotent(weight, data):
    n_kept = data.draw(st.integers(1, weight.size))
    once = torch.from_numpy(weight) * largest(torch.from_numpy(weight), n_kept)
    assert torch.equal(once * largest(once, n_kept), once)


def test_the_mask_does_not_depend_on_memory_layout():
    weight = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(
        largest(weight.to(memory_format=torch.channels_last), 70), largest(weight, 70)
    )


@given(shapes=SHAPES, compression=st.floats(1.01, 20), name=st.sampled_from(sorted(ALLOCATIONS)))
def test_budgets_sum_to_weights_over_compression_and_fit_their_layers(shapes, compression, name):
    budgets = ALLOCATIONS[name](shapes, compression)
    assert sum(budgets.values()) == math.floor(
        sum(map(math.prod, shapes.values())) / compression + 1e-9
    )
    assert budgets.keys() == shapes.keys()
    assert all(0 <= budgets[layer] <= math.prod(shape) for layer, shape in shapes.items())


@pytest.mark.parametrize("name", ALLOCATIONS)
@pytest.mark.parametrize(
    "shapes",
    [LENET, {"a": (5, 5, 5), "b": (8, 1)}, {"a": (3, 7)}, {"a": (3, 3), "b": (9, 9), "c": (7, 2)}],
)
def test_a_compression_of_one_keeps_everything(name, shapes):
    assert ALLOCATIONS[name](shapes, 1) == {
        layer: math.prod(shape) for layer, shape in shapes.items()
    }


@pytest.mark.parametrize(
    ("shapes", "compression", "wanted"),
    [
        (
            {"a": (3, 3), "b": (5, 1)},
            4,
            {"a": 2, "b": 1},
        ),  # 2.25 and 1.25 of 3.5, rounded down to 3
        (
            {"a": (3, 5), "b": (3, 3)},
            4,
            {"a": 4, "b": 2},
        ),  # 3.75 and 2.25: the larger remainder gets the sixth
        (
            LENET,
            10,
            {"conv1.weight": 50, "conv2.weight": 2500, "fc1.weight": 40_000, "fc2.weight": 500},
        ),
    ],
)
def test_uniform_equals_hand_computed_budgets(shapes, compression, wanted):
    assert uniform(shapes, compression) == wanted


@pytest.mark.parametrize(
    ("shapes", "compression", "wanted"),
    [
        # Sums of axes 20 and 4; 52 weights: 52 * 4 / 24 > 4, so b stays dense and a gets the other 48.
        ({"a": (10, 10), "b": (2, 2)}, 2, {"a": 48, "b": 4}),
        # Sums 20, 30; 300 / 10 = 30 weights in the ratio 2 : 3.
        ({"a": (10, 10), "b": (10, 20)}, 10, {"a": 12, "b": 18}),
        # 43,050 weights; conv1 and fc2 stay dense; 37,550 in the ratio 80 : 1300 is 2,176.81 and 35,373.19.
        (
            LENET,
            10,
            {"conv1.weight": 500, "conv2.weight": 2177, "fc1.weight": 35_373, "fc2.weight": 5000},
        ),
    ],
)
def test_erdos_renyi_equals_hand_computed_budgets(shapes, compression, wanted):
    assert erdos_renyi(shapes, compression) == wanted


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_masks_have_the_budgets_of_the_chosen_allocation(allocation):
    weights = {name: torch.randn(shape) for name, shape in LENET.items()}
    masks = Cardinality(compression=15.78, allocation=allocation).masks(weights)
    assert {name: int(mask.sum()) for name, mask in masks.items()} == ALLOCATIONS[allocation](
        LENET, 15.78
    )


def test_erdos_renyi_is_the_default():
    assert Cardinality(compression=10).budgets(LENET) == erdos_renyi(LENET, 10)


def test_keep_gives_each_named_layer_its_fraction_and_leaves_the_others_dense():
    keep = {"conv1": 0.2, "conv2": 0.08, "fc1": 0.009}
    wanted = {"conv1.weight": 100, "conv2.weight": 2000, "fc1.weight": 3600, "fc2.weight": 5000}
    assert Cardinality(keep=keep).budgets(LENET) == wanted
    assert (
        int(Cardinality(keep={"a": 0.5}).masks({"a.weight": torch.randn(4, 4)})["a.weight"].sum())
        == 8
    )


def test_keep_of_a_hundred_weights_keeps_as_many_as_it_says():
    for percent in range(1, 101):
        assert Cardinality(keep={"a": percent / 100}).budgets({"a.weight": (10, 10)}) == {
            "a.weight": percent
        }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "one of them is needed, and not both"),
        ({"compression": 2.0, "keep": {"fc1": 0.5}}, "one of them is needed, and not both"),
        (
            {"compression": 2.0, "allocation": "erk"},
            r"allocation = 'erk': allowed is one of erdos_renyi, uniform",
        ),
    ],
)
def test_options_that_contradict_are_refused(options, message):
    with pytest.raises(StudyError, match=message):
        Cardinality(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"keep": {"fc3": 0.5}}, r"keep.fc3: no such layer; the model has conv1, conv2, fc1, fc2"),
        ({"keep": {"fc1": 0}}, r"keep.fc1 = 0: allowed is > 0, <= 1"),
        ({"keep": {"fc1": 1.5}}, r"keep.fc1 = 1.5: allowed is > 0, <= 1"),
        ({"keep": {"fc1": "half"}}, r"keep.fc1 = 'half': allowed is > 0, <= 1"),
        (
            {"keep": {"conv1": 0.001}},
            r"keep = .*: layer conv1.weight of 500 weights would be empty",
        ),
        (
            {"compression": 1e6, "allocation": "uniform"},
            r"compression = 1000000.0: layer \w+.weight of \d+ weights would be empty",
        ),
    ],
)
def test_budgets_that_cannot_be_met_are_refused(options, message):
    with pytest.raises(StudyError, match=message):
        Cardinality(**options).budgets(LENET)


def test_only_weights_of_linear_and_convolutional_layers_are_prunable():
    assert prunable({**LENET, "conv1.bias": (20,), "norm.weight": (20,), "scale": ()}) == LENET
