"""The interface of an objective to the training loop.

An objective is a frozen dataclass of options. `start` puts it to work on one model in one phase
(training, pruning, retraining). The pursuit may draw the batches, hold state of its own, take
part in the backward pass and pass tensors to the next phase.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.training.data import ResidentData

#: A forward pass alone costs this share of forward and backward.
FORWARD = 1 / 3


class Callback:
    """Hooks into the loop. The base class does nothing.

    `state` and `load_state` carry what must survive a restart.
    """

    def on_gradients(self) -> None:
        """Act after the backward pass, before the optimiser's step."""

    def on_step(self) -> None:
        """Act after the optimiser's step."""

    def on_epoch(self, epoch: int) -> None:
        """Act after the last step of an epoch, counted from 0."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        pass


@dataclass(frozen=True)
class Task:
    """One model in one phase.

    data       the model's members
    reference  examples that no model is trained on (Min-Max's D'); None where the split has none
    seed       for what the objective draws before the first epoch
    carried    the tensors that the objective passed on from the phase before
    """

    model: nn.Module
    data: ResidentData
    batch_size: int
    n_classes: int = 0
    reference: ResidentData | None = None
    seed: int = 0
    carried: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Facts known before anything is trained, for an objective to refuse what it cannot do.

    epochs: of dense training.
    """

    n_members: int
    n_reference: int
    batch_size: int
    epochs: int
    precision: str


class Objective:
    """The base of all objectives: one that only has a loss needs nothing else."""

    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the loss of a batch and the logits (b, n_classes) that it was computed from."""
        raise NotImplementedError

    def adapt(self, network: nn.Module) -> nn.Module:
        """Return the network as this objective can train it; it is queried in this form too."""
        return network

    def check(self, plan: Plan) -> None:
        """Raise StudyError if this cannot work; called before the first job."""

    def start(self, task: Task) -> "Pursuit":
        return Pursuit(self, task)

    def guarantee(self, carried: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return what the objective promises of a model that ends with these tensors.

        These are numbers and words by name; most objectives promise nothing.
        """
        return {}


class Pursuit(Callback):
    """An objective at work on one model.

    passes: forward and backward passes through the network for each example of a batch; a
    forward pass alone counts a third. gain: the inference model's gain in the epoch that ended
    last, where the objective plays against one.
    """

    passes = 1.0
    gain = float("nan")

    def __init__(self, objective: Objective, task: Task) -> None:
        self.objective = objective
        self.task = task

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimiser that will step; called once."""

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the batches of one epoch."""
        return self.task.data.batches(self.task.batch_size, rng)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        return self.objective.loss(self.task.model, images, labels)

    def backward(self, loss: Tensor) -> None:
        """Leave the gradients that the optimiser is to follow."""
        loss.backward()

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that the next phase starts from."""
        return {}
