"""Functions for networks in two forms: `cifar` for small images and `imagenet`.

The first is that of the CIFAR literature, the second torchvision's for ImageNet.
"""

from torch import nn

from mia_pruning.types import StudyError

FORMS = ("cifar", "imagenet")


def check_form(form: str, n_inputs: int) -> None:
    """Raise StudyError for an unknown form.

    It is raised too for ImageNet's form on images of other than three channels.
    """
    if form not in FORMS:
        raise StudyError(f"form = {form!r}", allowed=f"allowed is one of {', '.join(FORMS)}")
    if form == "imagenet" and n_inputs != 3:
        raise StudyError(
            f"form = {form!r}",
            f"it takes images of 3 channels, these have {n_inputs}",
            "allowed here is 'cifar'",
        )


def check_one_width(width: float) -> None:
    """Raise StudyError if a width is given for a network that torchvision has in one width."""
    if width != 1:
        raise StudyError(
            f"width = {width}",
            "form 'imagenet' is torchvision's network, which has one width",
            "allowed is 1.0",
        )


def scaled(n_channels: int, width: float) -> int:
    """Return so many channels times width, rounded, at least 1.

    >>> scaled(64, 0.25), scaled(3, 0.1)
    (16, 1)
    """
    return max(1, round(n_channels * width))


def initialise_(network: nn.Module) -> None:
    """Draw the weights of convolutions as He et al. 2015 (Delving Deep into Rectifiers) for ReLU.

    The variance follows from the number of outputs. Linear layers and normalisation keep torch's
    own initial values.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
