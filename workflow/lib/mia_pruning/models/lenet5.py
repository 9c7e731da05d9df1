"""LeNet-5 of the pruning literature: 20 and 50 channels, then 800-500-10.

It has 431,080 parameters on 28 x 28 x 1 in ten classes.
"""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Annotated

from torch import nn

from mia_pruning.models.forms import scaled
from mia_pruning.registry import model


@model(title="LeNet-5")
def lenet5(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    channels: Annotated[Sequence[int], ">= 1"] = (20, 50),
    hidden: Annotated[int, ">= 1"] = 500,
    width: Annotated[float, "> 0, <= 4"] = 1.0,
) -> nn.Module:
    """Return two 5 x 5 convolutions with 2 x 2 max-pooling and two linear layers.

    ReLU is between the layers. width scales channels and hidden. Pooling comes before ReLU: the
    two commute, and ReLU then sees a quarter of the values.
    """
    first, second = (scaled(n, width) for n in channels)
    n_hidden = scaled(hidden, width)
    rows, columns, n_inputs = image_shape
    flat = second * _after_block(_after_block(rows)) * _after_block(_after_block(columns))
    layers = OrderedDict(
        conv1=nn.Conv2d(n_inputs, first, kernel_size=5),
        pool1=nn.MaxPool2d(2),
        relu1=nn.ReLU(),
        conv2=nn.Conv2d(first, second, kernel_size=5),
        pool2=nn.MaxPool2d(2),
        relu2=nn.ReLU(),
        flatten=nn.Flatten(),
        fc1=nn.Linear(flat, n_hidden),
        relu3=nn.ReLU(),
        fc2=nn.Linear(n_hidden, n_classes),
    )
    return nn.Sequential(layers)


def _after_block(size: int) -> int:
    """Return the side of a feature map after a 5 x 5 convolution and 2 x 2 pooling.

    The convolution has no padding.
    """
    return (size - 4) // 2
