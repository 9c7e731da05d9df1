import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import nn

from mia_pruning.metrics.compression import (
    count_weights,
    decode_sparse,
    dense_flops,
    encode_sparse,
    sparse_flops,
)
from mia_pruning.models.lenet5 import lenet5

VALUES = st.sampled_from([0, 0, 0, 1, 2, 3])
TENSORS = st.lists(
    hnp.arrays(
        st.sampled_from(["f4", "f8", "i8", "u1"]),
        hnp.array_shapes(min_dims=0, max_dims=4, min_side=0),
        elements=VALUES,
    ).map(torch.tensor),
    max_size=4,
).map(lambda tensors: {f"layer{number}.weight": tensor for number, tensor in enumerate(tensors)})


def n_bytes(tensors):
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


@given(tensors=TENSORS)
def test_decoding_gives_back_the_same_tensors(tensors):
    decoded = decode_sparse(encode_sparse(tensors))
    assert decoded.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert decoded[name].dtype == tensor.dtype
        assert decoded[name].shape == tensor.shape
        assert torch.equal(decoded[name], tensor)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.bool])
@pytest.mark.parametrize("density", [0.0, 0.03, 0.5, 1.0])
def test_every_density_and_type_survives_in_any_memory_layout(dtype, density):
    rng = torch.Generator().manual_seed(0)
    tensor = torch.randn(5, 4, 3, 3, generator=rng) * (
        torch.rand(5, 4, 3, 3, generator=rng) < density
    )
    tensor = tensor.to(dtype).to(memory_format=torch.channels_last)
    found = decode_sparse(encode_sparse({"w": tensor}))["w"]
    assert found.dtype == dtype
    assert torch.equal(found, tensor)


@given(tensors=TENSORS)
def test_the_encoding_is_never_larger(tensors):
    assert n_bytes(encode_sparse(tensors)) <= n_bytes(tensors)


@pytest.mark.parametrize("density", [0.01, 0.1, 0.5])
def test_sparse_tensors_take_a_bit_a_weight_and_the_values(density):
    kept = round(10_000 * density)
    tensor = torch.zeros(100, 100)
    tensor.view(-1)[torch.randperm(10_000, generator=torch.Generator().manual_seed(0))[:kept]] = 1.5
    assert n_bytes(encode_sparse({"w": tensor})) <= 10_000 / 8 + 4 * kept + 16


def test_a_dense_tensor_is_stored_as_it_is():
    tensor = torch.randn(10, 10)
    assert encode_sparse({"w": tensor}) == {"w": tensor}


def test_weights_are_counted():
    weights = {"a": torch.tensor([[0.0, 1.0], [2.0, -0.0]]), "b": torch.ones(3)}
    assert count_weights(weights) == (7, 5)


def test_the_operations_of_lenet5_equal_a_hand_count():
    """A multiply-add is two operations: 2 x outputs x inputs of each."""
    assert dense_flops(lenet5((28, 28, 1), 10), (28, 28, 1)) == {
        "conv1": 2 * 24 * 24 * 20 * 25,
        "conv2": 2 * 8 * 8 * 50 * 20 * 25,
        "fc1": 2 * 500 * 800,
        "fc2": 2 * 10 * 500,
    }


def test_operations_are_counted_in_nested_networks():
    network = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 2, 1), nn.ReLU()), nn.Flatten(), nn.Linear(8, 3)
    )
    assert dense_flops(network, (2, 2, 3)) == {"0.0": 2 * 4 * 2 * 3, "2": 2 * 3 * 8}


@pytest.mark.parametrize("training", [True, False])
def test_counting_operations_leaves_the_mode_as_it_was(training):
    network = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, 3)).train(training)
    dense_flops(network, (2, 2, 1))
    assert network.training is training


def test_a_layers_remaining_operations_are_its_count_times_its_density():
    weights = {"a.weight": torch.tensor([[0.0, 1.0], [2.0, 3.0]]), "b.weight": torch.zeros(5)}
    assert sparse_flops({"a": 1000, "b": 700, "without_weights": 11}, weights) == 750 + 0 + 11


def test_a_dense_network_keeps_all_operations():
    network = lenet5((28, 28, 1), 10)
    flops = dense_flops(network, (28, 28, 1))
    assert sparse_flops(flops, dict(network.named_parameters())) == sum(flops.values())


def test_nothing_given_is_modified():
    tensors = {"w": torch.tensor([[0.0, 0.0, 1.0]])}
    encode_sparse(tensors)
    assert list(tensors) == ["w"]
    np.testing.assert_array_equal(tensors["w"], [[0.0, 0.0, 1.0]])
