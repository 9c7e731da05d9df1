"""The inference model h(y, f(x)) of Nasr, Shokri, Houmansadr 2018.

It guesses membership from a prediction vector and a label. It is the paper's attack, and the
adversary that the Min-Max game trains against. It is no plug-in of the studies' `model` key.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn


class InferenceNetwork(nn.Module):
    """The network: prediction branch C-1024-512-64, label branch C-512-64, joint 128-256-64-1.

    ReLU is between layers.
    """

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.prediction_input = _layers(n_classes, 1024)
        self.prediction = _layers(1024, 512, 64)
        self.label = _layers(n_classes, 512, 64)
        self.joint = nn.Sequential(_layers(128, 256, 64), nn.Linear(64, 1))

    def forward(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        """Return log-odds (n,) of membership, in float32.

        They follow from probabilities (n, n_classes) and labels (n,). Under autocast only the
        wide layers are in lower precision: bfloat16 cannot represent the difference between a
        probability of 0.999 and one of 0.998.
        """
        one_hot = nn.functional.one_hot(labels, self.n_classes).to(probabilities.dtype)
        with torch.autocast(probabilities.device.type, enabled=False):
            first = self.prediction_input(probabilities.float())
        joined = torch.cat([self.prediction(first), self.label(one_hot)], dim=1)
        with torch.autocast(probabilities.device.type, enabled=False):
            return self.joint(joined.float()).squeeze(1)


def _layers(*widths: int) -> nn.Sequential:
    return nn.Sequential(
        *(layer for a, b in pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU()))
    )
