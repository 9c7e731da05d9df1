"""The verdicts that two studies reached on the same claim, experiment, defence and attacker."""

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from mia_pruning.reporting.claims import NOT_TESTED

#: what names a verdict
VERDICT = ["claim", "experiment", "defence", "attack", "attacker"]
#: and what it asks
CONDITION = ["metric", "minus", "direction", "threshold"]


@dataclass(frozen=True)
class Judged:
    """A verdict of both studies: its names, and for A and for B the rows of verdicts.csv, one a condition."""

    names: Mapping[str, str]
    a: pd.DataFrame
    b: pd.DataFrame

    @property
    def headline(self) -> bool:
        return bool(self.a["headline"].iloc[0] and self.b["headline"].iloc[0])

    @property
    def same_conditions(self) -> bool:
        """Whether the claim asks the same in both."""
        return self.a[CONDITION].to_numpy().tolist() == self.b[CONDITION].to_numpy().tolist()

    def changed(self, *columns: str) -> bool:
        """Whether one of these columns, of `verdict` and `corrected`, is not the same in both."""
        return any(self.a[column].iloc[0] != self.b[column].iloc[0] for column in columns)


def compare_verdicts(a: pd.DataFrame, b: pd.DataFrame) -> list[Judged]:
    """The verdicts that both studies reached, changed or not, in A's order."""
    of_a, of_b = reached(a), reached(b)
    return [
        Judged(dict(zip(VERDICT, key, strict=True)), of_a[key], of_b[key])
        for key in of_a
        if key in of_b
    ]


def reached(verdicts: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """The rows of each verdict but of those that say that nothing was tested."""
    return dict(list(verdicts[verdicts["verdict"] != NOT_TESTED].groupby(VERDICT, sort=False)))
