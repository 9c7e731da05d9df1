"""`make compare`: sets two finished studies, A and B, side by side on one page.

The console says what came of it. Nothing is run: it reads the studies' tables and records. What
differs is no failure, so the exit code is 0 whatever it says.
"""

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mia_pruning import storage
from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.operations.gaps import NAME as MISSING
from mia_pruning.operations.gaps import read_missing
from mia_pruning.operations.plan.printing import aligned
from mia_pruning.reporting.claims import headline_of
from mia_pruning.reporting.comparison import records, tables, words
from mia_pruning.reporting.comparison.outcomes import (
    EFFECT,
    MEASURED,
    NUMBER,
    Compared,
    compare_numbers,
    count,
    only_in_one,
)
from mia_pruning.reporting.comparison.verdicts import VERDICT, Judged, compare_verdicts
from mia_pruning.reporting.jobs import all_records, read_names
from mia_pruning.reporting.report import environment
from mia_pruning.reporting.style import displaying, in_order, readable, web_colours
from mia_pruning.study.reading import read_yaml
from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[3]
PAGES = ROOT / "report"
#: For each table of a study, these columns name a row, and these hold its numbers.
TABLES = {
    "results": (NUMBER, [*MEASURED, "n_targets"]),
    "differences": (EFFECT, MEASURED),
    "verdicts": ([*VERDICT, "metric", "minus", "direction"], [*MEASURED, "threshold"]),
}
#: The page shows these columns of words besides them.
WORDS = {
    "results": ["seeds"],
    "differences": [],
    "verdicts": ["verdict", "corrected", "reason", "headline"],
}
MOST_LISTED = 20


@dataclass(frozen=True)
class Results:
    """A finished study: its folder, its tables and the records of its jobs.

    Empty names in the tables are empty strings.
    """

    folder: Path
    results: pd.DataFrame
    differences: pd.DataFrame
    verdicts: pd.DataFrame
    records: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return self.folder.resolve().name


def main() -> int:
    parser = argparse.ArgumentParser(prog="compare", description=__doc__)
    parser.add_argument(
        "a", type=Path, metavar="A", help="the results of a study, such as results/fashion"
    )
    parser.add_argument(
        "b",
        type=Path,
        metavar="B",
        help="the results of another one, or of the same on another machine",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE",
        help="the page; by default compare_A_B.html beside the folder B",
    )
    arguments = parser.parse_args()
    try:
        if arguments.a.resolve() == arguments.b.resolve():
            raise StudyError(
                arguments.b, f"the same folder as {arguments.a}", "compare takes two studies"
            )
        a, b = read_results(arguments.a), read_results(arguments.b)
        output = arguments.output or b.folder.resolve().parent / f"compare_{a.name}_{b.name}.html"
        numbers = compare_numbers(a.results, b.results, NUMBER)
        verdicts = compare_verdicts(a.verdicts, b.verdicts)
        names = {**read_names(arguments.b), **read_names(arguments.a)}
        with displaying(names):
            storage.write_text(output, write_page(a, b, numbers, verdicts))
            said = summary(a, b, numbers, verdicts)
    except (StudyError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(said)
    print(f"\nPage: {output.resolve()}")
    return 0


def read_results(folder: Path) -> Results:
    """Return a study's tables and records.

    Raises:
        StudyError: there is no such folder, or one of its tables is not as `read_table` requires.
    """
    if not folder.is_dir():
        raise StudyError(
            folder,
            "no such folder",
            "compare takes the results of two studies, such as results/fashion",
        )
    read = {
        name: read_table(folder / f"{name}.csv", *columns, WORDS[name])
        for name, columns in TABLES.items()
    }
    return Results(folder, **read, records=[*all_records(folder).values()])


def read_table(path: Path, names: list[str], numbers: list[str], words: list[str]) -> pd.DataFrame:
    """Return the table with every bit of its numbers as it was written.

    Empty names are empty strings, empty numbers NaN.

    Raises:
        StudyError: the file is missing or unreadable, a column is missing, two rows have the same
            names, or a cell that needs a number holds none.
    """
    if not path.is_file():
        raise StudyError(
            path,
            "there is no such file, so the study has not finished",
            "`make reproduce` resumes it",
        )
    try:
        text = pd.read_csv(path, dtype=str, keep_default_na=False)
    except ValueError as error:
        raise StudyError(path, f"not a readable CSV file ({error})") from error
    if missing := [column for column in [*names, *numbers, *words] if column not in text.columns]:
        raise StudyError(
            path,
            f"the columns {', '.join(missing)} are missing",
            f"it has {', '.join(text.columns)}",
        )
    if repeated := text[names][text.duplicated(names)].to_numpy().tolist():
        raise StudyError(
            path, f"two rows of {', '.join(filter(None, repeated[0]))}", "allowed is one"
        )
    try:
        read = {column: [float(cell or "nan") for cell in text[column]] for column in numbers}
    except ValueError as error:
        raise StudyError(path, error) from error
    return text.assign(
        **read, **({"headline": text["headline"] == "True"} if "headline" in words else {})
    )


def write_page(a: Results, b: Results, numbers: list[Compared], verdicts: list[Judged]) -> str:
    """Return the page as HTML."""
    experiments = [
        name for name in in_order(a.results, "experiment") if name in set(b.results["experiment"])
    ]
    headline = common_headline(a.results, b.results)
    settings = [records.settings_of(study.records) for study in (a, b)]
    effects = compare_numbers(a.differences, b.differences, EFFECT)
    colours = web_colours(in_order(pd.concat([a.results, b.results]), "defence"))
    return (
        environment(PAGES)
        .get_template("compare.html.j2")
        .render(
            a=a,
            b=b,
            opening=[*words.opening(numbers, verdicts), *gaps(a), *gaps(b)],
            independence=words.independence(
                *(records.splits(study.records) for study in (a, b)), experiments
            ),
            absent=words.absent(only_in_one(a.results, b.results), numbers),
            confidence_percent=round(100 * CONFIDENCE),
            shown_as={name: {"colour": colour, "about": ""} for name, colour in colours.items()},
            n_verdicts=len(verdicts),
            recorded=None not in settings,
            tables={
                "defences": tables.every_defence(numbers, headline),
                "effects": tables.effects(effects, headline),
                "changed": tables.changed_verdicts(verdicts),
                "judged_once": tables.judged_once(a.verdicts, b.verdicts),
                "numbers": tables.every_number(numbers),
                "facts": tables.side_by_side(
                    "facts", "What made them", facts(a), facts(b), what="record"
                ),
                "settings": tables.changed_settings(*(found or {} for found in settings)),
            },
        )
    )


def gaps(study: Results) -> list[str]:
    """Return a sentence on what a study lacks because jobs failed; none where it is complete."""
    file = study.folder / MISSING
    return [f"{study.folder}: {read_missing(file).sentences()[0]}"] if file.is_file() else []


def common_headline(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, str]:
    """Return the claims' headline attack if both have it, else the first of A that B has too."""
    tried = set(b[["attack", "attacker"]].itertuples(index=False, name=None))
    in_both = [key in tried for key in a[["attack", "attacker"]].itertuples(index=False, name=None)]
    return headline_of(read_yaml(PAGES / "claims.yaml"), a[in_both])


def facts(study: Results) -> dict[str, str]:
    """Return what the study is and what made it."""
    counted = {
        "seeds": set(study.results["seeds"]),
        "targets": {f"{n:g}" for n in study.results["n_targets"].dropna()},
    }
    listed = {name: ", ".join(sorted(values - {""})) for name, values in counted.items()}
    return {"folder": str(study.folder), **listed, **records.machine_facts(study.records)}


def summary(a: Results, b: Results, numbers: list[Compared], verdicts: list[Judged]) -> str:
    """Return what the console shows."""
    counts = [[outcome, f"{n:,}"] for outcome, n in count(numbers).items()]
    changed = [described(each) for each in verdicts if each.changed("verdict", "corrected")]
    more = (
        [f"and {len(changed) - MOST_LISTED:,} more, on the page"]
        if len(changed) > MOST_LISTED
        else []
    )
    lines = [
        f"A: {a.folder}",
        f"B: {b.folder}",
        "",
        *words.opening(numbers, verdicts),
        *gaps(a),
        *gaps(b),
        "",
        aligned(counts),
    ]
    return "\n".join(
        [*lines, *(["", "Verdicts that changed"] if changed else []), *changed[:MOST_LISTED], *more]
    )


def described(judged: Judged) -> str:
    """Describe a verdict that changed, in a line."""
    claim, *names = (readable(name) for name in judged.names.values() if name)
    before, after = (
        f"{side['verdict'].iloc[0]} (corrected {side['corrected'].iloc[0]})"
        for side in (judged.a, judged.b)
    )
    return f"{claim} {', '.join(names)}: {before} -> {after}"


if __name__ == "__main__":
    sys.exit(main())
