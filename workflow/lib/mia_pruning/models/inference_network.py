"""The inference model h(y, f(x)) that guesses membership from a prediction vector and a label (Nasr, Shokri, Houmansadr 2018).

It is the paper's attack, and the adversary that the Min-Max game trains against; it is no plug-in of the studies' `model` key.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


class InferenceNetwork(nn.Module):
    """Prediction branch C-1024-512-64, label branch C-512-64, joint 128-256-64-1, ReLU between layers."""

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.prediction = _layers(n_classes, 1024, 512, 64)
        self.label = _layers(n_classes, 512, 64)
        self.joint = nn.Sequential(_layers(128, 256, 64), nn.Linear(64, 1))

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """The log-odds (n,) of membership, from probabilities (n, n_classes) and labels (n,)."""
        one_hot = nn.functional.one_hot(labels, self.n_classes).to(probabilities.dtype)
        joined = torch.cat([self.prediction(probabilities), self.label(one_hot)], dim=1)
        return self.joint(joined).squeeze(1)


def _layers(*widths: int) -> nn.Sequential:
    return nn.Sequential(*(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())))
