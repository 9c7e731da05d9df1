"""SAMIA, the attack made for pruned networks (Yuan and Zhang, USENIX Security 2022).

Self-attention combines one token for each class: the probability of the class, its sensitivity
to small changes of the image, and whether it is the label.

Differs: the tokens' outcomes are averaged, which the abstract and the released sizes leave open.
Two networks learn from one half of the shadow models each. They are combined with the loss and
modified entropy (`combining.py`), to which they lose where there are few rows.
"""

from typing import Annotated

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from mia_pruning.attacks.combining import (
    Part,
    against_class_thresholds,
    combined_scores,
    fit_with_trees,
    halves,
    statistic_part,
)
from mia_pruning.attacks.learnt import Fitting, cross_fitted_scores
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.modified_entropy import negative_modified_entropy
from mia_pruning.registry import attack
from mia_pruning.types import Signals

WIDTH, N_HEADS, FEEDFORWARD, N_LAYERS, DROPOUT = 64, 4, 128, 3, 0.2


@attack(title="SAMIA", probes=("sensitivity",))
def samia(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    max_rows: Annotated[int, ">= 2"] = 20_000,
    epochs: Annotated[int, ">= 1"] = 6,
    min_steps: Annotated[int, ">= 1"] = 200,
    batch_size: Annotated[int, ">= 1"] = 200,
    learning_rate: Annotated[float, "> 0"] = 0.001,
) -> np.ndarray:
    """Return the best part on the shadow models, or the learned combination, minus its threshold.

    Shape (n_targets, n_examples). The parts: the network, the loss, modified entropy, and the
    latter minus the best threshold of each class.

    max_rows: shadow rows that the network learns from, drawn at random where there are more.
    """
    fitting = Fitting(epochs, min_steps, batch_size, learning_rate)
    entropy = statistic_part("modified entropy", negative_modified_entropy, targets, shadows)
    parts = [
        statistic_part("loss", label_log_odds, targets, shadows),
        entropy,
        against_class_thresholds(entropy, targets, shadows),
        _network_part(targets, shadows, rng, max_rows, fitting),
    ]
    fit = fit_with_trees(int(rng.integers(1 << 31)))
    return combined_scores(parts, targets, shadows, fit=fit)


def _network_part(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    max_rows: int,
    fitting: Fitting,
) -> Part:
    """Return the network's log-odds of membership, cross-fitted; NaN on rows not drawn."""
    logits, labels, members = shadows.known_rows()
    chosen = rng.permutation(len(members))[:max_rows]
    sensitivity = shadows.probes["sensitivity"][shadows.candidates]
    known = [tokens(logits[chosen], sensitivity[chosen], labels[chosen])]
    asked = zip(targets.logits, targets.probes["sensitivity"], strict=True)
    of_targets = [[tokens(*of_one_model, targets.labels)] for of_one_model in asked]
    half = halves(shadows)[shadows.candidates][chosen]
    rows = (members[chosen], half, of_targets, rng, fitting)
    scores, of_rows = cross_fitted_scores(TokenNetwork, known, *rows)
    of_shadows = np.full(len(members), np.nan)
    of_shadows[chosen] = of_rows
    everywhere = np.full(shadows.candidates.shape, np.nan)
    everywhere[shadows.candidates] = of_shadows
    return Part("network", scores, everywhere)


def tokens(logits: np.ndarray, sensitivity: np.ndarray, labels: np.ndarray) -> Tensor:
    """Return tokens (n, n_classes, 3) float32, in the order of the classes.

    Sensitivity is the logarithm of 1 + it, because it spans decades.
    """
    is_label = np.arange(logits.shape[-1]) == labels[:, np.newaxis]
    parts = [softmax(logits.astype(np.float32), axis=-1), np.log1p(sensitivity), is_label]
    return torch.from_numpy(np.stack(parts, axis=-1).astype(np.float32))


class TokenNetwork(nn.Module):
    """Batch norm, 3-64, GELU, three transformer layers, mean over tokens, 64-1."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)
        self.embed = nn.Sequential(nn.Linear(3, WIDTH), nn.GELU())
        layer = nn.TransformerEncoderLayer(
            WIDTH, N_HEADS, FEEDFORWARD, DROPOUT, activation="gelu", batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, N_LAYERS, enable_nested_tensor=False)
        self.last = nn.Linear(WIDTH, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return log-odds (n,) from tokens (n, n_classes, 3)."""
        embedded = self.embed(self.norm(tokens.transpose(1, 2)).transpose(1, 2))
        return self.last(self.layers(embedded).mean(dim=1)).squeeze(1)
