"""docs/RESULTS.md against what the code writes: no table, column, metric or figure is without its line, and none is made up."""

import re
from pathlib import Path

import pytest

from mia_pruning.metrics.names import METRICS
from mia_pruning.registry import catalogue
from mia_pruning.tables import TABLES

ROOT = Path(__file__).parents[3]


def sections():
    """Heading -> the names in code letters in the first cells of its tables."""
    parts = re.split(
        r"^#{2,3} (.+)$",
        (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE,
    )[1:]
    return {
        heading: [
            name
            for cell in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
            for name in re.findall("`(.+?)`", cell)
        ]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("table", TABLES)
def test_each_column_that_is_written_is_described_and_no_other(table):
    described = sections()[f"{table}.csv"]
    assert sorted(described) == sorted(TABLES[table].columns)


def test_each_table_is_described_and_no_other():
    described = {heading for heading in sections() if heading.endswith(".csv")}
    assert described == {f"{name}.csv" for name in TABLES}


def test_each_metric_is_described_and_no_other():
    assert sorted(sections()["Metrics"]) == sorted(METRICS)


@pytest.mark.parametrize("figure", catalogue("figure").values(), ids=lambda figure: figure.name)
def test_each_figure_says_what_its_table_holds(figure):
    assert len(figure.traits.columns) > 20
