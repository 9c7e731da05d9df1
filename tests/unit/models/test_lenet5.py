import pytest
import torch
from torch.nn import functional

from mia_pruning.models.lenet5 import lenet5


def test_it_has_431080_parameters():
    assert sum(parameter.numel() for parameter in lenet5((28, 28, 1), 10).parameters()) == 431_080


def test_its_weights_are_those_of_the_pruning_literature():
    weights = {
        name: tuple(p.shape)
        for name, p in lenet5((28, 28, 1), 10).named_parameters()
        if name.endswith("weight")
    }
    assert weights == {
        "conv1.weight": (20, 1, 5, 5),
        "conv2.weight": (50, 20, 5, 5),
        "fc1.weight": (500, 800),
        "fc2.weight": (10, 500),
    }


@pytest.mark.parametrize(
    ("image_shape", "n_classes"), [((28, 28, 1), 10), ((32, 32, 3), 100), ((20, 30, 2), 7)]
)
def test_the_output_has_a_logit_a_class(image_shape, n_classes):
    height, width, channels = image_shape
    network = lenet5(image_shape, n_classes, channels=(3, 4), hidden=5)
    assert network(torch.randn(6, channels, height, width)).shape == (6, n_classes)


def test_the_options_set_the_widths():
    network = lenet5((28, 28, 1), 10, channels=[6, 16], hidden=84)
    assert (network.conv1.out_channels, network.conv2.out_channels, network.fc1.out_features) == (
        6,
        16,
        84,
    )


@pytest.mark.parametrize(
    ("width", "widths"),
    [(1.0, (20, 50, 500)), (0.25, (5, 12, 125)), (2.0, (40, 100, 1000)), (1e-9, (1, 1, 1))],
)
def test_the_width_scales_channels_and_hidden_units(width, widths):
    network = lenet5((28, 28, 1), 10, width=width)
    assert (
        network.conv1.out_channels,
        network.conv2.out_channels,
        network.fc1.out_features,
    ) == widths


def test_it_computes_convolution_relu_and_pooling():
    network, images = lenet5((28, 28, 1), 10), torch.randn(3, 1, 28, 28)
    value = images
    for layer in (network.conv1, network.conv2):
        value = functional.max_pool2d(
            functional.relu(functional.conv2d(value, layer.weight, layer.bias)), 2
        )
    value = functional.relu(value.reshape(3, 800) @ network.fc1.weight.T + network.fc1.bias)
    torch.testing.assert_close(network(images), value @ network.fc2.weight.T + network.fc2.bias)
