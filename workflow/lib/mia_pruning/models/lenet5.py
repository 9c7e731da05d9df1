"""LeNet-5 as the pruning literature has it: 20 and 50 channels, 800-500-10, 431,080 parameters on 28 x 28 x 1 in ten classes."""

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mia_pruning.registry import model


@model
def lenet5(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    channels: Sequence[int] = (20, 50),
    hidden: int = 500,
) -> nn.Module:
    """Two 5 x 5 convolutions with 2 x 2 max-pooling and two linear layers, ReLU between them.

    Pooling stands before ReLU: the two commute, and ReLU then sees a quarter of the values.
    """
    height, width, n_inputs = image_shape
    first, second = channels
    flat = second * _after_block(_after_block(height)) * _after_block(_after_block(width))
    layers = OrderedDict(
        conv1=nn.Conv2d(n_inputs, first, kernel_size=5),
        pool1=nn.MaxPool2d(2),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(first, second, kernel_size=5),
        pool2=nn.MaxPool2d(2),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(flat, hidden),
        relu3=nn.ReLU(),
        fc2=nn.Linear(hidden, n_classes),
    )
    return nn.Sequential(layers)


def _after_block(size: int) -> int:
    """The side of a feature map after a 5 x 5 convolution without padding and 2 x 2 pooling."""
    return (size - 4) // 2
