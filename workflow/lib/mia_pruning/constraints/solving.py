"""Solvers, which bring a trained network into a constraint's set.

They do so with or without further training.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from torch import Tensor, nn

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.registry import find, options_of
from mia_pruning.training.objective import Callback, Plan, Task
from mia_pruning.types import StudyError


class SparsitySet(Protocol):
    def budgets(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]: ...

    def masks(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]: ...


class Solution(Protocol):
    """A solver at work on one model: after its epochs it gives the masks, and tensors to store.

    passes: the sample-passes that it took besides the epochs.
    """

    passes: float

    def masks(self) -> dict[str, Tensor]: ...

    def tensors(self) -> dict[str, Tensor]: ...


class Solver(ABC):
    """The base of all solvers.

    `epochs` of training happen between `start` and the solution's `masks`. A solution that is a
    Callback takes part in them. The decorator sets two attributes, the traits `from_initial` and
    `reads_members` (`traits.py`).

    epochs         0 for a solver that does not train
    rewind_epochs  if a number, the kept weights return to their values after so many epochs of
                   dense training
    """

    epochs = 0
    rewind_epochs = None

    def check(self, plan: Plan, retrain_epochs: int) -> None:
        """Raise StudyError if this cannot work in a study.

        It is called before the first job.
        """
        if self.rewind_epochs is not None and self.rewind_epochs > plan.epochs:
            raise StudyError(
                f"rewind_epochs = {self.rewind_epochs}",
                allowed=f"allowed is at most training.epochs = {plan.epochs}",
            )
        leaves_untrained = self.rewind_epochs is not None or (
            self.from_initial and self.epochs == 0
        )
        if leaves_untrained and retrain_epochs == 0:
            raise StudyError(
                "retrain_epochs = 0",
                "this solver ends with a network that has yet to be trained",
                "allowed is >= 1",
            )

    @abstractmethod
    def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> Solution:
        """Begin to bring a model into the set."""


class Found(Callback):
    """A solution that is known at once."""

    def __init__(self, masks: dict[str, Tensor], passes: float = 0.0) -> None:
        self._masks = masks
        self.passes = passes

    def masks(self) -> dict[str, Tensor]:
        return self._masks

    def tensors(self) -> dict[str, Tensor]:
        return {}


def prunable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the parameters that constraints concern, by name, in the model's order."""
    parameters = dict(model.named_parameters())
    return {
        name: parameters[name]
        for name in prunable({name: tuple(p.shape) for name, p in parameters.items()})
    }


def make_constraint(settings: Mapping[str, Any]) -> tuple[SparsitySet, Solver]:
    """Return the sparsity set and the solver of a `constraints` entry."""
    plug_ins = (
        find("constraint", settings["use"], "use"),
        find("solver", settings["solver"], "solver"),
    )
    return tuple(plug_in.load()(**options_of(plug_in, dict(settings))) for plug_in in plug_ins)
