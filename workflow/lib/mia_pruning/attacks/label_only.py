"""For attackers who see labels only (Choquette-Choo et al., ICML 2021): members stay right under change."""

import numpy as np

from mia_pruning.attacks.thresholds import against_thresholds
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(probes=("augmented", "noisy"))
def label_only(targets: Signals, shadows: Signals, rng: np.random.Generator, *, per_class: bool = False) -> np.ndarray:
    """How many answers are right: on the image, on its augmented copies, and the share of its noisy ones at each strength."""
    return against_thresholds(n_right(targets), n_right(shadows), targets, shadows, per_class=per_class)


def n_right(signals: Signals) -> np.ndarray:
    """(n_models, n_examples)."""
    plain = signals.logits.argmax(axis=-1) == signals.labels
    copies = signals.probes["augmented"].argmax(axis=-1) == signals.labels[:, np.newaxis]
    return plain + copies.sum(axis=-1) + signals.probes["noisy"].sum(axis=-1, dtype=np.float64)
