"""RMIA, the robust attack (Zarifzadeh et al., ICML 2024): which share of a population is beaten?

An example's likelihood ratio is p(x | target) / p(x). Here p is the probability of the true
label, and p(x) its mean over shadow models. The ratio is compared with that of each example z of
the population, on which no model was trained. The score is the share of z whose ratio, times
gamma, is smaller. It is exact: one sort of the population, and a search for each example. Ties
are broken by the ratio.

`auto` is chosen on the shadow models, each attacked by the other ones without its twin: the
value with the highest AUC. The authors choose `a` in this way, with one reference model as the
target. An `a` near 0 suits networks that memorise, an `a` near 1 those that hardly do. A
temperature of 2 helps where most probabilities of members are near 1.

Differs: the authors fix the temperature.

The authors ran this (ml_privacy_meter, research/2024_rmia, CIFAR-10):

    probes:
      augmented: {use: augmented, n_copies: 17}
    attacks:
      rmia_as_published: {use: rmia_offline_augmented, softmax: taylor, temperature: 2, gamma: 2}

Its 18 queries are the image and 17 copies; `a` is left at `auto`.

Differs: they drop the lowest and highest fifth of the models from each mean; here all count.
They also ask about copies of z, where here z is asked about once.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np

from mia_pruning.attacks.choosing import TEMPERATURES, best_on_shadows, grid
from mia_pruning.attacks.ratios import Means, log_odds, log_ratio, majority, share_beaten
from mia_pruning.attacks.references import FEWEST_POPULATION, check_enough, pairs
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: `auto` chooses among these values of `a`.
GRID_OF_A = tuple(step / 10 for step in range(11))


@attack(title="RMIA, online", by_example=True, inside=True, population=True)
def rmia_online(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, "> 0"] = 1.0,
    softmax: Literal["plain", "taylor"] = "plain",
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return shares beaten, with p(x) from shadows trained on x and shadows not trained on x.

    The mean of either side has equal weight. The best threshold on the shadows is subtracted.
    Shape (n_targets, n_examples). Raises ValueError where the population or the shadows are too
    few.
    """
    return _guesses(targets, shadows, Kind(softmax, gamma, online=True), 1.0, temperature)


@attack(title="RMIA, offline", by_example=True, population=True)
def rmia_offline(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, "> 0"] = 1.0,
    a: Annotated[Literal["auto"] | float, ">= 0, <= 1"] = "auto",
    softmax: Literal["plain", "taylor"] = "plain",
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return shares beaten, with p(x) guessed from shadows not trained on x.

    A model trained on x is taken to have a p + 1 - a where these have p. The best threshold on
    the shadows is subtracted. Shape (n_targets, n_examples). Raises ValueError where the
    population or the shadows are too few.
    """
    return _guesses(targets, shadows, Kind(softmax, gamma), a, temperature)


@attack(
    title="RMIA, online, augmented queries",
    by_example=True,
    inside=True,
    population=True,
    probes=("augmented",),
)
def rmia_online_augmented(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, "> 0"] = 1.0,
    softmax: Literal["plain", "taylor"] = "plain",
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return the same as `rmia_online`, where the example and its copies vote on each z.

    The copies are the augmented ones.
    """
    kind = Kind(softmax, gamma, online=True, augmented=True)
    return _guesses(targets, shadows, kind, 1.0, temperature)


@attack(
    title="RMIA, offline, augmented queries",
    by_example=True,
    population=True,
    probes=("augmented",),
)
def rmia_offline_augmented(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    gamma: Annotated[float, "> 0"] = 1.0,
    a: Annotated[Literal["auto"] | float, ">= 0, <= 1"] = "auto",
    softmax: Literal["plain", "taylor"] = "plain",
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return the same as `rmia_offline`, where the example and its copies vote on each z.

    The copies are the augmented ones.
    """
    return _guesses(targets, shadows, Kind(softmax, gamma, augmented=True), a, temperature)


@dataclass(frozen=True)
class Kind:
    """The form of the attack.

    It says what p is, by how much z must be beaten, and which shadows and queries count.
    """

    softmax: str = "plain"
    gamma: float = 1.0
    online: bool = False
    augmented: bool = False


def raw_scores(
    targets: Signals,
    shadows: Signals,
    kind: Kind,
    a: float | str = "auto",
    temperature: float | str = "auto",
) -> tuple[np.ndarray, np.ndarray]:
    """Return shares beaten by the targets and by the shadows, without a threshold.

    Shapes (n_models, n_examples). Each shadow is attacked by the other ones without its twin;
    NaN where these are too few. Raises ValueError where the population or the shadows are too
    few.
    """
    _check_population(shadows)
    best = choose(shadows, kind, a, temperature)
    answers = Answers.of(targets, kind, best.temperature)
    everyone = np.ones((1, len(shadows.logits)), dtype=bool)
    references = best.comparison.answers
    attacked = Comparison.of(answers, references, shadows.membership, everyone, online=kind.online)
    scores = attacked.shares(best.a, kind.gamma)
    of_shadows = best.comparison.shares(best.a, kind.gamma)
    check_enough(scores, targets, of_shadows, shadows)
    return scores, of_shadows


class Setting(NamedTuple):
    """A setting that `auto` may choose, and the shadows compared with each other under it."""

    temperature: float
    a: float
    comparison: "Comparison"

    def __str__(self) -> str:
        return f"temperature {self.temperature:g}, a {self.a:g}"


def choose(shadows: Signals, kind: Kind, a: float | str, temperature: float | str) -> Setting:
    """Return the setting of the highest AUC on the shadows; the first of equal ones.

    Each shadow is attacked by the other ones without its twin. A number is taken as it is. The
    AUC of the ratio is that of the share beaten, so no population is needed to choose.
    """
    settings = _settings(shadows, kind, grid(temperature, TEMPERATURES), grid(a, GRID_OF_A))
    return best_on_shadows(settings, lambda setting: setting.comparison.ratios(setting.a), shadows)


def _settings(
    shadows: Signals,
    kind: Kind,
    temperatures: Sequence[float],
    values_of_a: Sequence[float],
) -> Iterator[Setting]:
    others = _others(shadows)
    for temperature in temperatures:
        answers = Answers.of(shadows, kind, temperature)
        members = shadows.membership
        comparison = Comparison.of(answers, answers, members, others, online=kind.online)
        for a in values_of_a:
            yield Setting(temperature, a, comparison)


def _others(shadows: Signals) -> np.ndarray:
    """Return the shadows that each is compared with: all but itself and its twin.

    Shape (n_shadows, n_shadows) bool.
    """
    others = np.ones((len(shadows.logits),) * 2, dtype=bool)
    for row, left_out in enumerate(pairs(shadows.membership, shadows.candidates)):
        others[row, left_out] = False
    return others


@dataclass(frozen=True)
class Answers:
    """Log-odds of the label.

    On the pool they are (n_queries, n_models, n_examples), on the population (n_models,
    n_population).
    """

    pool: np.ndarray
    population: np.ndarray

    @classmethod
    def of(cls, signals: Signals, kind: Kind, temperature: float) -> "Answers":
        """Return the answers, computed model by model, so that no copy of all logits is made."""
        options = {"softmax": kind.softmax, "temperature": temperature}
        queries = [signals.logits[:, np.newaxis]]
        if kind.augmented:
            queries.append(np.moveaxis(signals.probes["augmented"], 2, 1))
        asked = [of_query for of_kind in queries for of_query in np.moveaxis(of_kind, 1, 0)]

        def of_models(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
            return np.stack([log_odds(of_model, labels, **options) for of_model in logits])

        pool = np.stack([of_models(of_query, signals.labels) for of_query in asked])
        return cls(pool, of_models(signals.population, signals.population_labels))


@dataclass(frozen=True)
class Comparison:
    """Answers of some models, and the means over the shadows that each is compared with.

    The means are at each query and on the population.
    """

    answers: Answers
    expected: Sequence[Means]
    expected_of_population: Means

    @classmethod
    def of(
        cls,
        answers: Answers,
        references: Answers,
        membership: np.ndarray,
        models: np.ndarray,
        *,
        online: bool,
    ) -> "Comparison":
        """Return the comparison of answers with those of the shadows, `references`.

        membership (n_shadows, n_examples) is that of the shadows. models (n_models or 1,
        n_shadows) bool says which shadows each model is compared with.
        """
        outside = [Means.of(odds, ~membership, models) for odds in references.pool]
        if online:
            inside = [Means.of(odds, membership, models) for odds in references.pool]
            outside = [one + other for one, other in zip(inside, outside, strict=True)]
        everywhere = np.ones(references.population.shape, dtype=bool)
        return cls(answers, outside, Means.of(references.population, everywhere, models))

    def ratios(self, a: float) -> np.ndarray:
        """Return log-ratios (n_models, n_examples) that more than half of the queries reach."""
        queries = zip(self.answers.pool, self.expected, strict=True)
        ratios = [log_ratio(odds, means.corrected(a)) for odds, means in queries]
        return majority(np.stack(ratios))

    def shares(self, a: float, gamma: float) -> np.ndarray:
        """Return the share of the population that each example beats, (n_models, n_examples)."""
        expected = self.expected_of_population.corrected(a)
        of_population = log_ratio(self.answers.population, expected)
        compared = zip(self.ratios(a), of_population, strict=True)
        return np.stack([share_beaten(ratios, beaten, gamma) for ratios, beaten in compared])


def _guesses(
    targets: Signals,
    shadows: Signals,
    kind: Kind,
    a: float | str,
    temperature: float | str,
) -> np.ndarray:
    """Return shares minus the threshold of the highest balanced accuracy on the shadows.

    Shape (n_targets, n_examples).
    """
    scores, of_shadows = raw_scores(targets, shadows, kind, a, temperature)
    scored = shadows.candidates & np.isfinite(of_shadows)
    return scores - best_threshold(of_shadows[scored], shadows.membership[scored])


def _check_population(signals: Signals) -> None:
    n_population = 0 if signals.population is None else signals.population.shape[1]
    if n_population < FEWEST_POPULATION:
        raise ValueError(
            f"RMIA, population: split.test gives {n_population} examples to compare with. "
            f"Set split.test to at least {FEWEST_POPULATION}."
        )
