"""Tables on the study's run: time, memory and nodes of its jobs, and each result's record."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from mia_pruning.reporting.page.table import Cell, Column, Table, table_of
from mia_pruning.reporting.sentences import listed, number

#: The page carries at most this many rows of the slowest jobs, and this many records.
MOST_SLOW, MOST_RECORDS = 10, 2000
DIGEST_SHOWN = 12
SECONDS_AN_HOUR = 3600
MEASURED = {"seconds": float, "cpu_seconds": float, "megabytes": float}


def read_benchmarks(folder: Path, records: list[Mapping[str, Any]]) -> pd.DataFrame:
    """Return seconds, CPU seconds and megabytes, one row a job.

    They are from the file that Snakemake wrote of each job.
    """
    rows = []
    for record in records:
        of_job = (
            Path(record["log"]).parent.parent
            / "benchmarks"
            / Path(record["log"]).with_suffix(".tsv").name
        )
        if (folder / of_job).is_file():
            last = pd.read_csv(folder / of_job, sep="\t", na_values="-").iloc[-1]
            what = str(of_job.with_suffix("")).replace("benchmarks/", "")
            rows.append(
                (
                    record["rule"],
                    what,
                    float(last["s"]),
                    float(last["cpu_time"]),
                    float(last["max_rss"]),
                )
            )
    return pd.DataFrame(
        rows, columns=["rule", "job", "seconds", "cpu_seconds", "megabytes"]
    ).astype(MEASURED)


def timings(benchmarks: pd.DataFrame) -> Table:
    """Tabulate jobs, seconds and peak memory of each rule, the costliest first."""
    groups = sorted(benchmarks.groupby("rule"), key=lambda item: -item[1]["cpu_seconds"].sum())
    total = benchmarks["cpu_seconds"].sum() or 1.0
    rows = [
        [
            rule,
            len(part),
            _seconds(part["seconds"].sum()),
            Cell(
                number(part["cpu_seconds"].sum(), ""),
                part["cpu_seconds"].sum(),
                part["cpu_seconds"].sum() / total,
            ),
            _seconds(part["seconds"].max()),
            _seconds(part["megabytes"].max()),
        ]
        for rule, part in groups
    ]
    labels = (
        "rule",
        "jobs",
        "wall seconds, sum",
        "CPU seconds, sum",
        "longest job, seconds",
        "peak memory, MB",
    )
    hours = benchmarks["cpu_seconds"].sum() / SECONDS_AN_HOUR
    note = (
        f"All {len(benchmarks):,} jobs together took {hours:.2f} hours of CPU time."
        if len(benchmarks)
        else ""
    )
    return table_of(
        "timings", "Time and memory of each stage", map(Column, labels), rows, note=note
    )


def slowest(benchmarks: pd.DataFrame) -> Table:
    """Tabulate the jobs that took longest."""
    most = benchmarks.nlargest(MOST_SLOW, "seconds")
    rows = [
        [row.job, _seconds(row.seconds), _seconds(row.cpu_seconds), _seconds(row.megabytes)]
        for row in most.itertuples()
    ]
    labels = ("job", "wall seconds", "CPU seconds", "peak memory, MB")
    return table_of("slowest", f"The {len(rows)} slowest jobs", map(Column, labels), rows)


def _seconds(value: float) -> Cell:
    return Cell(number(value, ""), float(value))


def records_table(records: list[Mapping[str, Any]]) -> Table:
    """Tabulate what each result was made by and from."""
    rows = [
        [
            record["rule"],
            ", ".join(value for key, value in record["wildcards"].items() if key != "study"),
            record["wildcards"].get("seed", ""),
            Cell(
                f"{(record['commit'] or 'none')[:DIGEST_SHOWN]}{' and changes' if record['dirty'] else ''}",
                look="code",
            ),
            Cell(str(record["params"].get("code", "")), look="code"),
            Cell(_inputs(record), look="code"),
            record.get("node", "not recorded"),
            record["slurm_job"] or "",
            Cell(record["log"], look="link"),
        ]
        for record in records[:MOST_RECORDS]
    ]
    columns = [
        Column("rule"),
        Column("of", "experiment, seed, objective, constraint, ..."),
        Column("seed"),
        Column("commit", "of the code, and whether tracked files differed from it"),
        Column("code", "digest of the script and of all modules that it imports"),
        Column("inputs", f"each with the first {DIGEST_SHOWN} digits of its SHA-256"),
        Column("node"),
        Column("Slurm job"),
        Column("log", "beside it lies the whole record, with all parameters and versions"),
    ]
    more = len(records) - MOST_RECORDS
    note = f"{more:,} more: logs/*.provenance.json beside the results." if more > 0 else ""
    return table_of("records", "The record of every result", columns, rows, note=note)


def _inputs(record: Mapping[str, Any]) -> str:
    return "; ".join(
        f"{Path(path).name} {digest[:DIGEST_SHOWN]}" for path, digest in record["inputs"].items()
    )


def places(records: list[Mapping[str, Any]]) -> Table:
    """Tabulate where the jobs of each rule ran, and their numbers in Slurm."""
    by_place: dict[tuple[str, str], list[str]] = {}
    for record in records:
        by_place.setdefault((record["rule"], record.get("node", "not recorded")), []).append(
            record["slurm_job"] or ""
        )
    rows = [
        [rule, node, len(jobs), listed(sorted(set(filter(None, jobs)), key=int)) or "none"]
        for (rule, node), jobs in sorted(by_place.items())
    ]
    return table_of(
        "places", "Where the jobs ran", map(Column, ("rule", "node", "jobs", "Slurm jobs")), rows
    )
