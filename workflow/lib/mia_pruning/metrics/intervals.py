"""Intervals over targets *and* examples, by a two-way bootstrap.

Targets are models, and all of them are attacked on the same examples. So there are three kinds
of luck: that of the models, that of the examples, and that of each single cell. The pigeonhole
bootstrap draws targets and examples with replacement at once (Owen 2007, The Annals of Applied
Statistics 1(2)). It counts the cells' luck three times. Drawing targets alone and examples alone
shows how large this luck is, so the surplus is subtracted:

    variance = V(targets) + V(examples) - V(cells),  V(cells) = V(both) - V(targets) - V(examples)

The interval is symmetric: the estimate +- Student's quantile times the standard error. The
degrees of freedom are Satterthwaite's: the number of targets minus 1 where models decide, more
where examples do.

All metrics of one split share one draw, so differences between defences or attacks are paired by
construction.
"""

from dataclasses import dataclass

import numpy as np
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Draws:
    """Bootstrap weights of targets and examples.

    targets (n_replicates + 1, n_targets), pool (.., n_pool) and test (.., n_test) hold whole
    numbers as float32. Replicate 0 is the sample itself, so every statistic's first value is its
    estimate.
    """

    targets: np.ndarray
    pool: np.ndarray
    test: np.ndarray


@dataclass(frozen=True)
class Replicates:
    """One metric of one split, under the draws.

    The difference of two is the replicates of the paired difference.

    per_target     (n_targets,) the metric of each target on all examples
    examples_drawn (n_replicates,) its mean over all targets, examples drawn
    both_drawn     (n_replicates,) its mean over drawn targets, examples drawn
    """

    per_target: np.ndarray
    examples_drawn: np.ndarray
    both_drawn: np.ndarray

    def __sub__(self, other: "Replicates") -> "Replicates":
        return Replicates(*(getattr(self, name) - getattr(other, name) for name in vars(self)))

    def __add__(self, other: "Replicates") -> "Replicates":
        return Replicates(*(getattr(self, name) + getattr(other, name) for name in vars(self)))

    def __mul__(self, factor: float) -> "Replicates":
        return Replicates(*(factor * values for values in vars(self).values()))

    def variances(self) -> tuple[float, float, float]:
        """Return variances of the mean over targets: due to targets, due to examples, total."""
        n_targets, examples = self.per_target.size, float(self.examples_drawn.var(ddof=1))
        if n_targets == 1:
            return 0.0, examples, examples
        targets = float(self.per_target.var(ddof=1)) / n_targets
        cells = (
            float(self.both_drawn.var(ddof=1)) - targets * (n_targets - 1) / n_targets - examples
        )
        return targets, examples, max(targets + examples - max(cells, 0.0), targets, examples)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    low and high are the ends at `CONFIDENCE`. The standard error and its degrees of freedom give
    the ends at any other confidence.
    """

    estimate: float
    low: float
    high: float
    standard_error: float
    degrees_of_freedom: float


def draw(
    n_targets: int, n_pool: int, n_test: int, n_replicates: int, rng: np.random.Generator
) -> Draws:
    return Draws(*(_resampled(size, n_replicates, rng) for size in (n_targets, n_pool, n_test)))


def _resampled(size: int, n_replicates: int, rng: np.random.Generator) -> np.ndarray:
    counts = rng.multinomial(size, np.full(size, 1 / size), size=n_replicates)
    return np.concatenate([np.ones((1, size)), counts]).astype(np.float32)


def replicates(values: np.ndarray, draws: Draws) -> Replicates:
    """Return what an interval needs of a metric's values (n_replicates + 1, n_targets).

    The rows of values are draws of examples.
    """
    drawn = values[1:]
    both = (drawn * draws.targets[1:]).sum(axis=1) / draws.targets[1:].sum(axis=1)
    return Replicates(values[0], drawn.mean(axis=1), both)


def interval(runs: list[Replicates], bounds: tuple[float, float]) -> Interval:
    """Return the interval of the mean over seeds; `runs` has one entry for each seed.

    Models of different seeds are independent. Their examples may be the same ones of the data
    set. So the examples' luck is taken as common to all seeds and does not average out, which is
    cautious where pools overlap little. With one target for each seed the interval covers
    examples only.
    """
    estimate = float(np.mean([run.per_target.mean() for run in runs]))
    parts = [run.variances() for run in runs]
    variance = (
        sum(whole - examples for _, examples, whole in parts)
        + sum(np.sqrt(examples) for _, examples, _ in parts) ** 2
    )
    uncertain = sum(
        targets**2 / (run.per_target.size - 1)
        for run, (targets, *_) in zip(runs, parts, strict=True)
        if targets > 0
    )
    error, freedom = (
        float(np.sqrt(variance)) / len(runs),
        variance**2 / uncertain if uncertain > 0 else np.inf,
    )
    half = quantile(freedom) * error
    return Interval(
        estimate,
        max(estimate - half, bounds[0]),
        min(estimate + half, bounds[1]),
        error,
        float(freedom),
    )


def quantile(degrees_of_freedom: float, confidence: float = CONFIDENCE) -> float:
    """Return Student's two-sided quantile; the normal one for infinite degrees of freedom."""
    return float(stats.t.ppf((1 + confidence) / 2, degrees_of_freedom))
