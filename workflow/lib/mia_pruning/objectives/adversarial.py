"""Adversarial training (Madry et al. 2018).

The loss is cross-entropy on images moved uphill by projected gradient ascent.
"""

from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from mia_pruning.objectives.erm import Erm
from mia_pruning.registry import objective
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Pursuit, Task


@objective
@dataclass(frozen=True)
class Adversarial(Erm):
    """Adversarial training; radius and step_size are on the 0-255 scale of pixels.

    The images stay in the cube around the originals and in 0-255.
    """

    radius: Annotated[float, "> 0, <= 255"] = 8.0
    step_size: Annotated[float, "> 0, <= 255"] = 2.0
    steps: Annotated[int, ">= 1"] = 7

    def start(self, task: Task) -> "AdversarialPursuit":
        return AdversarialPursuit(self, task)


class AdversarialPursuit(Pursuit):
    def __init__(self, objective: Adversarial, task: Task) -> None:
        super().__init__(objective, task)
        self.passes = 1.0 + objective.steps

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return super().loss(self.perturbed(images, labels), labels)

    def perturbed(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the normalised images after `steps` steps of gradient ascent.

        Each step goes along the sign of the loss's gradient. The start is random in the cube.
        """
        objective, data = self.objective, self.task.data
        low, high = _cube(images, objective.radius, data)
        moved = low + (high - low) * torch.rand_like(images)
        # In evaluation mode, so that the perturbation leaves running statistics as they are.
        self.task.model.eval()
        for _ in range(objective.steps):
            moved.requires_grad_(True)
            loss, _ = objective.loss(self.task.model, moved, labels)
            (gradient,) = torch.autograd.grad(loss, moved)
            moved = moved.detach() + objective.step_size * data.scale * gradient.sign()
            moved = torch.minimum(torch.maximum(moved, low), high)
        self.task.model.train()
        return moved


def _cube(images: Tensor, radius: float, data: ResidentData) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest normalised values that each pixel may take."""
    darkest, brightest = data.normalised_value(0.0), data.normalised_value(255.0)
    reach = radius * data.scale
    return torch.maximum(images - reach, darkest), torch.minimum(images + reach, brightest)
