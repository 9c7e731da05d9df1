"""docs/RESULTS.md against what the code writes: no table, column, metric or figure is without its line, and none is made up."""

import re
from pathlib import Path

import pytest

from mia_pruning.registry import catalogue
from mia_pruning.reporting import claims
from mia_pruning.stages import exposure, summarise
from mia_pruning.tables import ABOUT, OF_EVALUATION, OF_TRAINING

ROOT = Path(__file__).parents[3]
WRITTEN = {
    "results": summarise.RESULT_COLUMNS,
    "differences": summarise.DIFFERENCE_COLUMNS,
    "targets": summarise.TARGET_COLUMNS,
    "guarantees": summarise.GUARANTEE_COLUMNS,
    "verdicts": claims.COLUMNS,
    **{name: [*ABOUT, *columns] for name, columns in OF_EVALUATION.items()},
    "exposure_correlation": exposure.EXPOSURE_CORRELATION,
    **{name: [*columns] for name, columns in OF_TRAINING.items()},
}
METRICS = [
    *summarise.PRIVACY_METRICS, *summarise.UTILITY_METRICS, *summarise.THEORY_METRICS, *summarise.RELEASE_METRICS,
    *summarise.GUARANTEE_METRICS,
]  # fmt: skip


def sections():
    """Heading -> the names in code letters in the first cells of its tables."""
    parts = re.split(r"^#{2,3} (.+)$", (ROOT / "docs" / "RESULTS.md").read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    return {
        heading: [name for cell in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE) for name in re.findall("`(.+?)`", cell)]
        for heading, text in zip(parts[::2], parts[1::2], strict=True)
    }


@pytest.mark.parametrize("table", WRITTEN)
def test_each_column_that_is_written_is_described_and_no_other(table):
    described = sections()[f"{table}.csv"]
    assert sorted(described) == sorted(WRITTEN[table])


def test_each_table_that_the_rules_write_is_described_and_no_other():
    rules = (ROOT / "workflow" / "rules" / "evaluate.smk").read_text(encoding="utf-8")
    tables = set(re.findall(r'"results/\{study\}/(\w+\.csv)"', rules))
    assert {heading for heading in sections() if heading.endswith(".csv")} == tables == {f"{name}.csv" for name in WRITTEN}


def test_each_metric_is_described_and_no_other():
    assert sorted(sections()["Metrics"]) == sorted(METRICS)


@pytest.mark.parametrize("figure", catalogue("figure").values(), ids=lambda figure: figure.name)
def test_each_figure_says_what_its_table_holds(figure):
    assert len(figure.traits.columns) > 20
