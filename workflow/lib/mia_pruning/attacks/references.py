"""Functions of attacks that compare a target with shadow models on the very same example.

The threshold is set on the shadow models. Each is attacked by the other ones, without its twin,
as a target is attacked without its twin. The membership of a model can be read off that of its
twin.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mia_pruning.metrics.membership import best_threshold
from mia_pruning.types import Signals

#: The first number is two pairs of twins, so that one can be attacked by the other. The second
#: is three pairs, for standard deviations at each example.
FEWEST_SHADOWS, FEWEST_PER_EXAMPLE = 4, 6
#: With fewer examples in the population, a share of it has steps of more than a tenth.
FEWEST_POPULATION = 10


@dataclass(frozen=True)
class Moments:
    """Moments of the values of some models at each example, (n_examples,) each.

    They are the number of models, the sum of their values, and the sum of their squares.
    """

    count: np.ndarray
    total: np.ndarray
    squares: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, chosen: np.ndarray) -> "Moments":
        """Return the moments of values (n_models, n_examples) where chosen, of the same shape."""
        kept = np.where(chosen, values, 0.0)
        return cls(chosen.sum(axis=0), kept.sum(axis=0), np.einsum("me,me->e", kept, kept))

    def __sub__(self, other: "Moments") -> "Moments":
        return Moments(
            self.count - other.count, self.total - other.total, self.squares - other.squares
        )

    @property
    def mean(self) -> np.ndarray:
        """Mean of the values; NaN where there are no models."""
        return np.divide(
            self.total, self.count, out=np.full(self.total.shape, np.nan), where=self.count > 0
        )

    @property
    def deviations(self) -> np.ndarray:
        """Sum of squared deviations from the mean."""
        return np.maximum(
            self.squares
            - np.where(self.count > 0, self.total, 0.0) ** 2 / np.maximum(self.count, 1),
            0.0,
        )


@dataclass(frozen=True)
class References:
    """Moments of shadow models that were trained on each example, and of those that were not.

    Those on the population, on which no model was trained, are apart.
    """

    inside: Moments
    outside: Moments
    population: Moments

    @classmethod
    def of(cls, values: np.ndarray, membership: np.ndarray, population: np.ndarray) -> "References":
        everywhere = np.ones(population.shape, dtype=bool)
        return cls(
            Moments.of(values, membership),
            Moments.of(values, ~membership),
            Moments.of(population, everywhere),
        )

    def __sub__(self, other: "References") -> "References":
        return References(
            self.inside - other.inside,
            self.outside - other.outside,
            self.population - other.population,
        )


#: A score takes a model's values on the pool (n_examples,) and on the population
#: (n_population,), and the references. It returns scores (n_examples,).
Score = Callable[[np.ndarray, np.ndarray, References], np.ndarray]
#: A statistic takes logits (..., n_classes) and labels (...), and returns (...).
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


def scores_by_references(
    targets: Signals,
    shadows: Signals,
    statistic: Statistic,
    make_score: Callable[[References], Score],
) -> np.ndarray:
    """Return scores minus the threshold of the highest balanced accuracy on the shadows.

    Shape (n_targets, n_examples); NaN where no score is known. make_score is given all shadows,
    for what may be learned from all at once.
    """
    scores, of_shadows = raw_scores(targets, shadows, statistic, make_score)
    scored = shadows.candidates & np.isfinite(of_shadows)
    return scores - best_threshold(of_shadows[scored], shadows.membership[scored])


def raw_scores(
    targets: Signals,
    shadows: Signals,
    statistic: Statistic,
    make_score: Callable[[References], Score],
) -> tuple[np.ndarray, np.ndarray]:
    """Return scores of targets and of shadows, (n_models, n_examples) each, without a threshold.

    Each shadow is attacked by the other ones without its twin; NaN where these are too few.
    Raises ValueError as `check_enough` does.
    """
    values, population = _values(shadows, statistic)
    references = References.of(values, shadows.membership, population)
    score = make_score(references)
    attacked = zip(*_values(targets, statistic), strict=True)
    scores = np.stack(
        [score(of_pool, of_population, references) for of_pool, of_population in attacked]
    )
    of_shadows = np.stack(
        [
            score(
                values[row],
                population[row],
                references
                - References.of(*(a[left_out] for a in (values, shadows.membership, population))),
            )
            for row, left_out in enumerate(pairs(shadows.membership, shadows.candidates))
        ]
    )
    check_enough(scores, targets, of_shadows, shadows)
    return scores, of_shadows


def check_enough(
    scores: np.ndarray, targets: Signals, of_shadows: np.ndarray, shadows: Signals
) -> None:
    """Refuse too few shadows, by ValueError.

    They are too few if a candidate of a target has no score (NaN), or if no shadow has one.
    """
    too_few = f"{len(of_shadows)} shadow models are too few"
    unscored = np.isnan(scores[targets.candidates]).mean()
    if unscored:
        raise ValueError(
            f"{too_few}: {unscored:.1%} of the targets' examples are not in, or not out of, as many of them as are needed: one, "
            "or two for a deviation at each example"
        )
    if not np.isfinite(of_shadows[shadows.candidates]).any():
        raise ValueError(
            f"{too_few}: without one of them and its twin there are not enough to compare it with; needed are {FEWEST_SHADOWS}, "
            f"or {FEWEST_PER_EXAMPLE} for a deviation at each example"
        )


def _values(signals: Signals, statistic: Statistic) -> tuple[np.ndarray, np.ndarray]:
    """Return the statistic on the pool and on the population.

    It is computed model by model, so that no copy of all logits is made.
    """
    values = np.stack([statistic(logits, signals.labels) for logits in signals.logits])
    if signals.population is None:
        return values, np.empty((len(values), 0))
    return values, np.stack(
        [statistic(logits, signals.population_labels) for logits in signals.population]
    )


def pairs(membership: np.ndarray, candidates: np.ndarray) -> list[list[int]]:
    """Return for each model the rows of itself and of its twin.

    The twin was trained on exactly the candidates that the model was not trained on.

    >>> halves = np.array([[True, False], [False, True], [True, True]])
    >>> pairs(halves, np.ones_like(halves))
    [[0, 1], [1, 0], [2]]
    """
    trained, not_trained, could = (
        np.packbits(rows, axis=1) for rows in (membership, candidates & ~membership, candidates)
    )
    found = {
        (inside.tobytes(), both.tobytes()): row
        for row, (inside, both) in enumerate(zip(trained, could, strict=True))
    }
    twins = [
        found.get((outside.tobytes(), both.tobytes()))
        for outside, both in zip(not_trained, could, strict=True)
    ]
    return [[row] if twin in (None, row) else [row, twin] for row, twin in enumerate(twins)]
