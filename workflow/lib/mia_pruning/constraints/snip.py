"""SNIP (Lee, Ajanthan and Torr 2019): choose the weights to keep before any training.

They are chosen by the sensitivity of the loss to each weight.
"""

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from mia_pruning.constraints.solving import Found, Solver, SparsitySet, prunable_weights
from mia_pruning.registry import solver
from mia_pruning.training.objective import Plan, Task
from mia_pruning.types import StudyError


@solver(title="SNIP", from_initial=True)
@dataclass(frozen=True)
class Snip(Solver):
    """SNIP as a solver.

    n_batches: batches of the model's own members, as training draws them, on which the
    sensitivity is measured.

    Differs: Lee et al. rank the weights of all layers at once. Here each layer keeps as many as
    the constraint gives it, so the sensitivities need no common scale.
    """

    n_batches: Annotated[int, ">= 1"] = 1

    def check(self, plan: Plan, retrain_epochs: int) -> None:
        super().check(plan, retrain_epochs)
        in_an_epoch = math.ceil(plan.n_members / plan.batch_size)
        if self.n_batches > in_an_epoch:
            raise StudyError(
                f"n_batches = {self.n_batches}",
                allowed=f"allowed is at most the {in_an_epoch} of an epoch",
            )

    def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> Found:
        batches = list(itertools.islice(task.data.batches(task.batch_size, rng), self.n_batches))
        with torch.random.fork_rng(devices=[]):  # for whatever draws in the network
            torch.manual_seed(int(rng.integers(1 << 63)))
            sensitivities = connection_sensitivity(task.model, batches)
        return Found(
            sparsity_set.masks(sensitivities), passes=sum(len(labels) for _, labels in batches)
        )


def connection_sensitivity(
    model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]
) -> dict[str, Tensor]:
    """Return |g w| of each prunable weight w, by layer.

    g is the gradient of the cross-entropy summed over all batches. The network runs as in
    training. Its mode, gradients and running statistics do not change.

    Source: Lee et al. 2019, equations 4 and 5, before the division by the sum over all weights.
    """
    weights, was_training = prunable_weights(model), model.training
    totals = [torch.zeros_like(weight) for weight in weights.values()]
    model.train()
    for images, labels in batches:
        statistics = {name: buffer.clone() for name, buffer in model.named_buffers()}
        logits = functional_call(model, statistics, images)
        loss = nn.functional.cross_entropy(logits.float(), labels, reduction="sum")
        torch._foreach_add_(totals, torch.autograd.grad(loss, list(weights.values())))
    model.train(was_training)
    return {
        name: (total * weight.detach()).abs()
        for (name, weight), total in zip(weights.items(), totals, strict=True)
    }
