"""Empirical risk minimisation: the ordinary cross-entropy."""

from dataclasses import dataclass

from torch import Tensor, nn

from mia_pruning.registry import objective


@objective
@dataclass(frozen=True)
class Erm:
    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The mean cross-entropy of a batch, and the logits it was computed from."""
        logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels), logits
