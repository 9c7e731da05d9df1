"""How exposed each single example is: over the models that were trained on it and those that were not."""

import numpy as np
from scipy.stats import rankdata


def exposures(scores: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """For each example the AUC over models (n_models, n_examples): how often one trained on it scores it higher than one that
    was not; a draw counts half. NaN where either kind is missing.

    >>> exposures(np.array([[3.0, 1.0], [2.0, 2.0]]), np.array([[True, True], [False, False]]))
    array([1., 0.])
    """
    ranks = rankdata(scores, axis=0)
    n_inside = membership.sum(axis=0)
    n_outside = len(membership) - n_inside
    above = np.where(membership, ranks, 0.0).sum(axis=0) - n_inside * (n_inside + 1) / 2
    with np.errstate(invalid="ignore"):
        return np.where(n_inside * n_outside > 0, above / (n_inside * n_outside), np.nan)


def distinct_twins(pairs: list[list[int]]) -> list[tuple[int, int]]:
    """The rows of each two twins, every pair once; models without a twin are left out.

    >>> distinct_twins([[0, 1], [1, 0], [4], [2, 3], [3, 2]])
    [(0, 1), (2, 3)]
    """
    return list(dict.fromkeys((min(pair), max(pair)) for pair in pairs if len(pair) == 2))


def halves(pairs: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """The rows of models in two halves that part no twins, the first pair here, the second there.

    >>> [half.tolist() for half in halves([[0, 1], [1, 0], [2, 3], [3, 2], [4]])]
    [[0, 1, 4], [2, 3]]
    """
    whole = list(dict.fromkeys(tuple(sorted(pair)) for pair in pairs))
    first, second = (np.array([row for pair in whole[start::2] for row in pair], dtype=int) for start in (0, 1))
    return first, second
