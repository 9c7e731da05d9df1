"""The training loop of one model, with everything that must survive a restart in one state.

The order of the examples is drawn from a stream named after the epoch, so no generator's state
has to be saved. Epoch 7 sees the same batches whether the process started at epoch 0 or at epoch
7.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.tables import HISTORY
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Callback, Objective, Task
from mia_pruning.training.optimizers import OPTIMIZERS, load_optimizer_state_, optimizer_state
from mia_pruning.training.schedules import SCHEDULES, set_learning_rate_

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class NonFiniteLoss(ArithmeticError):
    """An infinite or NaN loss; the message names the model, epoch and step."""


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


@dataclass
class Trainer:
    """One model in training.

    `history` has one row for each epoch, columns as in HISTORY; unmeasured values are NaN.
    epoch_stream(epoch) gives the generator of an epoch's order. task is what the objective
    knows. passes_before are the sample-passes that went into the model before this phase.
    """

    task: Task
    objective: Objective
    recipe: Recipe
    epoch_stream: Callable[[int], np.random.Generator]
    callbacks: list[Callback] = field(default_factory=list)
    test_data: ResidentData | None = None
    test_every: int = 5
    name: str = "model"
    passes_before: float = 0.0

    def __post_init__(self) -> None:
        self.model, self.device = self.task.model, self.task.data.device
        self.optimizer = OPTIMIZERS[self.recipe.optimizer](self.model.parameters(), self.recipe)
        self.pursuit = self.objective.start(self.task)
        self.pursuit.attach(self.optimizer)
        self.hooks = [self.pursuit, *self.callbacks]
        self.history: list[list[float]] = []

    @property
    def epochs_done(self) -> int:
        return len(self.history)

    @property
    def sample_passes(self) -> float:
        """Forward and backward passes of an example, from the network's first phase on."""
        return self.history[-1][-1] if self.history else self.passes_before

    def run(
        self,
        epochs: int,
        after_epoch: Callable[["Trainer"], None] = lambda trainer: None,
        *,
        schedule_epochs: int | None = None,
    ) -> None:
        """Train until `epochs` epochs are done in all; after_epoch sees the trainer after each.

        schedule_epochs: the schedule's length, if training is to stop before its end.
        """
        schedule = SCHEDULES[self.recipe.schedule]
        while self.epochs_done < epochs:
            epoch = self.epochs_done
            set_learning_rate_(
                self.optimizer,
                self.recipe.learning_rate * schedule(epoch, schedule_epochs or epochs),
            )
            loss, accuracy, n_seen = self.train_epoch(epoch)
            for hook in self.hooks:
                hook.on_epoch(epoch)
            last = epoch + 1 == epochs
            test_accuracy = (
                self.test_accuracy() if last or (epoch + 1) % self.test_every == 0 else float("nan")
            )
            passes = self.sample_passes + n_seen * self.pursuit.passes
            self.history.append(
                [epoch + 1, loss, accuracy, test_accuracy, self.pursuit.gain, passes]
            )
            after_epoch(self)

    def train_epoch(self, epoch: int) -> tuple[float, float, int]:
        """Train for one pass through the data; return mean loss, accuracy and the examples seen.

        Each batch is measured before its step.
        """
        self.model.train()
        rng = self.epoch_stream(epoch)
        torch.manual_seed(
            int(rng.integers(1 << 63))
        )  # for whatever draws: dropout, noise, perturbations
        total_loss, n_correct, n_seen = torch.zeros(()), torch.zeros((), dtype=torch.long), 0
        for step, (images, labels) in enumerate(self.pursuit.batches(rng)):
            with autocast(self.device, self.recipe.precision):
                loss, logits = self.pursuit.loss(images, labels)
            self.optimizer.zero_grad(set_to_none=True)
            self.pursuit.backward(loss)
            for hook in self.hooks:
                hook.on_gradients()
            self.optimizer.step()
            for hook in self.hooks:
                hook.on_step()
            total_loss += loss.detach().cpu() * len(labels)
            n_correct += (logits.detach().argmax(dim=1) == labels).sum().cpu()
            n_seen += len(labels)
            self._stop_if_not_finite(total_loss, epoch, step)
        return float(total_loss) / max(n_seen, 1), float(n_correct) / max(n_seen, 1), n_seen

    def _stop_if_not_finite(self, total_loss: Tensor, epoch: int, step: int) -> None:
        if not torch.isfinite(total_loss):
            raise NonFiniteLoss(
                f"{self.name}: the loss is {float(total_loss)} in epoch {epoch + 1}, step {step + 1}; "
                f"lower learning_rate = {self.recipe.learning_rate} or use precision float32"
            )

    def test_accuracy(self) -> float:
        """Return the accuracy of the model as it is now; NaN without test data."""
        if self.test_data is None:
            return float("nan")
        return float(
            (predict(self.model, self.test_data).argmax(dim=1) == self.test_data.labels.cpu())
            .double()
            .mean()
        )

    def state(self) -> dict[str, Tensor]:
        """Return everything that decides how training continues.

        These are weights, optimiser, objective, callbacks and history.
        """
        tensors = {f"model/{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {
            f"optimizer/{name}": value for name, value in optimizer_state(self.optimizer).items()
        }
        for position, hook in enumerate(self.hooks):
            tensors |= {f"hook/{position}/{name}": value for name, value in hook.state().items()}
        tensors["history"] = torch.tensor(self.history, dtype=torch.float64).reshape(
            -1, len(HISTORY)
        )
        return tensors

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        self.model.load_state_dict(_under(tensors, "model/"))
        load_optimizer_state_(self.optimizer, _under(tensors, "optimizer/"))
        for position, hook in enumerate(self.hooks):
            hook.load_state(_under(tensors, f"hook/{position}/"))
        self.history = [[int(epoch), *rest] for epoch, *rest in tensors["history"].tolist()]


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return an autocast context without the cache of cast weights.

    An objective may step weights and use them again inside, and would get the old ones from the
    cache.
    """
    return torch.autocast(
        device.type, PRECISIONS[precision], enabled=precision != "float32", cache_enabled=False
    )


@torch.no_grad()
def predict(
    model: nn.Module, data: ResidentData, precision: str = "float32", batch_size: int = 500
) -> Tensor:
    """Return logits (n, n_classes), float32, on the CPU.

    The model is in evaluation mode, and the rows are in the data's own order.
    """
    was_training = model.training
    model.eval()
    with autocast(data.device, precision):
        logits = [model(images).float().cpu() for images, _ in data.batches(batch_size)]
    model.train(was_training)
    return torch.cat(logits)
