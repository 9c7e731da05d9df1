"""Metrics of how well scores separate members from non-members.

A higher score means "member". A score above 0 is the guess "member".

Functions with weights take one row for each bootstrap replicate and return one value for each
row. A weight is how often an example counts. All replicates share one sort of the scores.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class WeightedRoc:
    """Counts of members (tp) and non-members (fp) at or above each distinct score, descending.

    Both are (n_replicates, n_distinct).
    """

    tp: np.ndarray
    fp: np.ndarray

    @property
    def rates(self) -> tuple[np.ndarray, np.ndarray]:
        """False-positive and true-positive rates, (n_replicates, n_distinct) each."""
        return self.fp / self.fp[:, -1:], self.tp / self.tp[:, -1:]

    def auc(self) -> np.ndarray:
        """Return P(score of a member > of a non-member) + P(equal) / 2, (n_replicates,)."""
        before = np.diff(self.tp, axis=1, prepend=0)
        pairs = np.diff(self.fp, axis=1, prepend=0) * (self.tp - before / 2)
        return pairs.sum(axis=1) / (self.tp[:, -1] * self.fp[:, -1])

    def tpr_at(self, fpr: float) -> np.ndarray:
        """Return the true-positive rate where the false-positive rate is at most `fpr`.

        Of shape (n_replicates,). The threshold is the lowest whose realised false-positive rate
        is at most `fpr`. Nothing is interpolated: where ties let no threshold reach so low a
        rate, the answer is 0.
        """
        false_positive, true_positive = self.rates
        n_allowed = (false_positive <= fpr).sum(axis=1)
        last = np.take_along_axis(
            true_positive, np.maximum(n_allowed - 1, 0)[:, np.newaxis], axis=1
        )[:, 0]
        return np.where(n_allowed > 0, last, 0.0)


def weighted_roc(scores: np.ndarray, members: np.ndarray, weights: np.ndarray) -> WeightedRoc:
    """Return the ROC of scores (n,) against members (n,) bool under weights (n_replicates, n).

    Raises ValueError as `check_scores` does.

    >>> weighted_roc(np.array([3.0, 2.0, 1.0]), np.array([True, False, True]), np.ones((1, 3))).auc().tolist()
    [0.5]
    """
    check_scores(scores, members)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    sorted_weights = weights[:, order]
    is_member = members[order]
    tp = np.cumsum(sorted_weights * is_member, axis=1)[:, ends]
    fp = np.cumsum(sorted_weights * ~is_member, axis=1)[:, ends]
    return WeightedRoc(tp, fp)


def auc(scores: np.ndarray, members: np.ndarray) -> float:
    """Return P(score of a member > of a non-member) + P(equal) / 2, without weights.

    scores (n,), members (n,) bool. It is about three times as fast as the ROC of one row of
    weights. Raises ValueError as `check_scores` does.

    >>> auc(np.array([3.0, 2.0, 2.0, 1.0]), np.array([True, False, True, False]))
    0.875
    """
    check_scores(scores, members)
    inside, outside = np.sort(scores[members]), np.sort(scores[~members])
    n_below, n_up_to = (
        np.searchsorted(outside, inside, side=side).sum() for side in ("left", "right")
    )
    return float((n_below + n_up_to) / 2 / (inside.size * outside.size))


def balanced_accuracy(scores: np.ndarray, members: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the mean of the rates at which members and non-members are guessed right.

    It is the paper's attack accuracy, for equal priors, (n_replicates,).
    """
    check_scores(scores, members)
    guessed = scores > 0
    true_positive = weights @ (guessed & members) / (weights @ members)
    true_negative = weights @ (~guessed & ~members) / (weights @ ~members)
    return (true_positive + true_negative) / 2


def check_scores(scores: np.ndarray, members: np.ndarray) -> None:
    """Refuse scores that are not finite, or membership of one class only, by ValueError.

    Metrics of these would be numbers without meaning.
    """
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite"
        )
    if members.all() or not members.any():
        raise ValueError("membership has one class only: members and non-members are both needed")


def best_threshold(scores: np.ndarray, members: np.ndarray) -> float:
    """Return the threshold t for which `score > t` has the highest balanced accuracy.

    It is midway between two scores, and found by one sort.

    >>> best_threshold(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True]))
    2.5
    """
    check_scores(scores, members)
    order = np.argsort(-scores, kind="stable")
    ordered, is_member = scores[order], members[order]
    ends = np.flatnonzero(np.append(ordered[1:] != ordered[:-1], True))
    advantage = (
        np.cumsum(is_member)[ends] / members.sum() - np.cumsum(~is_member)[ends] / (~members).sum()
    )
    best = int(np.argmax(np.append(0.0, advantage)))
    values = ordered[ends]
    midway = (values[:-1] + values[1:]) / 2
    # Neighbouring floating-point numbers have none between them.
    between = np.where(midway < values[:-1], midway, values[1:])
    edges = np.concatenate([[values[0] + 1.0], between, [values[-1] - 1.0]])
    return float(edges[best])
