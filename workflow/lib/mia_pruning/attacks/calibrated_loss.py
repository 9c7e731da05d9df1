"""Difficulty calibration (Watson et al., ICLR 2022).

Members have a lower loss than models not trained on them have.
"""

import numpy as np
from scipy.special import log_softmax

from mia_pruning.attacks.references import References, scores_by_references
from mia_pruning.attacks.thresholds import of_label
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True)
def calibrated_loss(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Return the mean loss of shadows not trained on the example, minus the target's loss.

    The best threshold on the shadows is subtracted. Shape (n_targets, n_examples).
    """
    return scores_by_references(targets, shadows, negative_loss, lambda _: calibrated)


def calibrated(log_p: np.ndarray, _: np.ndarray, others: References) -> np.ndarray:
    return log_p - others.outside.mean


def negative_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return of_label(log_softmax(logits.astype(np.float64), axis=-1), labels)
