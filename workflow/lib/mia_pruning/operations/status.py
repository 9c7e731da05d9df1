"""Print how far a study is: jobs that run and wait, failures with reasons, and the remaining time.

`make status` runs this. It only reads records: Snakemake's own of outputs, the logs and benchmarks
of jobs, the plan and Slurm's queue.
"""

import argparse
import csv
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mia_pruning.operations.gaps import NAME as MISSING
from mia_pruning.operations.gaps import read_missing
from mia_pruning.operations.plan.jobs import count_jobs
from mia_pruning.operations.plan.printing import aligned, duration
from mia_pruning.operations.resources import NAME as PLAN
from mia_pruning.operations.resources import read_resources
from mia_pruning.operations.slurm import Queued, read_queue
from mia_pruning.study.loading import read_study
from mia_pruning.study.pipeline import rules_that
from mia_pruning.types import StudyError

LAST_LINES = 5
#: This line of a job's log says that it failed; a traceback may follow.
ENDING = re.compile(r"\S+ (stopped:|failed;)")
#: A job's log begins with a line of time, rule, wildcards, node, process and, on a cluster,
#: Slurm's number.
FIRST_LINE = re.compile(r"\S+ (\w+) (.*) on (\S+), process (\d+)(?:, Slurm job (\d+))?$")
MOST_LISTED = 20
#: A job on a cluster takes these seconds besides its work: Snakemake starts twice on its node, in
#: 6 to 13 s as measured.
START_SECONDS = 10.0


@dataclass(frozen=True)
class Output:
    """A file that a job of the study makes. A file that was never made has no log."""

    path: str
    rule: str
    log: str
    done: bool


@dataclass(frozen=True)
class Begun:
    """A job of the last run that left no record of a good end, by its log.

    what: its wildcards.
    node, process, slurm_job: place where it ran.
    last: the last lines of its log.
    """

    rule: str
    what: str
    node: str
    process: str
    slurm_job: str
    log: Path
    last: tuple[str, ...]

    @property
    def stopped(self) -> bool:
        """True if the log says that the job failed."""
        return any(map(ENDING.match, self.last))


def main() -> int:
    parser = argparse.ArgumentParser(prog="status", description=__doc__)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    study = parser.parse_args().study
    folder = Path.cwd()
    try:
        name = read_study(study).name
        outputs, left = read_outputs(study), count_jobs(study, folder)
        results = Path("results") / name
        begun = read_begun(results, since=since(folder, results))
        queue = queue_of(folder, begun)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    running = [job for job in begun if not job.stopped and is_alive(job, queue)]
    failures = [job for job in begun if job not in running]
    print(describe(name, outputs, left, running, queue, failures, seconds_of(outputs, results)))
    return 0


def queue_of(folder: Path, begun: Iterable[Begun]) -> list[Queued]:
    """Return the jobs of this folder's runs in Slurm's queue.

    There are none if Slurm is missing. If it does not answer, there are none if no job was sent to
    it.

    Raises:
        StudyError: Slurm's controller does not answer, so nobody knows whether the jobs that were
            sent to it are at work.
    """
    if not shutil.which("squeue"):
        return []
    try:
        return read_queue(folder)
    except StudyError as error:
        if any(job.slurm_job for job in begun):
            raise
        print(
            f"Without Slurm's queue, where no job of this run is known to be: {error}",
            file=sys.stderr,
        )
        return []


def is_alive(job: Begun, queue: Iterable[Queued]) -> bool:
    """Return whether a job that has not ended is still at work.

    It is in the queue, or a process here. A process of another machine is unknown, and does not
    count.
    """
    if job.slurm_job:
        return any(entry.number == job.slurm_job for entry in queue)
    return job.node == platform.node() and Path("/proc", job.process).exists()


def since(folder: Path, results: Path) -> float:
    """Return the start of the run whose jobs are shown, in seconds since 1970.

    It is the last run, or the earlier one that a partial report was made after.
    """
    began = start_of_run(folder / ".snakemake" / "log")
    gaps = results / MISSING
    return min(began, read_missing(gaps).began) if gaps.is_file() else began


def start_of_run(logs: Path) -> float:
    """Return the start of the last run here, by the name of Snakemake's log of it."""
    names = sorted(
        path.name.removesuffix(".snakemake.log") for path in logs.glob("*.snakemake.log")
    )
    return datetime.strptime(names[-1], "%Y-%m-%dT%H%M%S.%f").timestamp() if names else 0.0


def read_outputs(study: Path) -> list[Output]:
    """Return the study's files by Snakemake's summary of them."""
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--summary",
        "--nolock",
        "--configfile",
        str(study),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(study, f"Snakemake cannot say how far it is: {done.stderr.strip()}")
    return parse_summary(done.stdout)


def parse_summary(text: str) -> list[Output]:
    """Return the files in the text of Snakemake's summary.

    >>> head = "output_file\\tdate\\trule\\tlog-file(s)\\tstatus\\tplan"
    >>> parse_summary(head + "\\na\\t-\\ttrain\\tx.log\\tok\\tno update")
    [Output(path='a', rule='train', log='x.log', done=True)]
    """
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 5][1:]
    return [Output(path, rule, log, plan == "no update") for path, _, rule, log, _, plan in rows]


def read_begun(results: Path, since: float) -> list[Begun]:
    """Return the jobs of a study that began after `since` and left no record of a good end."""
    found = []
    shared = [results.parent / "logs" / rule for rule in rules_that("of_dataset")]
    for log in [
        *results.rglob("logs/*.log"),
        *(path for folder in shared for path in folder.glob("*.log")),
    ]:
        record, changed = log.with_suffix(".provenance.json"), log.stat().st_mtime
        if changed < since or (record.is_file() and record.stat().st_mtime >= changed):
            continue
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        if lines and (first := FIRST_LINE.match(lines[0])):
            found.append(Begun(*(part or "" for part in first.groups()), log, _ending(lines)))
    return found


def _ending(lines: list[str]) -> tuple[str, ...]:
    """Return the last lines of a log.

    If the line that says that the job failed is further up, it comes first.

    >>> _ending(["9:00 a", "9:00 stopped: no", *"bcdef"]), _ending(["9:00 a", "9:00 stopped: no"])
    (('9:00 stopped: no', 'c', 'd', 'e', 'f'), ('9:00 a', '9:00 stopped: no'))
    """
    said = next((position for position, line in enumerate(lines) if ENDING.match(line)), len(lines))
    return tuple(
        [lines[said], *lines[1 - LAST_LINES :]]
        if said < len(lines) - LAST_LINES
        else lines[-LAST_LINES:]
    )


def seconds_of(outputs: Iterable[Output], results: Path) -> dict[str, float]:
    """Return seconds per job, by rule: the mean of jobs that ended, otherwise the planned mean."""
    plan = read_resources(results / PLAN)
    planned = {
        rule: [need.seconds for need in entries.values()]
        for rule, entries in (plan.needs.items() if plan else ())
    }
    measured: dict[str, list[float]] = {}
    for rule, log in _jobs_done(outputs):
        benchmark = log.parent.parent / "benchmarks" / f"{log.stem}.tsv"
        if benchmark.is_file():
            with benchmark.open(encoding="utf-8", newline="") as file:
                measured.setdefault(rule, []).append(
                    float(next(csv.DictReader(file, delimiter="\t"))["s"])
                )
    return {rule: sum(values) / len(values) for rule, values in {**planned, **measured}.items()}


def _jobs_done(outputs: Iterable[Output]) -> set[tuple[str, Path]]:
    """Return rule and log of each job that is done."""
    return {(output.rule, Path(output.log)) for output in outputs if output.done}


@dataclass(frozen=True)
class Progress:
    """Numbers of a rule's jobs.

    total: all. done: those that ended. begun: those that were begun and have not ended.
    """

    rule: str
    total: int
    done: int
    begun: int


def progress(
    outputs: list[Output], left: Mapping[str, int], running: Iterable[Begun]
) -> list[Progress]:
    """Return the progress by rule: rules that are finished, then those with jobs left."""
    done, under_way = (
        Counter(rule for rule, _ in _jobs_done(outputs)),
        Counter(job.rule for job in running),
    )
    rules = [*(rule for rule in done if rule not in left), *left]
    return [
        Progress(rule, left.get(rule, 0) + done[rule], done[rule], under_way[rule])
        for rule in rules
    ]


def describe(
    name: str,
    outputs: list[Output],
    left: Mapping[str, int],
    running: list[Begun],
    queue: list[Queued],
    failures: list[Begun],
    seconds: Mapping[str, float],
) -> str:
    """Return the complete answer, in lines."""
    rules = progress(outputs, left, running)
    total, done, under_way = (
        sum(getattr(entry, what) for entry in rules) for what in ("total", "done", "begun")
    )
    waiting = sum(entry.state == "PENDING" for entry in queue)
    lines = [
        f"Study {name}: {done} of {total} jobs done, {under_way} begun, {len(failures)} failed."
        + (
            f" In Slurm's queue: {len(queue) - waiting} running, {waiting} waiting."
            if queue
            else ""
        ),
        "",
        aligned(
            [
                ["rule", "jobs", "done", "begun"],
                *([r.rule, str(r.total), str(r.done), str(r.begun)] for r in rules),
            ]
        ),
    ]
    if queue:
        rows = [
            [entry.name, entry.number, entry.state.lower(), entry.node, entry.since]
            for entry in queue
        ]
        lines += [
            "",
            *_listed(
                aligned(
                    [["in the queue", "Slurm job", "state", "node", "since"], *rows]
                ).splitlines()
            ),
        ]
    else:
        lines += (
            ["", *_listed([f"running: {job.rule} {job.what}" for job in running])]
            if running
            else []
        )
    for job in failures:
        how = "Failed" if job.stopped else "Ended without a word"
        lines += [
            "",
            f"{how}: {job.rule} {job.what}, on {job.node}",
            *_end_of(job.log, job.last),
            *end_of_slurm_log(job),
        ]
    return "\n".join(
        [
            *lines,
            "",
            _time_left(
                left, len(queue) - waiting or under_way, seconds, START_SECONDS if queue else 0.0
            ),
        ]
    )


def _listed(lines: list[str]) -> list[str]:
    more = len(lines) - MOST_LISTED
    return [*lines[:MOST_LISTED], f"and {more} more"] if more > 0 else lines


def _last_lines(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(encoding="utf-8", errors="replace").splitlines()[-LAST_LINES:])


def _end_of(log: Path, lines: Iterable[str]) -> list[str]:
    return [f"  {log}:", *(f"    {line}" for line in lines)]


def end_of_slurm_log(job: Begun) -> list[str]:
    """Return what Slurm and Snakemake wrote on the node of a job that was ended from outside."""
    if job.stopped or not job.slurm_job:
        return []
    logs = Path("results", "logs", "slurm").rglob(f"{job.slurm_job}.log")
    return [line for log in logs for line in _end_of(log, _last_lines(log))]


def _time_left(
    left: Mapping[str, int], at_once: int, seconds: Mapping[str, float], start: float
) -> str:
    """Return a sentence on the remaining time.

    start: seconds that each job takes besides its work.
    """
    if not left:
        return "Nothing is left to do."
    unknown = [rule for rule in left if rule not in seconds]
    if len(unknown) == len(left):
        return "How long the rest takes is not known: no job has ended yet, and nothing is planned (`make plan`)."
    work = sum(count * (seconds.get(rule, 0.0) + start) for rule, count in left.items())
    pace = (
        f"if {at_once} run at a time as now"
        if at_once
        else "one job after the other; nothing is at work now"
    )
    without = f", without {', '.join(unknown)}, of which none has ended yet" if unknown else ""
    return f"About {duration(work / max(1, at_once))} left {pace}{without}."


if __name__ == "__main__":
    sys.exit(main())
