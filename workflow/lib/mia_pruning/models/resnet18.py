"""ResNet18 (He et al. 2016) for 32 x 32 images and for ImageNet."""

from collections import OrderedDict
from typing import Annotated

from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, ResNet

from mia_pruning.models.forms import check_form, check_one_width, initialise_, scaled
from mia_pruning.registry import model

#: Each stage of two blocks has its channels and stride here.
STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


@model(title="ResNet18")
def resnet18(
    image_shape: tuple[int, int, int],
    n_classes: int,
    *,
    form: str = "cifar",
    width: Annotated[float, "> 0, <= 4"] = 1.0,
) -> nn.Module:
    """Return a convolution, eight residual blocks in four stages, and a linear layer.

    A block has two 3 x 3 convolutions.

    form `cifar`: the first convolution is 3 x 3 with stride 1 and no pooling follows it;
    11,173,962 parameters on three channels in ten classes (Sun et al. 2024, NeuralFuse, table
    7). width scales the channels. Layers are named as in torchvision.

    form `imagenet`: torchvision's, 11,689,512 parameters on three channels in 1,000 classes.

    Raises StudyError as `check_form` and `check_one_width` do.
    """
    check_form(form, image_shape[2])
    if form == "cifar":
        return _cifar(image_shape[2], n_classes, width)
    check_one_width(width)
    return ResNet(ResidualBlock, [2, 2, 2, 2], num_classes=n_classes)


class ResidualBlock(BasicBlock):
    """torchvision's block, but the sum is not in place.

    DP-SGD reads the layers' outputs after the forward pass.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        outputs = self.relu(self.bn1(self.conv1(inputs)))
        outputs = self.bn2(self.conv2(outputs))
        return self.relu(outputs + (inputs if self.downsample is None else self.downsample(inputs)))


def _cifar(n_inputs: int, n_classes: int, width: float) -> nn.Module:
    n_channels = scaled(STAGES[0][0], width)
    layers: OrderedDict[str, nn.Module] = OrderedDict(
        conv1=nn.Conv2d(n_inputs, n_channels, kernel_size=3, padding=1, bias=False),
        bn1=nn.BatchNorm2d(n_channels),
        relu=nn.ReLU(inplace=True),
    )
    for number, (n, stride) in enumerate(STAGES, start=1):
        n_outputs = scaled(n, width)
        layers[f"layer{number}"] = nn.Sequential(
            _block(n_channels, n_outputs, stride), _block(n_outputs, n_outputs, 1)
        )
        n_channels = n_outputs
    layers.update(
        avgpool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten(), fc=nn.Linear(n_channels, n_classes)
    )
    network = nn.Sequential(layers)
    initialise_(network)
    return network


def _block(n_inputs: int, n_outputs: int, stride: int) -> ResidualBlock:
    """Return a residual block; its shortcut is a 1 x 1 convolution where the shape changes."""
    if stride == 1 and n_inputs == n_outputs:
        return ResidualBlock(n_inputs, n_outputs)
    projection = nn.Conv2d(n_inputs, n_outputs, kernel_size=1, stride=stride, bias=False)
    return ResidualBlock(
        n_inputs, n_outputs, stride, nn.Sequential(projection, nn.BatchNorm2d(n_outputs))
    )
