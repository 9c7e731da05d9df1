"""Gradual magnitude pruning (Zhu and Gupta 2017).

The smallest weights are pruned after each epoch: many at first, few towards the end.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.constraints.cardinality import largest
from mia_pruning.constraints.solving import Solver, SparsitySet, prunable_weights
from mia_pruning.registry import solver
from mia_pruning.training.masking import KeepMasked
from mia_pruning.training.objective import Callback, Task


@solver(title="gradual pruning", reads_members=False)
@dataclass(frozen=True)
class GradualMagnitude(Solver):
    """Gradual pruning as a solver.

    epochs: of training, each of which ends with a step of the schedule. After the last the
    weights are in the set.
    """

    epochs: Annotated[int, ">= 1"] = 10

    def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> "Narrowing":
        return Narrowing(task.model, sparsity_set, self.epochs)


class Narrowing(Callback):
    """The masks, which shrink after each epoch; weights outside them stay at zero in between.

    A weight that is pruned stays pruned: its value is gone, so each epoch's masks are within
    those before.

    Differs: the schedule steps once an epoch, that of Zhu and Gupta once in 100 to 1000 steps.
    """

    passes = 0.0

    def __init__(self, model: nn.Module, sparsity_set: SparsitySet, epochs: int) -> None:
        self.model, self.sparsity_set, self.epochs = model, sparsity_set, epochs
        weights = prunable_weights(model)
        self.budgets = sparsity_set.budgets(
            {name: tuple(weight.shape) for name, weight in weights.items()}
        )
        self.weights = {name: weight for name, weight in weights.items() if name in self.budgets}
        self._hold(
            {
                name: torch.ones_like(weight, dtype=torch.bool)
                for name, weight in self.weights.items()
            }
        )

    def on_gradients(self) -> None:
        self._keeper.on_gradients()

    def on_step(self) -> None:
        self._keeper.on_step()

    def on_epoch(self, epoch: int) -> None:
        progress = (epoch + 1) / self.epochs
        counts = {
            name: n_kept(weight.numel(), self.budgets[name], progress)
            for name, weight in self.weights.items()
        }
        self._hold({name: largest(score, counts[name]) for name, score in self._scores().items()})

    def masks(self) -> dict[str, Tensor]:
        return self.sparsity_set.masks(self._scores())

    def tensors(self) -> dict[str, Tensor]:
        return {}

    def state(self) -> dict[str, Tensor]:
        return dict(self._held)

    def load_state(self, state: dict[str, Tensor]) -> None:
        self._hold({name: state[name].to(weight.device) for name, weight in self.weights.items()})

    def _hold(self, masks: dict[str, Tensor]) -> None:
        self._held = masks
        self._keeper = KeepMasked(self.model, masks)

    def _scores(self) -> dict[str, Tensor]:
        """Return magnitudes, where a kept weight of zero still ranks above the pruned ones."""
        return {
            name: weight.detach().abs().clamp_min(torch.finfo(weight.dtype).tiny) * self._held[name]
            for name, weight in self.weights.items()
        }


def n_kept(n_weights: int, budget: int, progress: float) -> int:
    """Return how many weights a layer keeps when this share, 0-1, of the updates is done.

    It is the budget at 1. Source: Zhu and Gupta 2017, equation 1, from an initial sparsity of 0,
    with weights counted in place of sparsity.

    >>> [n_kept(100, 20, update / 4) for update in range(5)]
    [100, 54, 30, 21, 20]
    """
    return round(budget + (n_weights - budget) * (1 - progress) ** 3)
