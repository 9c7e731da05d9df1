"""The likelihood-ratio attack on several answers at once (Carlini et al., S&P 2022, section VI).

Means are each example's own, of the shadows inside and outside. The covariances of the answers,
inside and outside, are one for all examples.

Differs: the released code averages the answers' ratios, as if they were independent. Here this
mean, the ratio of one answer alone and the ratio of multivariate normals are parts. None of them
is the best everywhere, so the shadow models choose one, or teach a combination (`combining.py`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mia_pruning.attacks.combining import Part, combined_scores
from mia_pruning.attacks.lira import LEAST_DEVIATION, answers
from mia_pruning.attacks.references import check_enough, pairs
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(
    title="LiRA, online, augmented queries", by_example=True, inside=True, probes=("augmented",)
)
def lira_augmented(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Return the best part on the shadow models, or the learned combination, minus its threshold.

    Shape (n_targets, n_examples). The parts are those of `augmented_parts`.
    """
    return combined_scores(augmented_parts(targets, shadows), targets, shadows)


@attack(title="LiRA, offline, augmented queries", by_example=True, probes=("augmented",))
def lira_offline_augmented(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
) -> np.ndarray:
    """Return the same as `lira_augmented`, without shadows inside.

    The parts are those of `augmented_parts_offline`.
    """
    return combined_scores(augmented_parts_offline(targets, shadows), targets, shadows)


@attack(title="LiRA on both releases", by_example=True, inside=True, dense=True)
def lira_joint(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Return the same as `lira_augmented`, with the parts of `joint_parts`.

    Both releases are seen: the pruned model, and the dense one that it was taken from.
    """
    return combined_scores(joint_parts(targets, shadows), targets, shadows)


def augmented_parts(targets: Signals, shadows: Signals) -> list[Part]:
    """Return log ratios of densities: on the image, the mean with its copies, and the joint one.

    The first is of the answer on the image, the second the mean over the image and its copies.
    The third is of all these answers jointly.
    """

    def score(values: np.ndarray, outside: Side, inside: Side) -> tuple[np.ndarray, ...]:
        ratios = log_ratios(values, outside, inside)
        return ratios[:, 0], ratios.mean(axis=-1), joint_log_ratio(values, outside, inside)

    names = ("image", "mean over image and copies", "joint density")
    return _parts(targets, shadows, _with_copies, score, names, inside=True)


def augmented_parts_offline(targets: Signals, shadows: Signals) -> list[Part]:
    """Return how many standard deviations an answer lies above those of shadows outside.

    The parts are that of the image, and the mean over the image and its copies.
    """

    def score(values: np.ndarray, outside: Side) -> tuple[np.ndarray, ...]:
        above = outside.centred(values) / outside.deviations
        return above[:, 0], above.mean(axis=-1)

    names = ("image", "mean over image and copies")
    return _parts(targets, shadows, _with_copies, score, names, inside=False)


def joint_parts(targets: Signals, shadows: Signals) -> list[Part]:
    """Return log ratios of densities: of the pruned model's answer, of the dense one's, of both.

    The last is that of both answers jointly.
    """

    def score(values: np.ndarray, outside: Side, inside: Side) -> tuple[np.ndarray, ...]:
        pruned, dense = log_ratios(values, outside, inside).T
        return pruned, dense, joint_log_ratio(values, outside, inside)

    names = ("pruned release", "dense release", "joint density")
    return _parts(targets, shadows, _of_both_releases, score, names, inside=True)


def _with_copies(signals: Signals) -> np.ndarray:
    """Return answers (n_models, n_examples, 1 + n_copies).

    They are computed model by model, so that no copy of all logits is made.
    """
    asked = zip(signals.logits, signals.probes["augmented"], strict=True)
    labels = signals.labels[:, np.newaxis]
    return np.stack(
        [
            answers(np.concatenate([plain[:, np.newaxis], copies], axis=1), labels)
            for plain, copies in asked
        ]
    )


def _of_both_releases(signals: Signals) -> np.ndarray:
    return np.stack(
        [answers(logits, signals.labels) for logits in (signals.logits, signals.dense)], axis=-1
    )


@dataclass(frozen=True)
class Side:
    """Shadow models inside, or outside, at each example.

    count       (n_examples, 1) how many they are
    total       (n_examples, k) the sum of their answers
    covariance  (k, k) that of answers around an example's mean
    """

    count: np.ndarray
    total: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray, chosen: np.ndarray) -> "Side":
        """Return the side of values (n_models, n_examples, k) that are chosen.

        chosen: (n_models, n_examples) bool.
        """
        count, total = _sums(values, chosen)
        return cls(count, total, _covariance(values, chosen, _mean(count, total)))

    def without(self, values: np.ndarray, chosen: np.ndarray) -> "Side":
        """Return the means without these models; the covariance stays that of all."""
        count, total = _sums(values, chosen)
        return replace(self, count=self.count - count, total=self.total - total)

    def centred(self, values: np.ndarray) -> np.ndarray:
        """Return values (n_examples, k) minus the means; NaN where there is no model."""
        return values - _mean(self.count, self.total)

    @cached_property
    def deviations(self) -> np.ndarray:
        """Standard deviations of the answers, (k,)."""
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def whitening(self) -> np.ndarray:
        """Inverse of Cholesky's factor, transposed, (k, k).

        It gives deviations from the means unit covariance.
        """
        return np.linalg.inv(np.linalg.cholesky(self.covariance)).T


def _sums(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return chosen.sum(axis=0)[:, np.newaxis], np.einsum(
        "mek,me->ek", values, chosen.astype(values.dtype)
    )


def _mean(count: np.ndarray, total: np.ndarray) -> np.ndarray:
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)


def _covariance(values: np.ndarray, chosen: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the covariance (k, k), pooled over examples and unbiased.

    Raises ValueError where no example has two chosen models.
    """
    free = np.maximum(chosen.sum(axis=0) - 1, 0).sum()
    if not free:
        raise ValueError(
            f"{len(values)} shadow models are too few: no example has two of them inside, or two outside, "
            "from which deviations could be learnt"
        )
    deviations = np.where(chosen[..., np.newaxis], values - mean, 0.0)
    covariance = np.einsum("mek,mel->kl", deviations, deviations, optimize=True) / free
    return covariance + (LEAST_DEVIATION**2 + 1e-9 * np.trace(covariance)) * np.eye(len(covariance))


#: A score takes a model's answers (n_examples, k) and the sides, outside first. It returns
#: scores of each part.
Score = Callable[..., tuple[np.ndarray, ...]]


def log_ratios(values: np.ndarray, outside: Side, inside: Side) -> np.ndarray:
    """Return the log ratio of the normal densities in and out of each answer, (n_examples, k)."""

    def log_density(side: Side) -> np.ndarray:
        return -((side.centred(values) / side.deviations) ** 2) / 2 - np.log(side.deviations)

    return log_density(inside) - log_density(outside)


def joint_log_ratio(values: np.ndarray, outside: Side, inside: Side) -> np.ndarray:
    """Return the log ratio of the densities in and out of all answers jointly, (n_examples,).

    The densities are multivariate normal.
    """

    def log_density(side: Side) -> np.ndarray:
        squares = (side.centred(values) @ side.whitening) ** 2
        return np.linalg.slogdet(side.whitening)[1] - squares.sum(axis=-1) / 2

    return log_density(inside) - log_density(outside)


def _parts(
    targets: Signals,
    shadows: Signals,
    answers_of: Callable[[Signals], np.ndarray],
    score: Score,
    names: Sequence[str],
    *,
    inside: bool,
) -> list[Part]:
    """Return the parts that `score` gives: of the targets, and of each shadow by the other ones.

    A shadow's twin is left out too. Raises ValueError as `check_enough` does.
    """
    values = answers_of(shadows)
    chosen = [~shadows.membership, shadows.membership][: 1 + inside]
    sides = [Side.of(values, of_side) for of_side in chosen]

    def sides_without(left_out: list[int]) -> list[Side]:
        of_sides = zip(sides, chosen, strict=True)
        return [side.without(values[left_out], of[left_out]) for side, of in of_sides]

    left_out = enumerate(pairs(shadows.membership, shadows.candidates))
    by_others = [score(values[row], *sides_without(twins)) for row, twins in left_out]
    by_all = [score(of_one_model, *sides) for of_one_model in answers_of(targets)]
    of_targets, of_shadows = (np.moveaxis(np.array(each), 1, 0) for each in (by_all, by_others))
    parts = [Part(*part) for part in zip(names, of_targets, of_shadows, strict=True)]
    for part in parts:
        check_enough(part.of_targets, targets, part.of_shadows, shadows)
    return parts
