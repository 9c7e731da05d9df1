"""The correlation of two defences' exposures, corrected for the noise of both estimates.

Two defences that expose the same examples still rank them differently when each is estimated
from few models. The correlation of the two estimates is therefore too low: by the square root of
the product of both reliabilities (Spearman 1904). It is divided by that root here.

The estimate rests on pairs of twins. A pair ranks all examples by the gap between two log-odds:
that of the twin trained on the example, minus that of the twin not trained on it. Ranks of two
different pairs share no model, so their product has no common noise:

    correlation = mean(r_k * s_l) / sqrt(mean(r_k * r_l) * mean(s_k * s_l))

Here r are the ranks of the baseline and s those of the defence. Means are over examples and
pairs k != l.

Differs: Spearman divides by correlations of two halves. All products of different pairs use each
model more often.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from mia_pruning.metrics.intervals import quantile

#: A reliability below this many standard errors cannot be distinguished from 0. It was simulated
#: at n = 2,800 examples and 4 or 16 pairs. Without any leak, 0.3 % of defences pass. With a weak
#: leak, at most 2 % of defences pass with an interval that misses the truth. At 1.96 standard
#: errors these are 6 %.
FEWEST_ERRORS = 3.0
#: The jackknife leaves out one pair at a time, and at least two must remain.
FEWEST_PAIRS = 3


def twin_ranks(
    statistic: np.ndarray,
    membership: np.ndarray,
    twins: Sequence[tuple[int, int]],
) -> np.ndarray:
    """Return the centred ranks of the examples by each pair's gap, (n_pairs, n_examples).

    Ranks of distinct gaps have mean square 1.

    statistic: (n_models, n_examples), higher for members. membership: the same shape, bool.
    twins: the two rows of each pair.

    >>> statistic, membership = np.array([[3.0, 1.0], [2.0, 1.5]]), np.array([[True, False], [False, True]])
    >>> twin_ranks(statistic, membership, [(0, 1)])
    array([[ 1., -1.]])
    """
    first, second = np.array(twins, dtype=int).reshape(-1, 2).T
    gaps = np.where(membership[first], 1.0, -1.0) * (statistic[first] - statistic[second])
    n_examples = statistic.shape[1]
    if n_examples < 2:
        return np.zeros_like(gaps)
    return (rankdata(gaps, axis=1) - (n_examples + 1) / 2) / np.sqrt((n_examples**2 - 1) / 12)


@dataclass(frozen=True)
class Products:
    """Mean products of ranks of different pairs.

    In this order: baseline with baseline, defence with defence, baseline with defence.

    means       (3,) the first two are the reliabilities of a single pair's ranks
    by_examples (3, 3) their covariance over examples, which holds the noise of single answers
    by_pairs    (3, 3) their covariance over pairs of twins by the jackknife; zero for fewer pairs
                than `FEWEST_PAIRS`

    n_pairs and n_examples are the sizes behind them.
    """

    means: np.ndarray
    by_examples: np.ndarray
    by_pairs: np.ndarray
    n_pairs: int
    n_examples: int


@dataclass(frozen=True)
class Correlation:
    """The correlation with its 95 % interval, all three in [-1, 1].

    They are None where a reliability is too low to estimate them.

    reliability: the rank correlation of two single pairs of the defence. Its standard error is
    over examples.
    """

    reliability: float
    reliability_error: float
    value: float | None = None
    low: float | None = None
    high: float | None = None


def products(baseline: np.ndarray, defence: np.ndarray) -> Products:
    """Return the mean products of `twin_ranks` (n_pairs, n_examples) of two defences.

    Row k of both must be of pairs with the same members. Raises ValueError for fewer than two
    pairs or different shapes.
    """
    if baseline.shape != defence.shape or len(baseline) < 2:
        shapes = f"{baseline.shape} and {defence.shape}"
        raise ValueError(f"ranks of shapes {shapes}: needed are two pairs, the same of both")
    both = ((baseline, baseline), (defence, defence), (baseline, defence))
    of_examples = np.stack([_of_examples(*ranks) for ranks in both])
    n_pairs, n_examples = baseline.shape
    by_pairs = np.zeros((3, 3))
    if n_pairs >= FEWEST_PAIRS:
        left_out = [_leave_one_out(*ranks) for ranks in both]
        by_pairs = np.cov(left_out) * (n_pairs - 1) ** 2 / n_pairs
    by_examples = np.cov(of_examples) / n_examples
    return Products(of_examples.mean(axis=1), by_examples, by_pairs, n_pairs, n_examples)


def _of_examples(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return each example's mean product over ordered pairs k != l, (n_examples,)."""
    n_pairs = len(one)
    same_pair = (one * other).sum(axis=0)
    return (one.sum(axis=0) * other.sum(axis=0) - same_pair) / (n_pairs * (n_pairs - 1))


def _leave_one_out(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the mean products without each pair in turn, (n_pairs,)."""
    crossed = one @ other.T / one.shape[1]
    np.fill_diagonal(crossed, 0.0)
    left = crossed.sum() - crossed.sum(axis=0) - crossed.sum(axis=1)
    return left / ((len(one) - 1) * (len(one) - 2))


def correlation(of_seeds: Sequence[Products]) -> Correlation:
    """Return the correlation over seeds, whose models and examples are taken as independent.

    Both covariances hold the noise of single answers. So the standard error is the larger of the
    two and not their sum.
    """
    n_seeds = len(of_seeds)
    baseline, defence, crossed = means = np.mean([seed.means for seed in of_seeds], axis=0)
    by_examples = np.sum([seed.by_examples for seed in of_seeds], axis=0) / n_seeds**2
    by_pairs = np.sum([seed.by_pairs for seed in of_seeds], axis=0) / n_seeds**2
    errors = np.sqrt(np.diag(by_examples))
    reliability = float(defence), float(errors[1])
    if not (means > FEWEST_ERRORS * errors)[:2].all():
        return Correlation(*reliability)
    root = np.sqrt(baseline * defence)
    value = crossed / root
    slope = np.array([-value / (2 * baseline), -value / (2 * defence), 1 / root])
    error = np.sqrt(max(slope @ by_examples @ slope, slope @ by_pairs @ slope, 0.0))
    ends = value + quantile(np.inf) * error * np.array([0.0, -1.0, 1.0])
    return Correlation(*reliability, *np.clip(ends, -1.0, 1.0).tolist())
