"""The gradient of a member's loss: it is short, as little is left to change in the weights.

This is for attackers who hold the model itself.
"""

import numpy as np

from mia_pruning.attacks.thresholds import against_thresholds
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(probes=("gradient_norm",))
def gradient_norm(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False
) -> np.ndarray:
    """Return minus the logarithm of the Euclidean norm of the loss's gradient in all weights.

    Thresholds that are set on the shadows are subtracted. Shape (n_targets, n_examples).
    """
    return against_thresholds(
        _shortness(targets), _shortness(shadows), targets, shadows, per_class=per_class
    )


def _shortness(signals: Signals) -> np.ndarray:
    """Return minus the logarithm of the norms.

    Norms that round to 0 are replaced by the least positive normal number.
    """
    norms = signals.probes["gradient_norm"].astype(np.float64)
    return -np.log(np.maximum(norms, np.finfo(np.float32).tiny))
