"""Exposure of each single example, over the models trained on it and those not trained on it."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata

#: This is the mean exposure if no model leaks. It is exact: swapping the members of all twins
#: turns an exposure of a into 1 - a, and both are then as likely. The spread around it is wide
#: with few models.
NO_LEAK = 0.5


def exposures(scores: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """Return each example's AUC over models, (n_examples,): its exposure.

    The AUC is how often a model trained on the example gives it a higher score than a model not
    trained on it; a draw counts half. It is NaN where either kind of model is missing. scores
    and membership are (n_models, n_examples).

    >>> exposures(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([[True, True], [False, False]]))
    array([1., 0.])
    """
    ranks = rankdata(scores, axis=0)
    n_inside = membership.sum(axis=0)
    n_outside = len(membership) - n_inside
    above = np.where(membership, ranks, 0.0).sum(axis=0) - n_inside * (n_inside + 1) / 2
    with np.errstate(invalid="ignore"):
        return np.where(n_inside * n_outside > 0, above / (n_inside * n_outside), np.nan)


def swap_twins(
    membership: np.ndarray,
    twins: Sequence[tuple[int, int]],
    rng: np.random.Generator,
) -> np.ndarray:
    """Return membership (n_models, n_examples) as it could be if no model leaked.

    For each example and pair, a fair coin decides which twin has the example. Models without a
    twin keep theirs.

    >>> swapped = swap_twins(np.eye(2, dtype=bool), [(0, 1)], np.random.default_rng(0))
    >>> swapped.sum(axis=0).tolist()
    [1, 1]
    """
    swapped = membership.copy()
    for first, second in twins:
        exchanged = rng.random(membership.shape[1]) < 0.5
        swapped[first] = np.where(exchanged, membership[second], membership[first])
        swapped[second] = np.where(exchanged, membership[first], membership[second])
    return swapped


def distinct_twins(pairs: list[list[int]]) -> list[tuple[int, int]]:
    """Return the rows of each pair of twins once; models without a twin are left out.

    >>> distinct_twins([[0, 1], [1, 0], [4], [2, 3], [3, 2]])
    [(0, 1), (2, 3)]
    """
    return list(dict.fromkeys((min(pair), max(pair)) for pair in pairs if len(pair) == 2))


def halves(pairs: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of models in two halves that separate no twins.

    The first pair is in the first half, the second in the second, and so on.

    >>> [half.tolist() for half in halves([[0, 1], [1, 0], [2, 3], [3, 2], [4]])]
    [[0, 1, 4], [2, 3]]
    """
    whole = list(dict.fromkeys(tuple(sorted(pair)) for pair in pairs))
    first, second = (
        np.array([row for pair in whole[start::2] for row in pair], dtype=int) for start in (0, 1)
    )
    return first, second
