"""The likelihood-ratio attack (Carlini et al., S&P 2022).

Does the target answer an example as shadow models do that were trained on it, or as those that
were not?

An answer is the log-odds of the true label, which is near to normal. Variances are each
example's own (`per_example`, for many shadows) or one for all examples (`pooled`: the mean of
the examples' own, unbiased). Those of the shadows inside and outside are apart.
"""

from collections.abc import Callable
from typing import Literal

import numpy as np

from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.references import Moments, References, Score, scores_by_references
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: A standard deviation below this is rounding.
LEAST_DEVIATION = 1e-6

Deviation = Callable[[Moments], float | np.ndarray]


@attack(
    title="LiRA, online",
    by_example=True,
    inside=True,
    fewest_with_option=(("variance", "per_example", 6),),
)
def lira_online(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    variance: Literal["pooled", "per_example"] = "pooled",
) -> np.ndarray:
    """Return the log ratio of both normal densities, minus the best threshold on the shadows.

    Shape (n_targets, n_examples). Raises ValueError where the shadows are too few.
    """

    def make(references: References) -> Score:
        inside_deviation, outside_deviation = (
            _deviation(of, variance) for of in (references.inside, references.outside)
        )

        def score(answer: np.ndarray, _: np.ndarray, others: References) -> np.ndarray:
            return _log_density(answer, others.inside, inside_deviation) - _log_density(
                answer, others.outside, outside_deviation
            )

        return score

    return scores_by_references(targets, shadows, answers, make)


@attack(
    title="LiRA, offline", by_example=True, fewest_with_option=(("variance", "per_example", 6),)
)
def lira_offline(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    variance: Literal["pooled", "per_example"] = "pooled",
) -> np.ndarray:
    """Return how many standard deviations the answer lies above those of shadows outside.

    These were not trained on the example. The best threshold on the shadows is subtracted. Shape
    (n_targets, n_examples). Raises ValueError where the shadows are too few.
    """
    return scores_by_references(targets, shadows, answers, offline(variance))


def offline(variance: str) -> Callable[[References], Score]:
    def make(references: References) -> Score:
        deviation = _deviation(references.outside, variance)
        return lambda answer, _, others: (answer - others.outside.mean) / deviation(others.outside)

    return make


def answers(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return log-odds of the true label."""
    return label_log_odds(logits.astype(np.float64), labels)


def _deviation(of_all: Moments, variance: str) -> Deviation:
    """Return the function that gives the standard deviations at each example.

    The pooled one is always that of all shadows, whichever are left out.
    """
    if variance == "per_example":
        return lambda moments: _root(moments.deviations, moments.count - 1)
    pooled = _root(of_all.deviations.sum(), np.maximum(of_all.count - 1, 0).sum())
    return lambda _: pooled


def _root(deviations: np.ndarray, degrees_of_freedom: np.ndarray) -> np.ndarray:
    """Return the standard deviation; NaN where there are no degrees of freedom."""
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.where(degrees_of_freedom > 0, deviations / degrees_of_freedom, np.nan)
    return np.maximum(np.sqrt(variance), LEAST_DEVIATION)


def _log_density(answers: np.ndarray, moments: Moments, deviation: Deviation) -> np.ndarray:
    """Return the log density of the normal distribution, up to a constant."""
    spread = deviation(moments)
    return -(((answers - moments.mean) / spread) ** 2) / 2 - np.log(spread)
