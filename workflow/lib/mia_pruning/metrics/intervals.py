"""Intervals over targets *and* examples, by a two-way bootstrap.

Source: the pigeonhole bootstrap (Owen 2007, The Annals of Applied Statistics 1(2)): targets and examples are each drawn with
replacement, and a cell counts as often as its row times its column was drawn. It covers both kinds of luck, that of the models
and that of the examples that all models share; it is slightly conservative. The interval is symmetric, estimate +- t * standard
error, with as many degrees of freedom as there are targets less one, because few targets make percentiles too narrow.

All cells of one split share one draw, so differences between defences or attacks are paired by construction.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Draws:
    """Bootstrap weights; replicate 0 is the sample itself, so every statistic's first value is its estimate.

    targets (n_replicates + 1, n_targets), pool (n_replicates + 1, n_pool), test (n_replicates + 1, n_test): whole numbers as
    float32
    """

    targets: np.ndarray
    pool: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Interval:
    estimate: float
    low: float
    high: float


def draw(n_targets: int, n_pool: int, n_test: int, n_replicates: int, rng: np.random.Generator) -> Draws:
    return Draws(*(_resampled(size, n_replicates, rng) for size in (n_targets, n_pool, n_test)))


def _resampled(size: int, n_replicates: int, rng: np.random.Generator) -> np.ndarray:
    counts = rng.multinomial(size, np.full(size, 1 / size), size=n_replicates)
    return np.concatenate([np.ones((1, size)), counts]).astype(np.float32)


def over_targets(values: np.ndarray, draws: Draws) -> np.ndarray:
    """The weighted mean over targets in each replicate; values (n_replicates + 1, n_targets)."""
    return (values * draws.targets).sum(axis=1) / draws.targets.sum(axis=1)


def interval(replicates: list[np.ndarray], n_targets: list[int], bounds: tuple[float, float]) -> Interval:
    """The interval of the mean over seeds; replicates and n_targets have one entry a seed, replicate 0 is the estimate.

    Splits of different seeds are taken as independent. With one target a seed the interval covers examples only.
    """
    estimate = float(np.mean([values[0] for values in replicates]))
    variances = [
        values[1:].var(ddof=1) * (n / (n - 1) if n > 1 else 1.0) for values, n in zip(replicates, n_targets, strict=True)
    ]
    standard_error = float(np.sqrt(np.sum(variances))) / len(replicates)
    half = quantile(n_targets) * standard_error
    return Interval(estimate, max(estimate - half, bounds[0]), min(estimate + half, bounds[1]))


def quantile(n_targets: list[int]) -> float:
    """The two-sided 95 % quantile: Student's where targets vary, normal where there is one target a seed."""
    freedom = sum(n - 1 for n in n_targets)
    upper = (1 + CONFIDENCE) / 2
    return float(stats.t.ppf(upper, freedom) if freedom else stats.norm.ppf(upper))
