"""What a solver is: it brings a trained network into a constraint's set, with or without further training."""

from collections.abc import Mapping
from typing import Protocol

import numpy as np
from torch import Tensor, nn

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.training.loop import Callback


class SparsitySet(Protocol):
    def budgets(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]: ...

    def masks(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


class Solution(Protocol):
    """A solver at work on one model: after its epochs it gives the masks, and tensors worth keeping."""

    def masks(self) -> dict[str, Tensor]: ...

    def tensors(self) -> dict[str, Tensor]: ...


class Solver:
    """epochs of training happen between `start` and the solution's `masks`; a solution that is a Callback takes part in them."""

    epochs: int = 0

    def start(self, model: nn.Module, sparsity_set: SparsitySet, rng: np.random.Generator) -> Solution:
        raise NotImplementedError


class Found(Callback):
    """A solution that was there at once."""

    def __init__(self, masks: dict[str, Tensor]) -> None:
        self._masks = masks

    def masks(self) -> dict[str, Tensor]:
        return self._masks

    def tensors(self) -> dict[str, Tensor]:
        return {}


def prunable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The parameters that constraints concern, by name, in the model's order."""
    parameters = dict(model.named_parameters())
    return {name: parameters[name] for name in prunable({name: tuple(p.shape) for name, p in parameters.items()})}
