"""The loss along training (Liu et al., CCS 2022).

It is the loss of a student that is distilled from each model, recorded during its training.
"""

from itertools import pairwise
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.attacks.learnt import Fitting, learnt_scores
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.registry import attack
from mia_pruning.types import Signals

WIDTHS = (512, 128, 32)


@attack(probes=("distillation",))
def loss_trajectory(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    epochs: Annotated[int, ">= 1"] = 6,
    min_steps: Annotated[int, ">= 1"] = 200,
    batch_size: Annotated[int, ">= 1"] = 250,
    learning_rate: Annotated[float, "> 0"] = 0.002,
) -> np.ndarray:
    """Return log-odds of membership minus the threshold that is best on the shadow rows.

    Shape (n_targets, n_examples).

    Differs: the model's own loss is given as the log-odds of the label, which have no ties where
    the loss rounds to 0.
    """
    logits, labels, members = shadows.known_rows()
    known = _inputs(logits, labels, shadows.probes["distillation"][shadows.candidates])
    asked = zip(targets.logits, targets.probes["distillation"], strict=True)
    of_targets = [[_inputs(own, targets.labels, of_student)] for own, of_student in asked]
    fitting = Fitting(epochs, min_steps, batch_size, learning_rate)
    return learnt_scores(
        lambda: TrajectoryNetwork(known.shape[1]), [known], members, of_targets, rng, fitting
    )


def _inputs(logits: np.ndarray, labels: np.ndarray, losses: np.ndarray) -> Tensor:
    """Return the network's inputs, (n, epochs + 1)."""
    own = label_log_odds(logits.astype(np.float64), labels)
    return torch.from_numpy(np.column_stack([losses, own]).astype(np.float32))


class TrajectoryNetwork(nn.Module):
    """Batch norm, then 512-128-32-1 with ReLU between layers."""

    def __init__(self, n_inputs: int) -> None:
        super().__init__()
        hidden = [
            layer
            for a, b in pairwise((n_inputs, *WIDTHS))
            for layer in (nn.Linear(a, b), nn.ReLU())
        ]
        self.layers = nn.Sequential(nn.BatchNorm1d(n_inputs), *hidden, nn.Linear(WIDTHS[-1], 1))

    def forward(self, trajectory: Tensor) -> Tensor:
        return self.layers(trajectory).squeeze(1)
