"""Strength of the change that an example would still make to the weights.

This is for attackers who hold the model itself.
"""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe


@probe
def gradient_norm(asked: Asked, *, n_at_once: Annotated[int, ">= 1"] = 50) -> np.ndarray:
    """Return the Euclidean norm of the loss's gradient in all parameters, (n_examples,).

    n_at_once: examples whose gradients are held in memory at a time.
    """
    norms = [
        gradient_norms(asked.model, asked.data.normalised(images), labels)
        for images, labels in zip(
            asked.data.images.split(n_at_once), asked.data.labels.split(n_at_once), strict=True
        )
    ]
    return torch.cat(norms).float().cpu().numpy()


def gradient_norms(model: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Return the norms (b,), computed for all examples at once."""
    parameters = {name: tensor.detach() for name, tensor in model.named_parameters()}
    buffers = {name: tensor.detach() for name, tensor in model.named_buffers()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        logits = functional_call(model, (weights, buffers), (image.unsqueeze(0),))
        return nn.functional.cross_entropy(logits, label.unsqueeze(0))

    of_examples = vmap(grad(loss), in_dims=(None, 0, 0))(parameters, images, labels)
    return (
        torch.stack([gradient.flatten(1).square().sum(dim=1) for gradient in of_examples.values()])
        .sum(dim=0)
        .sqrt()
    )
