"""Label smoothing (Szegedy et al. 2016, section 7).

It is a cheap control that keeps a network from being sure of its members.
"""

from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn

from mia_pruning.registry import objective
from mia_pruning.training.objective import Objective


@objective
@dataclass(frozen=True)
class LabelSmoothing(Objective):
    """Cross-entropy with smoothed labels.

    smoothing: the share of the target distribution that is spread evenly over all classes.
    """

    smoothing: Annotated[float, ">= 0, < 1"] = 0.1

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = model(images)
        return nn.functional.cross_entropy(
            logits.float(), labels, label_smoothing=self.smoothing
        ), logits
