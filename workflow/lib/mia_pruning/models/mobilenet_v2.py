"""MobileNetV2 (Sandler et al. 2018) for 32 x 32 images and for ImageNet."""

from typing import Annotated

import torchvision
from torch import nn

from mia_pruning.models.forms import check_form, initialise_
from mia_pruning.registry import model

#: Each stage has its expansion, channels, blocks and first stride here.
CIFAR_STAGES = [
    [1, 16, 1, 1],
    [6, 24, 2, 1],
    [6, 32, 3, 2],
    [6, 64, 4, 2],
    [6, 96, 3, 1],
    [6, 160, 3, 2],
    [6, 320, 1, 1],
]


@model(title="MobileNetV2")
def mobilenet_v2(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    form: str = "cifar",
    width: Annotated[float, "> 0, <= 4"] = 1.0,
) -> nn.Module:
    """Return a network of 17 inverted residual blocks with depthwise convolutions.

    A convolution comes before them. A 1 x 1 convolution, dropout and a linear layer follow.
    width scales the channels to multiples of 8, but the 1,280 before the linear layer never
    shrink (Sandler et al., section 4).

    form `cifar`: torchvision's with stride 1 in the first convolution and in the second stage;
    2,236,682 parameters on three channels in ten classes (the model zoo pytorch-cifar-models by
    chenyaofo, 2021).

    form `imagenet`: torchvision's, 3,504,872 parameters on three channels in 1,000 classes.

    Raises StudyError as `check_form` does.
    """
    check_form(form, image_shape[2])
    if form == "cifar":
        return _cifar(image_shape[2], n_classes, width)
    return torchvision.models.mobilenet_v2(weights=None, num_classes=n_classes, width_mult=width)


def _cifar(n_inputs: int, n_classes: int, width: float) -> nn.Module:
    network = torchvision.models.MobileNetV2(
        n_classes, width_mult=width, inverted_residual_setting=CIFAR_STAGES
    )
    stem = network.features[0]
    stem[0] = nn.Conv2d(n_inputs, stem[0].out_channels, kernel_size=3, padding=1, bias=False)
    initialise_(stem)
    return network
