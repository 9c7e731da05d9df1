"""Modified entropy (Song and Mittal, USENIX Security 2021): members get a low one.

Unlike entropy, it takes the label into account.
"""

import numpy as np

from mia_pruning.attacks.thresholds import of_label, threshold_attack
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def modified_entropy(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = True
) -> np.ndarray:
    return threshold_attack(negative_modified_entropy, targets, shadows, per_class=per_class)


def negative_modified_entropy(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return (1 - p_y) log p_y + sum_{c != y} p_c log(1 - p_c), at most 0, in nats.

    It is equation 6 of Song and Mittal, negated.
    """
    probabilities = np.exp(log_probabilities)
    log_of_rest = _log_one_minus(log_probabilities)
    label_log, label_p = of_label(log_probabilities, labels), of_label(probabilities, labels)
    terms = probabilities * log_of_rest
    others = terms.sum(axis=-1) - of_label(terms, labels)
    return (1 - label_p) * label_log + others


def _log_one_minus(log_probabilities: np.ndarray) -> np.ndarray:
    """Return log(1 - p).

    For the top class it is the log of the sum of all other classes, so that it stays finite
    where p rounds to 1.
    """
    ordered = np.sort(log_probabilities, axis=-1)
    of_top = np.logaddexp.reduce(ordered[..., :-1], axis=-1)[..., np.newaxis]
    is_top = (
        np.arange(log_probabilities.shape[-1]) == log_probabilities.argmax(axis=-1)[..., np.newaxis]
    )
    return np.where(is_top, of_top, np.log1p(-np.exp(np.minimum(log_probabilities, np.log(0.5)))))
