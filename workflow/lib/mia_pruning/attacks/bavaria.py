"""BaVarIA (Brännvall, "Exponential-Family Membership Inference", 2026, arXiv 2603.11799).

LiRA with a prior on each example's mean and variance of the log-odds, inside and outside apart.
The prior is normal-inverse-gamma, so the predictive density is Student's t: the paper's BaVarIA-t.

    variance ~ InverseGamma(f / 2, f v / 2)    mean | variance ~ N(m, variance / k)
    n answers with mean a and sum of squared deviations S give
    k' = k + n    m' = (k m + n a) / k'    f' = f + n    f' v' = f v + S + k n / k' (a - m)^2
    next answer ~ t with f' degrees of freedom, location m' and squared scale v' (1 + 1 / k')

With many shadows this is LiRA with each example's own variance, with few nearly LiRA with pooled
variance.

Unknown: the paper's prior, of which only the abstract was read. Differs, or may: all examples'
shadow statistics set the prior here (empirical Bayes). f and v match the mean and the variance of
the log sample variances (Smyth 2004, "Linear models and empirical Bayes methods for assessing
differential expression", section 6.2). m is the mean of the sample means, k the variance within
examples over that between them.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaln, digamma, gammaln, hyp2f1, polygamma, stdtr

from mia_pruning.attacks.lira import LEAST_DEVIATION, answers
from mia_pruning.attacks.references import (
    FEWEST_SHADOWS,
    Moments,
    References,
    Score,
    scores_by_references,
)
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: Degrees of freedom, and the ratio k, are at most this. A t distribution is then nearly normal.
MOST_FREEDOM = 1e4


@attack(title="BaVarIA, online", by_example=True, inside=True)
def bavaria_online(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Return the log ratio of the predictive densities in and out, minus the best threshold.

    Shape (n_targets, n_examples). The threshold is that on the shadows. Raises ValueError where
    no example has two shadows on a side.
    """

    return scores_by_references(targets, shadows, answers, online)


@attack(title="BaVarIA, offline", by_example=True)
def bavaria_offline(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Return the one-sided tail of the predictive density out, minus the best threshold.

    Shape (n_targets, n_examples). The threshold is that on the shadows, the tail
    `Predictive.signed_tail`. Raises ValueError where no example has two shadows outside.
    """

    def make(references: References) -> Score:
        prior = fit_prior(references.outside, "outside")
        return lambda answer, _, others: predict_next(others.outside, prior).signed_tail(answer)

    return scores_by_references(targets, shadows, answers, make)


def online(references: References) -> Score:
    """Return the score that is the log ratio, with priors that all shadows set."""
    prior_in = fit_prior(references.inside, "inside")
    prior_out = fit_prior(references.outside, "outside")

    def score(answer: np.ndarray, _: np.ndarray, others: References) -> np.ndarray:
        inside = predict_next(others.inside, prior_in).log_density(answer)
        return inside - predict_next(others.outside, prior_out).log_density(answer)

    return score


@dataclass(frozen=True)
class Prior:
    """Normal-inverse-gamma prior: in the module's letters m, k, v and f."""

    mean: float
    strength: float
    variance: float
    freedom: float


@dataclass(frozen=True)
class Predictive:
    """Student's t distribution of the next answer on each example, (n_examples,) each.

    NaN where no answer is known.
    """

    location: np.ndarray
    scale: np.ndarray
    freedom: np.ndarray

    def log_density(self, answer: np.ndarray) -> np.ndarray:
        """Return the logarithm of the density at each answer.

        It is up to a constant of all distributions.
        """
        half, z = self.freedom / 2, (answer - self.location) / self.scale
        constant = gammaln(half + 0.5) - gammaln(half) - np.log(half) / 2 - np.log(self.scale)
        return constant - (half + 0.5) * np.log1p(z**2 / self.freedom)

    def signed_tail(self, answer: np.ndarray) -> np.ndarray:
        """Return -log(2 (1 - F)) at answers above the location, log(2 F) below.

        It increases in F and is 0 at the location.
        """
        z = (answer - self.location) / self.scale
        return -np.sign(z) * (np.log(2) + log_tail(np.abs(z), self.freedom))


def fit_prior(moments: Moments, side: str) -> Prior:
    """Return the prior that fits the examples' sample means and variances, by moments.

    Raises ValueError where no example has two answers.
    """
    free = moments.count - 1
    if not (free >= 1).any():
        raise ValueError(
            f"bavaria, shadow models {side}: no example has two of them, so no variance can be "
            f"learnt; needed are at least {FEWEST_SHADOWS}, in pairs that split the examples"
        )
    free, deviations = free[free >= 1], moments.deviations[free >= 1]
    variance, freedom = _fit_variances(deviations, free)
    means, count = moments.mean[moments.count > 0], moments.count[moments.count > 0]
    within = max(deviations.sum() / free.sum(), LEAST_DEVIATION**2)
    between = max(means.var() - within * (1 / count).mean(), within / MOST_FREEDOM)
    return Prior(means.mean(), within / between, variance, freedom)


def _fit_variances(deviations: np.ndarray, free: np.ndarray) -> tuple[float, float]:
    """Return scale v and degrees of freedom f of a scaled inverse chi-squared distribution.

    The examples' variances come from it.
    """
    logs = np.log(np.maximum(deviations / free, LEAST_DEVIATION**2)) - _log_chi(free)
    excess = logs.var() - polygamma(1, free / 2).mean()
    freedom = min(2 * _inverse_trigamma(excess), MOST_FREEDOM) if excess > 0 else MOST_FREEDOM
    return float(np.exp(logs.mean() + _log_chi(freedom))), freedom


def _log_chi(freedom: np.ndarray | float) -> np.ndarray | float:
    """Return the mean of log(chi-squared / freedom)."""
    return digamma(freedom / 2) - np.log(freedom / 2)


def _inverse_trigamma(value: float) -> float:
    """Return the x at which the trigamma function has this positive value.

    It is found by Newton's method on the function's inverse (Smyth 2004).

    >>> round(_inverse_trigamma(float(polygamma(1, 3.5))), 9)
    3.5
    """
    x = 0.5 + 1 / value
    for _ in range(50):
        found = polygamma(1, x)
        step = found * (1 - found / value) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)


def predict_next(moments: Moments, prior: Prior) -> Predictive:
    """Return the posterior predictive distribution of one more answer on each example."""
    count = np.where(moments.count > 0, moments.count, np.nan)
    strength, freedom = prior.strength + count, prior.freedom + count
    location = (prior.strength * prior.mean + moments.total) / strength
    shift = prior.strength * count / strength * (moments.mean - prior.mean) ** 2
    variance = (prior.freedom * prior.variance + moments.deviations + shift) / freedom
    return Predictive(location, np.sqrt(variance * (1 + 1 / strength)), freedom)


def log_tail(z: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return log P(t > z) of Student's t for z >= 0; NaN for NaN.

    Where the probability itself rounds to 0, it follows from the incomplete beta function's
    series (Abramowitz and Stegun 1964, 26.5.23 and 15.3.3), of which the logarithm is taken term
    by term.

    >>> log_tail(np.array([1.0, 100.0]), np.array([5.0, 1e4])).astype(int)
    array([   -1, -3470])
    """
    tail = stdtr(freedom, -z)
    small = tail < np.finfo(np.float64).tiny
    logs = np.log(np.where(small, 1.0, tail))
    half, spread = freedom[small] / 2, np.log1p(z[small] ** 2 / freedom[small])
    series = hyp2f1(0.5, half, half + 1, np.exp(-spread))
    logs[small] = np.log(series) - half * spread - np.log(2 * half) - betaln(half, 0.5)
    return logs
