"""Top confidence (Salem et al. 2019): members get a high one, whatever the label.

This is for an attacker who does not know the label.
"""

import numpy as np

from mia_pruning.attacks.thresholds import threshold_attack
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def confidence(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False
) -> np.ndarray:
    return threshold_attack(top_confidence, targets, shadows, per_class=per_class)


def top_confidence(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the log-odds of the top class.

    They rank as its probability does, without the ties where it rounds to 1. They are log p -
    log(1 - p), where 1 - p is summed over all classes but the top one.
    """
    ordered = np.sort(log_probabilities, axis=-1)
    return ordered[..., -1] - np.logaddexp.reduce(ordered[..., :-1], axis=-1)
