"""The training loop of one model, with everything that must survive a restart in one state.

The order of the examples is drawn from a stream named after the epoch, so no generator's state has to be saved: epoch 7 sees
the same batches whether the process started at epoch 0 or at epoch 7.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData
from mia_pruning.training.optimizers import OPTIMIZERS
from mia_pruning.training.schedules import SCHEDULES, set_learning_rate_

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class NonFiniteLoss(ArithmeticError):
    """The loss became infinite or NaN; the message says which model, epoch and step."""


class Objective(Protocol):
    def loss(self, model: nn.Module, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]: ...


class Callback:
    """Hooks into the loop. The base class does nothing; `state` and `load_state` carry what must survive a restart."""

    def on_gradients(self) -> None:
        """After the backward pass, before the optimiser's step."""

    def on_step(self) -> None:
        """After the optimiser's step."""

    def on_epoch(self, epoch: int) -> None:
        """After the last step of an epoch, counted from 0."""

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        pass


@dataclass(frozen=True)
class Recipe:
    """The numbers of a `training` section that the loop needs."""

    batch_size: int
    optimizer: str
    learning_rate: float
    weight_decay: float
    momentum: float
    precision: str
    schedule: str = "constant"
    augmentation: Sequence[str] = ()


HISTORY = ("epoch", "train_loss", "train_accuracy", "test_accuracy")


@dataclass
class Trainer:
    """One model on its way. `history` has one row an epoch, columns as in HISTORY; a test accuracy not measured is NaN.

    epoch_stream(epoch) gives the generator of an epoch's order.
    """

    model: nn.Module
    data: ResidentData
    objective: Objective
    recipe: Recipe
    epoch_stream: Callable[[int], np.random.Generator]
    callbacks: list[Callback] = field(default_factory=list)
    test_data: ResidentData | None = None
    test_every: int = 5
    name: str = "model"

    def __post_init__(self) -> None:
        self.optimizer = OPTIMIZERS[self.recipe.optimizer](self.model.parameters(), self.recipe)
        self.history: list[list[float]] = []

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    def run(self, epochs: int, after_epoch: Callable[["Trainer"], None] = lambda trainer: None) -> None:
        """Train until `epochs` epochs, the schedule's length, are done in all; after_epoch sees the trainer after each."""
        schedule = SCHEDULES[self.recipe.schedule]
        while self.epochs_done < epochs:
            epoch = self.epochs_done
            set_learning_rate_(self.optimizer, self.recipe.learning_rate * schedule(epoch, epochs))
            loss, accuracy = self.train_epoch(epoch)
            for callback in self.callbacks:
                callback.on_epoch(epoch)
            last = epoch + 1 == epochs
            test_accuracy = self._test_accuracy() if last or (epoch + 1) % self.test_every == 0 else float("nan")
            self.history.append([epoch + 1, loss, accuracy, test_accuracy])
            after_epoch(self)

    def train_epoch(self, epoch: int) -> tuple[float, float]:
        """Mean loss and accuracy over one pass through the data, each batch measured before its step."""
        self.model.train()
        rng = self.epoch_stream(epoch)
        torch.manual_seed(int(rng.integers(1 << 63)))  # for layers that draw, such as dropout
        total_loss, n_correct = torch.zeros(()), torch.zeros((), dtype=torch.long)
        augmentations = [AUGMENTATIONS[name] for name in self.recipe.augmentation]
        for step, (images, labels) in enumerate(self.data.batches(self.recipe.batch_size, rng, augmentations)):
            with autocast(self.data.device, self.recipe.precision):
                loss, logits = self.objective.loss(self.model, images, labels)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            for callback in self.callbacks:
                callback.on_gradients()
            self.optimizer.step()
            for callback in self.callbacks:
                callback.on_step()
            total_loss += loss.detach().cpu() * len(labels)
            n_correct += (logits.detach().argmax(dim=1) == labels).sum().cpu()
            self._stop_if_not_finite(total_loss, epoch, step)
        return float(total_loss) / len(self.data), float(n_correct) / len(self.data)

    def _stop_if_not_finite(self, total_loss: Tensor, epoch: int, step: int) -> None:
        if not torch.isfinite(total_loss):
            raise NonFiniteLoss(
                f"{self.name}: the loss is {float(total_loss)} in epoch {epoch + 1}, step {step + 1}; "
                f"lower learning_rate = {self.recipe.learning_rate} or use precision float32"
            )

    def _test_accuracy(self) -> float:
        if self.test_data is None:
            return float("nan")
        return float((predict(self.model, self.test_data).argmax(dim=1) == self.test_data.labels.cpu()).double().mean())

    def state(self) -> dict[str, Tensor]:
        """Everything that decides how training goes on: weights, optimiser, callbacks, history."""
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        for index, entries in self.optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer/{index}/{name}": torch.as_tensor(value) for name, value in entries.items()})
        for position, callback in enumerate(self.callbacks):
            tensors.update({f"callback/{position}/{name}": value for name, value in callback.state().items()})
        tensors["history"] = torch.tensor(self.history, dtype=torch.float64).reshape(-1, len(HISTORY))
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_under(tensors, "model/"))
        entries: dict[int, dict[str, Tensor]] = {}
        for name, value in _under(tensors, "optimizer/").items():
            index, _, key = name.partition("/")
            entries.setdefault(int(index), {})[key] = value
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": entries})
        # A fused optimiser walks through memory: its state must lie in the parameter's layout, not in the file's.
        for parameter, held in self.optimizer.state.items():
            held.update({k: torch.empty_like(parameter).copy_(v) for k, v in held.items() if v.shape == parameter.shape})
        for position, callback in enumerate(self.callbacks):
            callback.load_state(_under(tensors, f"callback/{position}/"))
        self.history = [[int(epoch), *rest] for epoch, *rest in tensors["history"].tolist()]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, PRECISIONS[precision], enabled=precision != "float32")


@torch.no_grad()
def predict(model: nn.Module, data: ResidentData, precision: str = "float32", batch_size: int = 500) -> Tensor:
    """Logits (n, n_classes), float32, on the CPU, in evaluation mode and in the data's own order."""
    was_training = model.training
    model.eval()
    with autocast(data.device, precision):
        logits = [model(images).float().cpu() for images, _ in data.batches(batch_size)]
    model.train(was_training)
    return torch.cat(logits)
