"""Counts at a threshold: true positives, and the false positives that they cost."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

import numpy as np

from mia_pruning.metrics.audit import clopper_pearson
from mia_pruning.metrics.membership import check_scores

#: A false-positive rate is resolved by this many expected false positives in all, and by this
#: many for each target.
FEWEST_EXPECTED, FEWEST_OF_A_TARGET = 10, 1
#: The shares of members among all examples that an attacker meets, by the column of the
#: precision at that share.
MEMBER_SHARES = {"ppv_1": 0.01, "ppv_10": 0.1, "ppv_50": 0.5}


class Precision(NamedTuple):
    """The precision of the guess "member"; None where no example was guessed to be a member.

    is_lower_bound: no non-member was guessed to be a member, so only the upper bound of their
    rate is known.
    """

    value: float | None
    is_lower_bound: bool


@dataclass(frozen=True)
class Counts:
    """Members and non-members that an attack was tried on, and how many it guessed members.

    others: the number of non-members.
    """

    true_positives: int
    members: int
    false_positives: int
    others: int

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            *(
                mine + its
                for mine, its in zip(vars(self).values(), vars(other).values(), strict=True)
            )
        )

    @property
    def tpr(self) -> float:
        return self.true_positives / self.members

    @property
    def fpr(self) -> float:
        """The realised rate: with few non-members it may be well below what was allowed."""
        return self.false_positives / self.others

    def precision(self, member_share: float) -> Precision:
        """Return the precision (PPV) where this share of all examples are members.

        It is s TPR / (s TPR + (1 - s) FPR). Without false positives, FPR is replaced by its 95 %
        Clopper-Pearson upper bound, and the precision is a lower bound.

        >>> for counts in (Counts(50, 100, 10, 100), Counts(50, 100, 0, 100)):
        ...     print(round(counts.precision(0.5).value, 3), counts.precision(0.5).is_lower_bound)
        0.833 False
        0.932 True
        """
        if not self.true_positives + self.false_positives:
            return Precision(None, False)
        _, upper = clopper_pearson(self.false_positives, self.others)
        fpr = self.fpr if self.false_positives else upper
        found, wrong = member_share * self.tpr, (1 - member_share) * fpr
        return Precision(found / (found + wrong), not self.false_positives)


def resolves(fpr: float, others: Sequence[int]) -> bool:
    """Return True if targets have enough non-members to resolve a false-positive rate.

    others: the number of non-members of each target.

    >>> resolves(0.01, [500, 500]), resolves(0.01, [500, 499]), resolves(0.01, [99] * 20)
    (True, False, False)
    """
    return fpr * sum(others) >= FEWEST_EXPECTED and fpr * min(others) >= FEWEST_OF_A_TARGET


def population_needed(fpr: float, n_targets: int, n_population: int) -> int | None:
    """Return the population size at which a share of the population resolves this rate.

    By the rule of `resolves`, with the population in place of the non-members; None where
    n_population examples suffice.

    >>> population_needed(0.001, 8, 300), population_needed(0.001, 8, 1250)
    (1250, None)
    """
    needed = ceil(max(FEWEST_OF_A_TARGET / fpr, FEWEST_EXPECTED / (fpr * n_targets)) - 1e-6)
    return needed if n_population < needed else None


def guessed(scores: np.ndarray, members: np.ndarray) -> Counts:
    """Return the counts where a score above 0 is the guess "member"."""
    return above(0.0, scores, members)


def at_most(fpr: float, scores: np.ndarray, members: np.ndarray) -> Counts:
    """Return the counts at the lowest threshold that at most this share of non-members exceeds.

    >>> at_most(0.5, np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, True, False, True]))
    Counts(true_positives=2, members=2, false_positives=1, others=2)
    """
    return above(threshold_within(fpr, scores, members), scores, members)


def threshold_within(fpr: float, scores: np.ndarray, members: np.ndarray) -> float:
    """Return the lowest threshold above which at most this share of the non-members scores."""
    descending = -np.sort(-scores[~members])
    allowed = floor(fpr * descending.size + 1e-9)
    return float(descending[allowed]) if allowed < descending.size else -np.inf


def above(threshold: float, scores: np.ndarray, members: np.ndarray) -> Counts:
    check_scores(scores, members)
    taken = scores > threshold
    return Counts(
        int((taken & members).sum()),
        int(members.sum()),
        int((taken & ~members).sum()),
        int((~members).sum()),
    )
