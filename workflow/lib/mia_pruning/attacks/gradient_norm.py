"""For attackers who hold the model itself: a member's loss has little left to change in the weights."""

import numpy as np

from mia_pruning.attacks.thresholds import against_thresholds
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(probes=("gradient_norm",))
def gradient_norm(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False
) -> np.ndarray:
    """The loss's gradient in all weights is short: minus the logarithm of its Euclidean norm."""
    return against_thresholds(
        _shortness(targets), _shortness(shadows), targets, shadows, per_class=per_class
    )


def _shortness(signals: Signals) -> np.ndarray:
    """Norms that round to nothing are taken as the least positive number."""
    norms = signals.probes["gradient_norm"].astype(np.float64)
    return -np.log(np.maximum(norms, np.finfo(np.float32).tiny))
