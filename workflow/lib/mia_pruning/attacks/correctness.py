"""The gap attack (Yeom, Giacomelli, Fredrikson and Jha 2018): correct examples are members.

Its accuracy is 1/2 (train accuracy + 1 - test accuracy).
"""

import numpy as np

from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(learns=False)
def correctness(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    return np.where(targets.logits.argmax(axis=-1) == targets.labels, 1.0, -1.0)
