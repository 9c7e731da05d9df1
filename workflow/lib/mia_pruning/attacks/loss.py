"""Members have a low loss (Yeom et al.

2018). The confidence in the true label ranks examples alike, so it is no attack of its own.
"""

import numpy as np

from mia_pruning.attacks.thresholds import of_label, threshold_attack
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def loss(targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False) -> np.ndarray:
    return threshold_attack(of_label, targets, shadows, per_class=per_class)
