"""Losses of members and non-members at the ends of epochs, recorded while a model trains."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import predict
from mia_pruning.training.objective import Callback


class LossTrace(Callback):
    """A callback that records the loss of every example at the end of each of these epochs.

    Epochs are counted from 0. losses: -log p_y, (n_examples, n_epochs) float16 on the CPU; NaN
    for an epoch yet to come.

    All examples are evaluated alike: in evaluation mode, in float32, without augmentation.
    Losses of training steps exist for members only, so an attack would detect how they were
    measured.
    """

    def __init__(self, model: nn.Module, data: ResidentData, epochs: Sequence[int]) -> None:
        self.model, self.data, self.epochs = model, data, list(epochs)
        self.losses = torch.full((len(data), len(self.epochs)), torch.nan, dtype=torch.float16)

    def on_epoch(self, epoch: int) -> None:
        if epoch in self.epochs:
            logits, labels = predict(self.model, self.data), self.data.labels.cpu()
            losses = nn.functional.cross_entropy(logits, labels, reduction="none")
            # In float16 a larger loss would be infinite.
            largest = torch.finfo(torch.float16).max
            self.losses[:, self.epochs.index(epoch)] = losses.clamp(max=largest)

    def state(self) -> dict[str, Tensor]:
        return {"losses": self.losses}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.losses = state["losses"]
