"""The likelihood-ratio attack on several answers at once (Carlini et al., S&P 2022, section VI).

Means are each example's own, of the shadows inside and outside; the covariances of the answers, inside and outside, are one for
all examples. Who has shadows inside and outside compares multivariate normals; who has none inside averages over the answers.
Differs: the released code averages the answers' ratios in both cases, as if they were independent.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mia_pruning.attacks.lira import LEAST_DEVIATION, answers
from mia_pruning.attacks.references import check_enough, pairs
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True, inside=True, probes=("augmented",))
def lira_augmented(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """The log of the ratio of both densities of the answers on the image and on its augmented copies."""
    return _scores(targets, shadows, _with_copies, _log_ratio, inside=True)


@attack(by_example=True, probes=("augmented",))
def lira_offline_augmented(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """How many deviations the answers on the image and on its copies lie above those of shadows outside, on average."""
    return _scores(targets, shadows, _with_copies, _mean_deviation, inside=False)


@attack(by_example=True, inside=True, dense=True)
def lira_joint(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Both releases are seen: the ratio for the answers of the pruned model and of the dense one that it was taken from."""
    return _scores(targets, shadows, _of_both_releases, _log_ratio, inside=True)


def _with_copies(signals: Signals) -> np.ndarray:
    """(n_models, n_examples, 1 + n_copies), model by model, so that no copy of all logits is made."""
    asked = zip(signals.logits, signals.probes["augmented"], strict=True)
    labels = signals.labels[:, np.newaxis]
    return np.stack([answers(np.concatenate([plain[:, np.newaxis], copies], axis=1), labels) for plain, copies in asked])


def _of_both_releases(signals: Signals) -> np.ndarray:
    return np.stack([answers(logits, signals.labels) for logits in (signals.logits, signals.dense)], axis=-1)


@dataclass(frozen=True)
class Side:
    """Shadow models inside, or outside, at each example: how many (n_examples, 1) and the sum of their answers (n_examples, k);
    the covariance (k, k) of answers around an example's mean.
    """

    count: np.ndarray
    total: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, chosen: np.ndarray) -> "Side":
        """values (n_models, n_examples, k) where chosen (n_models, n_examples)."""
        count, total = _sums(values, chosen)
        return cls(count, total, _covariance(values, chosen, _mean(count, total)))

    def without(self, values: np.ndarray, chosen: np.ndarray) -> "Side":
        """The means without these models; the covariance stays that of all."""
        count, total = _sums(values, chosen)
        return replace(self, count=self.count - count, total=self.total - total)

    def centred(self, values: np.ndarray) -> np.ndarray:
        """Values (n_examples, k) less the means; NaN where there is no model."""
        return values - _mean(self.count, self.total)

    @cached_property
    def deviations(self) -> np.ndarray:
        """(k,)"""
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def whitening(self) -> np.ndarray:
        """(k, k), which gives deviations from the means unit covariance: the inverse of Cholesky's factor, transposed."""
        return np.linalg.inv(np.linalg.cholesky(self.covariance)).T


def _sums(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return chosen.sum(axis=0)[:, np.newaxis], np.einsum("mek,me->ek", values, chosen.astype(values.dtype))


def _mean(count: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _covariance(values: np.ndarray, chosen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Pooled over examples and unbiased."""
    free = np.maximum(chosen.sum(axis=0) - 1, 0).sum()
    if not free:
        raise ValueError(
            f"{len(values)} shadow models are too few: no example has two of them inside, or two outside, "
            "from which deviations could be learnt"
        )
    deviations = np.where(chosen[..., np.newaxis], values - mean, 0.0)
    covariance = np.einsum("mek,mel->kl", deviations, deviations, optimize=True) / free
    return covariance + (LEAST_DEVIATION**2 + 1e-9 * np.trace(covariance)) * np.eye(len(covariance))


#: a model's answers (n_examples, k) and the sides, outside first -> scores (n_examples,)
Score = Callable[..., np.ndarray]


def _log_ratio(values: np.ndarray, outside: Side, inside: Side) -> np.ndarray:
    def log_density(side: Side) -> np.ndarray:
        return np.linalg.slogdet(side.whitening)[1] - ((side.centred(values) @ side.whitening) ** 2).sum(axis=-1) / 2

    return log_density(inside) - log_density(outside)


def _mean_deviation(values: np.ndarray, outside: Side) -> np.ndarray:
    return (outside.centred(values) / outside.deviations).mean(axis=-1)


def _scores(
    targets: Signals, shadows: Signals, answers_of: Callable[[Signals], np.ndarray], score: Score, *, inside: bool
) -> np.ndarray:
    """Scores of the targets less the threshold that is best on the shadows, each attacked by the others without its twin."""
    values = answers_of(shadows)
    chosen = [~shadows.membership, shadows.membership][: 1 + inside]
    sides = [Side.of(values, of_side) for of_side in chosen]
    of_shadows = np.stack(
        [
            score(values[row], *(side.without(values[out], of[out]) for side, of in zip(sides, chosen, strict=True)))
            for row, out in enumerate(pairs(shadows.membership, shadows.candidates))
        ]
    )
    found = np.stack([score(of_one_model, *sides) for of_one_model in answers_of(targets)])
    check_enough(found, targets, of_shadows, shadows)
    known = shadows.candidates & np.isfinite(of_shadows)
    threshold = best_threshold(of_shadows[known], shadows.membership[known])
    return found - threshold
