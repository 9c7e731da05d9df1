"""One-shot pruning of the same sets, for comparison.

It is by magnitude, which is the projection itself, or at random.
"""

from dataclasses import dataclass

import numpy as np
import torch

from mia_pruning.constraints.solving import Found, Solver, SparsitySet, prunable_weights
from mia_pruning.registry import solver
from mia_pruning.training.objective import Task


@solver(title="magnitude pruning", reads_members=False)
@dataclass(frozen=True)
class Magnitude(Solver):
    """One projection of the trained weights."""

    def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> Found:
        return Found(
            sparsity_set.masks(
                {name: weight.detach() for name, weight in prunable_weights(task.model).items()}
            )
        )


@solver(title="random pruning", reads_members=False)
@dataclass(frozen=True)
class Random(Solver):
    """Weights kept at random, as many in each layer as the projection would keep."""

    def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> Found:
        noise = {
            name: torch.from_numpy(rng.random(tuple(weight.shape))).to(weight.device)
            for name, weight in prunable_weights(task.model).items()
        }
        return Found(sparsity_set.masks(noise))
