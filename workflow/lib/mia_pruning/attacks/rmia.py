"""The robust attack (Zarifzadeh et al., ICML 2024): how many examples of the population does an example beat?

The likelihood ratio of an example, p(x | target) / p(x), is compared with that of each example z on which nobody was trained; p
is the probability of the true label, and p(x) its mean over shadow models. The score is the share of z whose ratio, gamma times,
is smaller: exact, by one sort of the population and a search for each example.
"""

from typing import Annotated

import numpy as np
from scipy.special import log_softmax

from mia_pruning.attacks.references import Moments, References, Score, scores_by_references
from mia_pruning.attacks.thresholds import of_label
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True, inside=True)
def rmia_online(
    targets: Signals, shadows: Signals, rng: np.random.Generator, *, gamma: Annotated[float, "> 0"] = 1.0
) -> np.ndarray:
    """p(x) is the mean over shadows that were trained on x and over those that were not, both with equal weight."""

    def score(p: np.ndarray, p_population: np.ndarray, others: References) -> np.ndarray:
        expected = (others.inside.mean + others.outside.mean) / 2
        return share_beaten(_ratio(p, expected), _ratio(p_population, others.population.mean), gamma)

    return scores_by_references(targets, shadows, label_probability, lambda _: score)


@attack(by_example=True)
def rmia_offline(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, "> 0"] = 1.0,
    a: Annotated[float, ">= 0, <= 1"] = 0.3,
) -> np.ndarray:
    """p(x) is guessed from shadows not trained on x: one that was is taken to have a p + 1 - a where they have p."""
    return scores_by_references(targets, shadows, label_probability, lambda _: offline_share(gamma, a))


def offline_share(gamma: float, a: float) -> Score:
    def expected(moments: Moments) -> np.ndarray:
        return (1 + a) / 2 * moments.mean + (1 - a) / 2

    def score(p: np.ndarray, p_population: np.ndarray, others: References) -> np.ndarray:
        return share_beaten(_ratio(p, expected(others.outside)), _ratio(p_population, expected(others.population)), gamma)

    return score


def share_beaten(ratios: np.ndarray, of_population: np.ndarray, gamma: float) -> np.ndarray:
    """For each ratio the share of the population whose ratio, times gamma, is smaller; NaN for NaN.

    >>> share_beaten(np.array([0.5, 1.0, 3.0]), np.array([1.0, 0.2, 2.0]), gamma=1.0)
    array([0.33333333, 0.33333333, 1.        ])
    """
    smaller = np.searchsorted(np.sort(gamma * of_population), ratios, side="left") / of_population.size
    return np.where(np.isnan(ratios), np.nan, smaller)


def label_probability(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.exp(of_label(log_softmax(logits.astype(np.float64), axis=-1), labels))


def _ratio(p: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """An expectation that rounds to nothing is taken as the least positive number."""
    return p / np.maximum(expected, np.finfo(np.float64).tiny)
