"""No constraint: the baseline.

With `retrain_epochs` it is the control that gets a pruned model's training budget.
"""

from collections.abc import Mapping

from torch import Tensor

from mia_pruning.registry import constraint


class AllWeights:
    """The complete space: no layer has a budget, no weight a mask."""

    def budgets(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        return {}

    def masks(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {}


@constraint
def none() -> AllWeights:
    return AllWeights()
