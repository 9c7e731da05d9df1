"""Inputs of an attack network from a prediction: the log-odds of every class.

Those of the label are first.
"""

import numpy as np


def class_log_odds(logits: np.ndarray) -> np.ndarray:
    """Return log p_c - log(1 - p_c) of every class, shape (..., n_classes), float64.

    It holds the same as the probabilities, and keeps differences that round to 0 or 1 in them.
    Logits may be log probabilities as well: a shift cancels.

    >>> class_log_odds(np.log(np.array([0.5, 0.25, 0.25]))).round(3)
    array([ 0.   , -1.099, -1.099])
    """
    logits = np.asarray(logits, dtype=np.float64)
    top = logits.argmax(axis=-1)[..., np.newaxis]
    largest = np.take_along_axis(logits, top, axis=-1)
    others = logits.copy()
    np.put_along_axis(others, top, -np.inf, axis=-1)
    second = others.max(axis=-1, keepdims=True)
    log_without_top = second + np.log(np.exp(others - second).sum(axis=-1, keepdims=True))
    shares = np.exp(logits - largest)
    # The total minus a share loses digits only for the largest class, which is summed apart.
    np.put_along_axis(shares, top, 0.0, axis=-1)
    total = 1.0 + shares.sum(axis=-1, keepdims=True)
    log_rest = largest + np.log(total - shares)
    np.put_along_axis(log_rest, top, log_without_top, axis=-1)
    return logits - log_rest


def label_first(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return class log-odds (n, n_classes), the label's in the first column.

    Those of all other classes follow, descending. With many classes and few rows a network does
    not learn to find the label's entry by itself.

    >>> label_first(np.log(np.array([[0.2, 0.5, 0.3]])), np.array([2])).round(3)
    array([[-0.847,  0.   , -1.386]])
    """
    odds = class_log_odds(logits)
    column = labels[:, np.newaxis]
    of_label = np.take_along_axis(odds, column, axis=-1)
    np.put_along_axis(odds, column, -np.inf, axis=-1)
    others = -np.sort(-odds, axis=-1)[:, :-1]
    return np.concatenate([of_label, others], axis=-1)
