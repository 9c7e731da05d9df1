"""`make docs`: writes README and pages of docs from the templates and tables in docs/findings/.

A template asks for a number by the names of its row. It asks for a difference by the word that the
sentence uses: `lost`, `gained` or `undecided`. A word that the interval does not support is an
error.
"""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd

from mia_pruning import reference, storage
from mia_pruning.reporting.jobs import read_records
from mia_pruning.reporting.page.run import read_benchmarks
from mia_pruning.study.reading import read_yaml
from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[3]
KEPT = ROOT / "docs" / "findings"
#: Each document is made from its template; paths are relative to the repository.
DOCUMENTS = {
    "README.md": "docs/findings/README.md.j2",
    "docs/FINDINGS.md": "docs/findings/FINDINGS.md.j2",
    "docs/CONFIGURATION.md": "docs/findings/CONFIGURATION.md.j2",
    "docs/PLUG_INS.md": "docs/findings/PLUG_INS.md.j2",
    "docs/ARTIFACT.md": "docs/findings/ARTIFACT.md.j2",
}
#: The rows of these metrics are kept of results.csv and differences.csv for the documentation.
METRICS = (
    "test_accuracy",
    "attack_accuracy",
    "tpr_at_0.1_percent_fpr",
    "sparse_bytes",
)
#: In each kept table the columns `NAMES` name a row, and the columns `NUMBERS` hold numbers.
NAMES = {
    "results": ("experiment", "defence", "attack", "attacker", "metric"),
    "differences": ("experiment", "defence", "minus", "attack", "attacker", "metric"),
    "exposure_correlation": ("experiment", "defence"),
    "verdicts": ("claim", "experiment", "defence", "attack", "attacker", "verdict", "corrected"),
}
NUMBERS = {
    "results": ("value", "low", "high", "n_targets"),
    "differences": ("value", "low", "high"),
    "exposure_correlation": ("value", "low", "high", "reliability", "reliability_error", "n_pairs"),
    "verdicts": ("value", "low", "high", "n_intervals", "corrected_low", "corrected_high"),
}
STRONGEST = ("strongest", "any")


def main() -> int:
    parser = argparse.ArgumentParser(prog="findings", description=__doc__)
    about = "results of finished studies whose numbers are kept first, such as results/fashion"
    parser.add_argument("results", type=Path, nargs="*", help=about)
    try:
        for folder in parser.parse_args().results:
            keep(folder, KEPT / folder.resolve().name)
        for document, template in DOCUMENTS.items():
            storage.write_text(ROOT / document, render(ROOT / template, KEPT))
    except (StudyError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def keep(results: Path, folder: Path) -> None:
    """Write to `folder` what the documentation may quote of a finished study.

    Raises:
        StudyError: the study has not finished.
    """
    if not (results / "verdicts.csv").is_file():
        problem = "no verdicts.csv, so the study has not finished; `make reproduce` completes it"
        raise StudyError(results, problem)
    tables = {name: read_table(results, name) for name in NAMES}
    headline = tables["verdicts"].loc[tables["verdicts"]["headline"] == "True", "attack"]
    for name, names in NAMES.items():
        table = tables[name]
        if "metric" in names:
            table = table[table["metric"].isin(METRICS)]
        if name == "differences":  # those of every attack would be ten times as many
            table = table[table["attack"].isin(["", STRONGEST[0], *headline])]
        table = table[[*names, *NUMBERS[name]]]
        storage.write_text(folder / f"{name}.csv", table.to_csv(index=False, float_format="%.8g"))
    records = read_records(results, read_yaml(results / "export" / "study.yaml"))
    storage.write_json(folder / "run.json", describe_run(results, records))


def read_table(folder: Path, name: str) -> pd.DataFrame:
    """Return a table of a study or a kept one.

    Empty names are empty strings, empty numbers NaN.
    """
    words = dict.fromkeys([*NAMES[name], "headline"], str)
    empty: dict[str, list[str]] = {column: [""] for column in NUMBERS[name]}
    path = folder / f"{name}.csv"
    return pd.read_csv(path, dtype=words, keep_default_na=False, na_values=empty)


def describe_run(results: Path, records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return machines, commits, days and CPU minutes of the jobs that made a study's results."""
    benchmarks = read_benchmarks(results, list(records))
    return {
        "cpus": sorted({record["cpu"] for record in records}),
        "commits": sorted({record["commit"] for record in records}),
        "days": sorted({record["ended"][: len("2026-01-31")] for record in records}),
        "jobs": len(records),
        "cpu_minutes": round(benchmarks["cpu_seconds"].sum() / 60, 1),
    }


@dataclass(frozen=True)
class Row:
    """A number with its 95 % interval."""

    value: float
    low: float
    high: float
    what: str

    def __neg__(self) -> "Row":
        return Row(-self.value, -self.high, -self.low, self.what)


class Study:
    """The kept tables of one study with one experiment."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.run: dict[str, Any] = storage.read_json(folder / "run.json")

    @functools.cached_property
    def _tables(self) -> dict[str, pd.DataFrame]:
        return {name: read_table(self._folder, name) for name in NAMES}

    def number(self, defence: str, metric: str, attack: str = "", attacker: str = "") -> Row:
        """Return a metric of a defence, by an attack where one takes part."""
        who = {"attack": attack, "attacker": attacker}
        return self._row("results", defence=defence, metric=metric, **who)

    def has(self, defence: str, metric: str, attack: str, attacker: str) -> bool:
        """Return whether the attack was tried on the defence."""
        who = {"attack": attack, "attacker": attacker}
        return len(self._rows("results", defence=defence, metric=metric, **who)) > 0

    def difference(
        self, defence: str, minus: str, metric: str, attack: str = "", attacker: str = ""
    ) -> Row:
        """Return a metric of a defence minus that of another one, paired by target."""
        who = {"attack": attack, "attacker": attacker}
        return self._row("differences", defence=defence, minus=minus, metric=metric, **who)

    def order_kept(self, defence: str) -> Row:
        """Return the rank correlation of the examples' exposure with that of the baseline.

        It is corrected for attenuation.
        """
        return self._row("exposure_correlation", defence=defence)

    def verdict(
        self, claim: str, defence: str, attack: str, attacker: str, corrected: bool = True
    ) -> str:
        """Return the verdict on a claim, by default corrected for all comparisons of the claim."""
        names = {"claim": claim, "defence": defence, "attack": attack, "attacker": attacker}
        words = self._rows("verdicts", **names)["corrected" if corrected else "verdict"].unique()
        if len(words) != 1:
            raise self._ambiguous("verdicts", len(words), names)
        return str(words[0])

    def count_verdicts(
        self, claim: str, defence: str, word: str, corrected: bool = True
    ) -> tuple[int, int]:
        """Return the number of attacks with this verdict on a claim, and of all that judged it.

        The strongest attack is one of the rest, so it is not counted.
        """
        rows = self._rows("verdicts", claim=claim, defence=defence)
        rows = rows[rows["attack"] != STRONGEST[0]].drop_duplicates(["attack", "attacker"])
        agrees = rows["corrected" if corrected else "verdict"] == word
        return int(agrees.sum()), len(rows)

    def n_comparisons(self, claim: str) -> int:
        """Return the number of comparisons that a claim is corrected for."""
        (count,) = self._rows("verdicts", claim=claim)["n_intervals"].dropna().unique()
        return int(count)

    def _row(self, table: str, **names: str) -> Row:
        row = self._only(table, **names)
        what = ", ".join(filter(None, names.values()))
        return Row(float(row["value"]), float(row["low"]), float(row["high"]), what)

    def _only(self, table: str, **names: str) -> pd.Series:
        rows = self._rows(table, **names)
        if len(rows) != 1:
            raise self._ambiguous(table, len(rows), names)
        return rows.iloc[0]

    def _ambiguous(self, table: str, n_rows: int, names: Mapping[str, str]) -> StudyError:
        place = f"docs/findings/{self._folder.name}/{table}.csv"
        return StudyError(place, f"{n_rows} rows of {', '.join(names.values())}", "one is needed")

    def _rows(self, table: str, **names: str) -> pd.DataFrame:
        rows = self._tables[table]
        for column, name in names.items():
            rows = rows[rows[column] == name]
        return rows


def render(template: Path, kept: Path) -> str:
    """Return the document that a template and the kept tables make.

    Raises:
        StudyError: the template asks for what is not there, or a word that an interval does not
            support.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(template.parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,
    )
    environment.filters |= {
        "plain": plain, "spread": spread, "half": half, "points": points,
        "lost": lost, "gained": gained, "undecided": undecided,
        "cell": cell,
    }  # fmt: skip
    environment.globals["study"] = functools.cache(lambda name: Study(kept / name))
    environment.globals["reference"] = reference
    environment.globals["strongest"] = STRONGEST
    try:
        return environment.get_template(template.name).render()
    except jinja2.UndefinedError as error:
        raise StudyError(template, error) from error


def cell(text: str) -> str:
    """Return text for a cell of a Markdown table.

    >>> cell("`str | None`")
    '`str \\\\| None`'
    """
    return text.replace("|", "\\|")


def plain(row: Row, digits: int = 3) -> str:
    """Return the value alone.

    >>> plain(Row(0.6071, 0.6, 0.614, ""))
    '0.607'
    """
    return f"{row.value:.{digits}f}"


def spread(row: Row, digits: int = 3) -> str:
    """Return the value with its interval.

    >>> spread(Row(0.6071, 0.6, 0.614, ""))
    '0.607 (0.600-0.614)'
    """
    return f"{row.value:.{digits}f} ({row.low:.{digits}f}-{row.high:.{digits}f})"


def half(row: Row, digits: int = 3) -> str:
    """Return the value with half the width of its interval.

    >>> half(Row(0.6071, 0.6, 0.614, ""))
    '0.607 ±0.007'
    """
    return f"{row.value:.{digits}f} ±{(row.high - row.low) / 2:.{digits}f}"


def points(row: Row) -> str:
    """Return a difference with its interval, in points.

    >>> points(Row(-0.0271, -0.038, 0.016, ""))
    '-2.7 points (-3.8 to +1.6)'
    """
    return f"{100 * row.value:+.1f} points ({100 * row.low:+.1f} to {100 * row.high:+.1f})"


def lost(row: Row) -> str:
    """Return a difference whose interval lies below 0, without its sign.

    >>> lost(Row(-0.0271, -0.038, -0.016, ""))
    '2.7 points (1.6 to 3.8)'

    Raises:
        StudyError: the interval does not carry the word.
    """
    return gained(-row)


def gained(row: Row) -> str:
    """Return a difference whose interval lies above 0.

    Raises:
        StudyError: the interval does not carry the word.
    """
    if row.low <= 0:
        problem = f"the interval {points(row)} does not show that direction"
        raise StudyError(row.what, problem, "the sentence has to change")
    return f"{100 * row.value:.1f} points ({100 * row.low:.1f} to {100 * row.high:.1f})"


def undecided(row: Row) -> str:
    """Return a difference whose interval covers 0.

    Raises:
        StudyError: the interval shows a difference.
    """
    if not row.low <= 0 <= row.high:
        problem = f"the interval {points(row)} shows a difference"
        raise StudyError(row.what, problem, "the sentence has to change")
    return points(row)


if __name__ == "__main__":
    sys.exit(main())
