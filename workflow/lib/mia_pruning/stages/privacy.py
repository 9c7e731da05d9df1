"""Privacy metrics of one attack on the targets of one defence, for each bootstrap replicate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from mia_pruning.metrics.agreement import members_found
from mia_pruning.metrics.divergence import held_out_gain
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc
from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.operating import resolves

#: An attacker is the name of an attack and of who carries it out.
Attacker = tuple[str, str]


class Cell(NamedTuple):
    """A metric of one defence, for each bootstrap replicate.

    about: attack, attacker and metric.
    values: (n_replicates + 1, n_targets).
    n_examples: number of examples that each target's value rests on.
    """

    about: dict[str, str]
    values: np.ndarray
    n_examples: int


@dataclass(frozen=True)
class Guesses:
    """Guesses of one attack, each array (n_targets, n_pool).

    scores: of all examples. unknown: bool, the examples whose scores count. membership: bool.
    """

    scores: np.ndarray
    unknown: np.ndarray
    membership: np.ndarray

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Yield, for each target, the scores that count, their columns (bool) and membership."""
        for scores, columns, members in zip(
            self.scores, self.unknown, self.membership, strict=True
        ):
            yield scores[columns], columns, members[columns]

    def among(self, columns: np.ndarray) -> "Guesses":
        """Return the guesses on these examples of the pool only; columns: (n_pool,) bool."""
        return replace(self, unknown=self.unknown & columns)

    @property
    def n_non_members(self) -> list[int]:
        """Number of non-members that count, of each target."""
        return (self.unknown & ~self.membership).sum(axis=1).tolist()

    def members_found(self, fpr: float) -> np.ndarray:
        """Return the positions in the flattened scores of the members found at this rate.

        fpr: the false-positive rate.
        """
        return np.flatnonzero(members_found(fpr, self.scores, self.membership, self.unknown))

    @property
    def has_both_kinds(self) -> bool:
        """True if members and non-members of every target count."""
        of_each = [(self.unknown & of).any(axis=1) for of in (self.membership, ~self.membership)]
        return bool(np.all(of_each))


def resolved_rates(guesses: Guesses) -> dict[str, float]:
    """Return the false-positive rates that the non-members resolve, by metric."""
    n_non_members = guesses.n_non_members
    return {metric: fpr for metric, fpr in TPR_AT.items() if resolves(fpr, n_non_members)}


def privacy_values(
    guesses: Guesses, weights: np.ndarray, rates: Mapping[str, float]
) -> dict[str, np.ndarray]:
    """Return each privacy metric, (n_replicates, n_targets).

    weights (n_replicates, n_pool): number of times that each example counts.
    rates: of `resolved_rates`.
    """
    trials = [(scores, members, weights[:, drawn]) for scores, drawn, members in guesses]
    curves = [weighted_roc(*trial) for trial in trials]
    of_rates = {metric: [curve.tpr_at(fpr) for curve in curves] for metric, fpr in rates.items()}
    columns = {
        "attack_accuracy": [balanced_accuracy(*trial) for trial in trials],
        "auc": [curve.auc() for curve in curves],
        "gain": [held_out_gain(*trial) for trial in trials],
        **of_rates,
    }
    return {metric: np.stack(values, axis=1) for metric, values in columns.items()}
