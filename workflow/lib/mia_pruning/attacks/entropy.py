"""Members get predictions of low entropy (Salem et al. 2019)."""

import numpy as np

from mia_pruning.attacks.thresholds import threshold_attack
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def entropy(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False
) -> np.ndarray:
    return threshold_attack(negative_entropy, targets, shadows, per_class=per_class)


def negative_entropy(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return sum_c p_c log p_c, at most 0, in nats."""
    return (np.exp(log_probabilities) * log_probabilities).sum(axis=-1)
