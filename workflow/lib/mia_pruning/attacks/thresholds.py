"""Functions of threshold attacks: a statistic of each prediction, and its thresholds.

Thresholds are set on shadow models alone.
"""

from collections.abc import Callable

import numpy as np
from scipy.special import log_softmax

from mia_pruning.metrics.membership import best_threshold
from mia_pruning.types import Signals

Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def threshold_attack(
    statistic: Statistic, targets: Signals, shadows: Signals, *, per_class: bool
) -> np.ndarray:
    """Return the statistic minus the threshold of the highest balanced accuracy on the shadows.

    The threshold is one for all classes, or one for each class. Shape (n_targets, n_examples).

    statistic: (log probabilities (..., n_classes), labels (...)) -> (...), higher = member.
    """
    logits, labels, members = shadows.known_rows()
    values = statistic(log_softmax(logits.astype(np.float64), axis=-1), labels)
    thresholds = class_thresholds(
        values, labels, members, targets.logits.shape[-1], per_class=per_class
    )
    return (
        statistic(log_softmax(targets.logits.astype(np.float64), axis=-1), targets.labels)
        - thresholds[targets.labels]
    )


def against_thresholds(
    values: np.ndarray,
    of_shadows: np.ndarray,
    targets: Signals,
    shadows: Signals,
    *,
    per_class: bool,
) -> np.ndarray:
    """Return values (n_targets, n_examples) minus thresholds that are set on the shadows.

    of_shadows: the values of the shadows, (n_shadows, n_examples).
    """
    known, n_classes = shadows.candidates, targets.logits.shape[-1]
    labels = np.broadcast_to(shadows.labels, known.shape)[known]
    thresholds = class_thresholds(
        of_shadows[known], labels, shadows.membership[known], n_classes, per_class=per_class
    )
    return values - thresholds[targets.labels]


def class_thresholds(
    values: np.ndarray, labels: np.ndarray, members: np.ndarray, n_classes: int, *, per_class: bool
) -> np.ndarray:
    """Return one threshold for each class, (n_classes,).

    It is the same for all unless per_class, and for a class without both members and
    non-members.
    """
    thresholds = np.full(n_classes, best_threshold(values, members))
    if per_class:
        for label in range(n_classes):
            rows = labels == label
            if members[rows].any() and not members[rows].all():
                thresholds[label] = best_threshold(values[rows], members[rows])
    return thresholds


def of_label(log_probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log p_y, shape (...), from log probabilities (..., n_classes)."""
    index = np.broadcast_to(labels, log_probabilities.shape[:-1])[..., np.newaxis]
    return np.take_along_axis(log_probabilities, index, axis=-1)[..., 0]
