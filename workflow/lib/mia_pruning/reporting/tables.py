"""The study's tables as figures and the report read them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import matplotlib.figure
import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.interactive import Panel

Tables = Mapping[str, pd.DataFrame]
#: The first columns name what a number is of, the second ones by whom.
WHERE, ATTACKER = ["experiment", "defence"], ["attack", "attacker"]


@dataclass(frozen=True)
class Drawing:
    """A figure, the table that it plots, its finding and its caption.

    finding: a sentence made from the numbers; caption: what the figure shows; interactive: the
    same as panels for a reader who points at it, none where pointing answers nothing.
    """

    figure: matplotlib.figure.Figure
    table: pd.DataFrame
    finding: str
    caption: str
    interactive: list[Panel] = field(default_factory=list)


class CsvTables(Mapping[str, pd.DataFrame]):
    """CSV files by name, each read when it is first asked for.

    Empty cells of attack and attacker are empty strings.
    """

    def __init__(self, paths: Mapping[str, str]) -> None:
        self._paths = paths
        self._tables: dict[str, pd.DataFrame] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        if name not in self._tables:
            self._tables[name] = _read_table(self._paths[name])
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._paths)

    def __len__(self) -> int:
        return len(self._paths)


def _read_table(path: str) -> pd.DataFrame:
    # A defence may be called null; a single seed is a list of seeds too.
    table = pd.read_csv(path, keep_default_na=False, na_values=[""], dtype={"seeds": str})
    for column in {"attack", "attacker", "minus", "reason", "metric"} & set(table.columns):
        table[column] = table[column].astype(object).fillna("")
    return table


def pick(table: pd.DataFrame, **wanted: str | list[str]) -> pd.DataFrame:
    """Return the rows whose columns have these values.

    >>> pick(pd.DataFrame({"a": [1, 2], "b": [3, 4]}), a=2)["b"].tolist()
    [4]
    """
    for column, value in wanted.items():
        table = table[table[column].isin(value if isinstance(value, list) else [value])]
    return table


def wide(
    results: pd.DataFrame, experiment: str, metrics: Mapping[str, Mapping[str, str]]
) -> pd.DataFrame:
    """Return one row a defence; for each named metric the columns name, name_low, name_high.

    metrics: name -> the columns that select its rows, such as metric, attack, attacker.
    """
    columns = {}
    for name, chosen in metrics.items():
        rows = pick(results, experiment=experiment, **chosen).set_index("defence")
        columns.update(
            {name: rows["value"], f"{name}_low": rows["low"], f"{name}_high": rows["high"]}
        )
    table = pd.DataFrame(columns)
    order = [
        defence
        for defence in pick(results, experiment=experiment)["defence"].unique()
        if defence in table.index
    ]
    return table.loc[order].rename_axis("defence").reset_index()


def error_bars(table: pd.DataFrame, name: str) -> list[pd.Series]:
    """Return the lengths below and above the value, as matplotlib wants them."""
    return [table[name] - table[f"{name}_low"], table[f"{name}_high"] - table[name]]


def attack_order(key: tuple[str, str]) -> str:
    """Return a key that sorts (attack, attacker): the strongest first, then by knowledge.

    Knowledge is what attackers know, as the name of the attacker says it.
    """
    return "" if key == tuple(STRONGEST.values()) else key[1]
