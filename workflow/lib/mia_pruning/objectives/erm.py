"""Empirical risk minimisation, the baseline's objective.

The loss is the mean cross-entropy of the training examples.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from mia_pruning.registry import objective
from mia_pruning.training.objective import Objective


@objective(title="plain training")
@dataclass(frozen=True)
class Erm(Objective):
    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels), logits
