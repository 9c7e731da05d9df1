"""Comparison of the estimate with a finished run's own measurements.

An incomplete run is compared by the jobs that ran.
"""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mia_pruning import storage
from mia_pruning.operations.plan.costs import RuleCost
from mia_pruning.types import StudyError


@dataclass(frozen=True)
class Measured:
    """The jobs of one rule that ran.

    cpu_seconds: of all jobs. memory_bytes: the most that one of them had resident.
    """

    jobs: int
    cpu_seconds: float
    memory_bytes: float


def read_benchmarks(results: Path) -> dict[str, Measured]:
    """Return Snakemake's measurements, by rule.

    The rule is in the record next to a job's log. A job without a record did not end well, and
    does not count.

    Raises:
        StudyError: The folder has no benchmarks.
    """
    found: dict[str, Measured] = {}
    for path in sorted(results.rglob("benchmarks/*.tsv")):
        record = path.parents[1] / "logs" / f"{path.stem}.provenance.json"
        if not record.is_file():
            continue
        rule = storage.read_json(record)["rule"]
        with path.open(encoding="utf-8", newline="") as file:
            row = next(csv.DictReader(file, delimiter="\t"))
        before = found.get(rule, Measured(0, 0.0, 0.0))
        memory = max(before.memory_bytes, _number(row["max_rss"]) * 2**20)
        found[rule] = Measured(
            before.jobs + 1, before.cpu_seconds + _number(row["cpu_time"]), memory
        )
    if not found:
        raise StudyError(
            results,
            "no benchmarks there",
            "allowed is the folder of a study that was run, results/NAME",
        )
    return found


def _number(text: str) -> float:
    """Return the measured number; 0 if a job was too short to be measured."""
    return 0.0 if text in ("NA", "-") else float(text)


@dataclass(frozen=True)
class Comparison:
    """One rule, or all of them.

    estimated, measured: CPU seconds of the jobs that ran.
    estimated_bytes, measured_bytes: memory of the largest job.
    """

    rule: str
    jobs: int
    estimated: float
    measured: float
    estimated_bytes: float
    measured_bytes: float

    @property
    def ratio(self) -> float:
        return self.estimated / self.measured if self.measured else float("inf")


def compare(costs: Iterable[RuleCost], measured: Mapping[str, Measured]) -> list[Comparison]:
    """Return one entry for each rule that is planned and was run, then one for all of them."""
    rows = [
        Comparison(
            rule=cost.rule,
            jobs=ran.jobs,
            estimated=cost.cost.cpu_seconds * ran.jobs / cost.jobs,
            measured=ran.cpu_seconds,
            estimated_bytes=cost.cost.memory_bytes,
            measured_bytes=ran.memory_bytes,
        )
        for cost in costs
        if (ran := measured.get(cost.rule)) is not None
    ]
    return [*rows, _total(rows)]


def _total(rows: list[Comparison]) -> Comparison:
    return Comparison(
        "total",
        sum(row.jobs for row in rows),
        sum(row.estimated for row in rows),
        sum(row.measured for row in rows),
        max((row.estimated_bytes for row in rows), default=0.0),
        max((row.measured_bytes for row in rows), default=0.0),
    )
