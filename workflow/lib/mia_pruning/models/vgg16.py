"""VGG16 (Simonyan and Zisserman 2015, configuration D) for 32 x 32 images and for ImageNet."""

from collections import OrderedDict
from typing import Annotated

import torchvision
from torch import nn

from mia_pruning.models.forms import check_form, check_one_width, initialise_, scaled
from mia_pruning.registry import model

#: Each tuple has the channels of the convolutions between two poolings.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


@model(title="VGG16")
def vgg16(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    form: str = "cifar",
    width: Annotated[float, "> 0, <= 4"] = 1.0,
) -> nn.Module:
    """Return 13 convolutions of 3 x 3 and five 2 x 2 max-poolings, then linear layers.

    form `cifar`: batch normalisation after each convolution and one linear layer, 14,728,266
    parameters on three channels in ten classes (Sun et al. 2024, NeuralFuse, table 7). width
    scales the channels.

    Differs: pooling keeps the last row and column of an odd map, and the final map is averaged,
    so that any side will do. At 32 neither changes anything.

    form `imagenet`: torchvision's, without normalisation, 138,357,544 parameters on three
    channels in 1,000 classes.

    Raises StudyError as `check_form` and `check_one_width` do.
    """
    check_form(form, image_shape[2])
    if form == "cifar":
        return _cifar(image_shape[2], n_classes, width)
    check_one_width(width)
    return torchvision.models.vgg16(weights=None, num_classes=n_classes)


def _cifar(n_inputs: int, n_classes: int, width: float) -> nn.Module:
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    for block, channels in enumerate(BLOCKS, start=1):
        for position, n_outputs in enumerate((scaled(n, width) for n in channels), start=1):
            layers[f"conv{block}_{position}"] = nn.Conv2d(
                n_inputs, n_outputs, kernel_size=3, padding=1
            )
            layers[f"norm{block}_{position}"] = nn.BatchNorm2d(n_outputs)
            layers[f"relu{block}_{position}"] = nn.ReLU(inplace=True)
            n_inputs = n_outputs
        layers[f"pool{block}"] = nn.MaxPool2d(2, ceil_mode=True)
    layers.update(
        average=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(n_inputs, n_classes)
    )
    network = nn.Sequential(layers)
    initialise_(network)
    return network
