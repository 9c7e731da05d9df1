"""The likelihood-ratio attack on several answers at once (Carlini et al., S&P 2022, section VI): multivariate normals.

Means are each example's own, of the shadows inside and outside; the covariances of the answers, inside and outside, are one for
all examples. Differs: the released code averages the answers' ratios as if they were independent.
"""

import numpy as np

from mia_pruning.attacks.lira import LEAST_DEVIATION, answers
from mia_pruning.attacks.references import pairs
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True, inside=True, probes=("augmented",))
def lira_augmented(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """The answers on the image and on its augmented copies."""
    return _scores(targets, shadows, *(_with_copies(signals) for signals in (targets, shadows)))


@attack(by_example=True, inside=True, dense=True)
def lira_joint(targets: Signals, shadows: Signals, rng: np.random.Generator) -> np.ndarray:
    """Both releases are seen: the answers of the pruned model and of the dense one that it was taken from."""
    both = (
        np.stack([answers(signals.logits, signals.labels), answers(signals.dense, signals.labels)], axis=-1)
        for signals in (targets, shadows)
    )
    return _scores(targets, shadows, *both)


def _with_copies(signals: Signals) -> np.ndarray:
    """(n_models, n_examples, 1 + n_copies), model by model, so that no copy of all logits is made."""
    asked = zip(signals.logits, signals.probes["augmented"], strict=True)
    labels = signals.labels[:, np.newaxis]
    return np.stack([answers(np.concatenate([plain[:, np.newaxis], copies], axis=1), labels) for plain, copies in asked])


def _scores(targets: Signals, shadows: Signals, of_targets: np.ndarray, of_shadows: np.ndarray) -> np.ndarray:
    """The log of the ratio of both densities, less the threshold that is best on the shadows, each attacked by the others."""
    inside, outside = shadows.membership, shadows.candidates & ~shadows.membership
    whitened = [_whitened(of_shadows, chosen) for chosen in (inside, outside)]
    sums = [_sums(of_shadows, chosen) for chosen in (inside, outside)]
    scores, members = [], []
    for row, left_out in enumerate(pairs(shadows.membership, shadows.candidates)):
        others = [
            tuple(whole - part for whole, part in zip(of_all, _sums(of_shadows[left_out], chosen[left_out]), strict=True))
            for of_all, chosen in zip(sums, (inside, outside), strict=True)
        ]
        scores.append(_log_ratio(of_shadows[row], others, whitened)[shadows.candidates[row]])
        members.append(shadows.membership[row, shadows.candidates[row]])
    known = np.isfinite(np.concatenate(scores))
    threshold = best_threshold(np.concatenate(scores)[known], np.concatenate(members)[known])
    found = np.stack([_log_ratio(of_one_model, sums, whitened) for of_one_model in of_targets])
    unscored = np.isnan(found[targets.candidates]).mean()
    if unscored:
        raise ValueError(
            f"{len(of_shadows)} shadow models are too few: {unscored:.1%} of the examples are never in, or never out"
        )
    return found - threshold


def _sums(values: np.ndarray, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At each example, of the chosen models: how many, and the sum of their values, (n_examples, 1) and (n_examples, k)."""
    return chosen.sum(axis=0)[:, np.newaxis], np.einsum("mek,me->ek", values, chosen.astype(values.dtype))


def _whitened(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """The matrix (k, k) that gives deviations from an example's mean unit covariance: the inverse of Cholesky's, transposed."""
    count, total = _sums(values, chosen)
    mean = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    deviations = np.where(chosen[..., np.newaxis], values - mean, 0.0)
    free = np.maximum(chosen.sum(axis=0) - 1, 0).sum()
    if not free:
        raise ValueError("no example has two shadow models inside and two outside, from which deviations could be learnt")
    covariance = np.einsum("mek,mel->kl", deviations, deviations, optimize=True) / free
    floor = LEAST_DEVIATION**2 + 1e-9 * np.trace(covariance)
    return np.linalg.inv(np.linalg.cholesky(covariance + floor * np.eye(len(covariance)))).T


def _log_ratio(values: np.ndarray, sums: list[tuple[np.ndarray, np.ndarray]], whitened: list[np.ndarray]) -> np.ndarray:
    """(n_examples,); NaN where a side has no model."""
    densities = []
    for (count, total), matrix in zip(sums, whitened, strict=True):
        mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
        densities.append(np.linalg.slogdet(matrix)[1] - (((values - mean) @ matrix) ** 2).sum(axis=-1) / 2)
    return densities[0] - densities[1]
