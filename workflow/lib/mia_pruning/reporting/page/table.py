"""Tables as the page shows them: each cell has a text, a value to sort by, and maybe a bar."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import pandas as pd

from mia_pruning.reporting.sentences import with_interval
from mia_pruning.reporting.style import readable


@dataclass(frozen=True)
class Cell:
    """A cell of a table.

    order: what the column is sorted by, if not the text; share: the length of the bar behind it,
    0 to 1; look: a style of the page; hint: for readers who point at it, of the look `defence` the
    defence's name; anchor: what a link leads to.
    """

    text: str
    order: float | str | None = None
    share: float | None = None
    look: str = ""
    hint: str = ""
    anchor: str = ""


@dataclass(frozen=True)
class Column:
    """A column of a table. about: what it holds, for readers who point at its head."""

    label: str
    about: str = ""


@dataclass(frozen=True)
class Table:
    """A table of the page.

    name: its anchor and the name of its CSV file; n_heads: leading cells of a row that name the
    row; note: read below it.
    """

    kind: ClassVar = "table"
    name: str
    caption: str
    columns: list[Column]
    rows: list[list[Cell]]
    note: str = ""
    n_heads: int = 1
    look: str = ""


def table_of(
    name: str, caption: str, columns: Iterable[Column], rows: Iterable[Iterable[Any]], **more: Any
) -> Table:
    """Return a table; its cells may be given as plain values."""
    return Table(
        name, caption, list(columns), [[as_cell(value) for value in row] for row in rows], **more
    )


def as_cell(value: Any) -> Cell:
    """Return the cell of a plain value; a number is sorted by its value.

    >>> words, count = as_cell("a_b"), as_cell(3000)
    >>> words.text, words.order, count.text, count.order
    ('a_b', None, '3,000', 3000)
    """
    if isinstance(value, Cell):
        return value
    return Cell(value) if isinstance(value, str) else Cell(f"{value:,}", value)


def named(name: str) -> Cell:
    """Return the cell of a configuration's name."""
    return Cell(readable(name))


def measured_cell(
    row: Mapping[str, Any] | None, *, bar: tuple[float, float] | None = None, signed: bool = False
) -> Cell:
    """Return value and interval of a row of the results; empty where there is none.

    bar: the values at which the bar is empty and full.
    """
    if row is None or pd.isna(row["value"]):
        return Cell("", "")
    share = None
    if bar is not None:
        empty, full = bar
        share = min(1.0, max(0.0, (row["value"] - empty) / (full - empty))) if full > empty else 0.0
    return Cell(with_interval(row, signed=signed), float(row["value"]), share)


def rows_by(table: pd.DataFrame, keys: Sequence[str]) -> dict[tuple, dict[str, Any]]:
    """Return the rows of a table by the values of some columns, which name one row each."""
    return {tuple(row[key] for key in keys): row for row in table.to_dict("records")}
