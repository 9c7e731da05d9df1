"""The loss attack (Yeom et al. 2018): members have a low loss.

Confidence in the true label ranks alike, so it is no attack of its own.
"""

import numpy as np

from mia_pruning.attacks.thresholds import of_label, threshold_attack
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def loss(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False
) -> np.ndarray:
    return threshold_attack(label_log_odds, targets, shadows, per_class=per_class)


def label_log_odds(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log p_y - log(1 - p_y), shape (...).

    It ranks as the negative loss does, without the ties where p_y rounds to 1. 1 - p_y is summed
    over all classes but y, in log space. Logits will do in place of log probabilities: a shift
    cancels.
    """
    is_label = np.arange(log_probabilities.shape[-1]) == np.asarray(labels)[..., np.newaxis]
    others = np.where(is_label, -np.inf, log_probabilities)
    largest = others.max(axis=-1, keepdims=True)
    return (
        of_label(log_probabilities, labels)
        - largest[..., 0]
        - np.log(np.exp(others - largest).sum(axis=-1))
    )
