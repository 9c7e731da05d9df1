"""Members get a high top confidence, whatever the label (Salem et al. 2019): for an attacker who does not know the label."""

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
    """The log-odds of the top class: as a ranking the same as its probability, without the ties that rounding to 1 makes.

    log p - log(1 - p), where 1 - p is summed over the other classes.
    """
    ordered = np.sort(log_probabilities, axis=-1)
    return ordered[..., -1] - np.logaddexp.reduce(ordered[..., :-1], axis=-1)
