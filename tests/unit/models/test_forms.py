"""The networks with two forms: sizes as published, and what each form refuses.

A multiply-add is two operations. Sizes of MobileNetV2 for CIFAR at each width: the model zoo pytorch-cifar-models (chenyaofo,
2021); of VGG16 and ResNet18: Sun et al. 2024 (NeuralFuse), table 7, whose count includes normalisation.
"""

import pytest
import torch
from torch import nn
from torchvision.models import MobileNet_V2_Weights, ResNet18_Weights, VGG16_Weights

from mia_pruning.metrics.compression import dense_flops
from mia_pruning.models.mobilenet_v2 import mobilenet_v2
from mia_pruning.models.resnet18 import resnet18
from mia_pruning.models.vgg16 import vgg16
from mia_pruning.types import StudyError

CIFAR, IMAGENET = (32, 32, 3), (224, 224, 3)
PUBLISHED_WEIGHTS = {
    vgg16: VGG16_Weights,
    mobilenet_v2: MobileNet_V2_Weights,
    resnet18: ResNet18_Weights,
}
NETWORKS = list(PUBLISHED_WEIGHTS)


def size(network, image_shape, n_classes, **options):
    """Parameters and millions of multiply-adds, of a network without values."""
    with torch.device("meta"):
        built = network(image_shape, n_classes, **options)
        flops = dense_flops(built, image_shape)
    return sum(parameter.numel() for parameter in built.parameters()), sum(flops.values()) / 2e6


@pytest.mark.parametrize(
    ("network", "n_parameters", "multiply_adds"),
    [(vgg16, 14_728_266, 314.43), (resnet18, 11_173_962, 557.14), (mobilenet_v2, 2_236_682, 87.98)],
)
def test_the_cifar_form_has_the_published_size(network, n_parameters, multiply_adds):
    assert size(network, CIFAR, 10) == (n_parameters, pytest.approx(multiply_adds, rel=0.005))


@pytest.mark.parametrize(
    ("width", "n_classes", "n_parameters", "multiply_adds"),
    [
        (0.5, 10, 0.70, 27.97),
        (0.75, 10, 1.37, 59.31),
        (1.0, 10, 2.24, 87.98),
        (1.4, 10, 4.33, 170.07),
        (0.5, 100, 0.82, 28.08),
        (1.4, 100, 4.50, 170.23),
    ],
)
def test_mobilenet_v2_for_cifar_has_the_published_size_at_each_width(
    width, n_classes, n_parameters, multiply_adds
):
    found = size(mobilenet_v2, CIFAR, n_classes, width=width)
    assert (round(found[0] / 1e6, 2), round(found[1], 2)) == (n_parameters, multiply_adds)


@pytest.mark.parametrize("network", NETWORKS)
def test_the_imagenet_form_has_the_published_size(network):
    published = PUBLISHED_WEIGHTS[network].IMAGENET1K_V1.meta
    n_parameters, multiply_adds = size(network, IMAGENET, 1000, form="imagenet")
    assert n_parameters == published["num_params"]
    assert round(multiply_adds / 1e3, 3) == pytest.approx(published["_ops"], abs=0.001)


def test_vgg16_at_a_quarter_of_the_width_has_920_000_weights():
    assert round(size(vgg16, CIFAR, 10, width=0.25)[0] / 1e6, 2) == 0.92


@pytest.mark.parametrize("network", NETWORKS)
def test_one_channel_changes_the_first_convolution_alone(network):
    with torch.device("meta"):
        colour, grey = (
            {k: v.shape for k, v in network((32, 32, n), 10).named_parameters()} for n in (3, 1)
        )
    changed = [name for name in colour if colour[name] != grey[name]]
    assert changed == [next(iter(colour))]
    assert grey[changed[0]][1] == 1


def test_vgg16_has_13_convolutions_five_poolings_and_one_linear_layer():
    kinds = [type(layer) for layer in vgg16(CIFAR, 10, width=0.1).modules()]
    assert [
        kinds.count(kind) for kind in (nn.Conv2d, nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d, nn.Linear)
    ] == [13, 13, 13, 5, 1]


def test_resnet18_names_its_layers_as_torchvision_does():
    names = [
        {name for name, _ in resnet18(CIFAR, 10, form=form).named_parameters()}
        for form in ("cifar", "imagenet")
    ]
    assert names[0] == names[1]


@pytest.mark.parametrize("network", NETWORKS)
def test_at_32_pixels_the_last_map_has_the_published_side(network):
    """VGG16 ends at 1 x 1, the others at 4 x 4."""
    sides = []
    model = network(CIFAR, 10, width=0.25).eval()
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            layer.register_forward_hook(
                lambda layer, inputs, output: sides.append(output.shape[2:])
            )
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert sides[-1] == ((1, 1) if network is vgg16 else (4, 4))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("form", ["CIFAR", "imagenette", ""])
def test_an_unknown_form_is_refused_with_the_allowed_ones(network, form):
    with pytest.raises(StudyError, match=f"^form = '{form}': allowed is one of cifar, imagenet$"):
        network(CIFAR, 10, form=form)


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("n_channels", [1, 4])
def test_the_imagenet_form_takes_three_channels_alone(network, n_channels):
    with pytest.raises(
        StudyError,
        match=rf"^form = 'imagenet': it takes images of 3 channels, these have {n_channels}",
    ):
        network((224, 224, n_channels), 10, form="imagenet")


@pytest.mark.parametrize("network", [vgg16, resnet18])
def test_the_imagenet_form_of_one_width_refuses_another(network):
    with pytest.raises(StudyError, match=r"^width = 0\.5: .* allowed is 1\.0$"):
        network(IMAGENET, 10, form="imagenet", width=0.5)


def test_mobilenet_v2_has_other_widths_for_imagenet():
    assert size(mobilenet_v2, IMAGENET, 1000, form="imagenet", width=0.5)[0] == 1_968_680
