"""Lower bounds on epsilon that attacks prove, and limits that an epsilon sets to any attack."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import brentq
from scipy.stats import beta, binom

#: No bound above this is searched.
LARGEST_EPSILON = 50.0


def one_run_bound(
    n_canaries: int, n_guesses: int, n_correct: int, delta: float, confidence: float = 0.95
) -> float:
    """Return the lower bound on epsilon from one training run; 0 where nothing is proved.

    Source: Steinke et al. 2023, theorem 5.2. Each of n_canaries examples is a member with
    probability 1/2. n_guesses of them are guessed, n_correct of these rightly. The number of
    guesses must be fixed before the result is seen. Raises ValueError as `check_counts` does.

    >>> round(one_run_bound(100, 100, 100, delta=0.0), 2), one_run_bound(100, 100, 50, delta=0.0)
    (3.49, 0.0)
    """
    check_counts(n_canaries, n_guesses, n_correct)

    def excess(epsilon: float) -> float:
        return one_run_p_value(n_canaries, n_guesses, n_correct, epsilon, delta) - (1 - confidence)

    return _largest_refuted(excess)


def one_run_p_value(
    n_canaries: int, n_guesses: int, n_correct: int, epsilon: float, delta: float
) -> float:
    """Return the probability of so many right guesses or more under (epsilon, delta)-DP."""
    right = binom(n_guesses, 1 / (1 + np.exp(-epsilon)))
    tail = right.sf(n_correct - 1)
    if delta == 0 or n_correct == 0:
        return float(tail)
    steps = np.arange(1, n_correct + 1)
    near = right.cdf(n_correct - 1) - right.cdf(n_correct - 1 - steps)
    return float(min(1.0, tail + 2 * n_canaries * delta * np.max(near / steps)))


def check_counts(n_canaries: int, n_guesses: int, n_correct: int) -> None:
    """Raise ValueError unless some guesses were made, and each count is at most the next."""
    if not 0 <= n_correct <= n_guesses <= n_canaries or n_guesses == 0:
        raise ValueError(
            f"{n_correct} right of {n_guesses} guesses on {n_canaries} canaries: each must be at most the next, "
            "and at least one guess is needed"
        )


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of a rate (Clopper-Pearson).

    >>> tuple(round(bound, 4) for bound in clopper_pearson(0, 10))
    (0.0, 0.3085)
    """
    tail = (1 - confidence) / 2
    low = beta.ppf(tail, successes, trials - successes + 1) if successes else 0.0
    high = beta.ppf(1 - tail, successes + 1, trials - successes) if successes < trials else 1.0
    return float(low), float(high)


def most_true_positives(fpr: np.ndarray, epsilon: float, delta: float) -> np.ndarray:
    """Return the true-positive rate that no attack exceeds on an (epsilon, delta)-DP model."""
    return np.clip(
        np.minimum(np.exp(epsilon) * fpr + delta, 1 - np.exp(-epsilon) * (1 - delta - fpr)),
        0.0,
        1.0,
    )


def most_accuracy(epsilon: float, delta: float) -> float:
    """Return the balanced accuracy that no attack exceeds on an (epsilon, delta)-DP model.

    >>> most_accuracy(0.0, 0.0)
    0.5
    """
    return float((np.exp(epsilon) + delta) / (1 + np.exp(epsilon)))


def _largest_refuted(excess: Callable[[float], float]) -> float:
    """Return the root of a function that rises with epsilon; 0 where it is never below 0."""
    if excess(0.0) >= 0:
        return 0.0
    if excess(LARGEST_EPSILON) < 0:
        return LARGEST_EPSILON
    return float(brentq(excess, 0.0, LARGEST_EPSILON, xtol=1e-9))
