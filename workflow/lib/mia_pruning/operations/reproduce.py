"""Run a study by Snakemake, then print its verdicts, the path of its report and the time it took.

`make reproduce` runs this. If jobs failed, Snakemake is run once more for the report of the
available results: by the same rules, without the missing combinations.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from mia_pruning.interruption import INTERRUPTED, Ended, end_on_signals, run_to_its_end
from mia_pruning.operations.diagnosis import find_missing, reason
from mia_pruning.operations.gaps import LEFT_OUT
from mia_pruning.operations.gaps import NAME as MISSING
from mia_pruning.operations.resources import Resources, plan_of
from mia_pruning.operations.slurm import Profile, check
from mia_pruning.operations.status import Begun, read_begun, read_outputs
from mia_pruning.reporting.jobs import read_names
from mia_pruning.reporting.sentences import console_summary
from mia_pruning.reporting.style import displaying
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.run_lock import LOCK, take_lock
from mia_pruning.stages.job import CONSOLE_LEVEL
from mia_pruning.study.layout import Layout
from mia_pruning.study.loading import read_study
from mia_pruning.study.reading import read_yaml
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

RESULTS = Path("results")
SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="reproduce", description=__doc__)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    parser.add_argument("--cores", default="all", help="of this machine, without a profile")
    parser.add_argument(
        "--profile", type=Path, help="a Snakemake profile of a cluster, such as profiles/slurm"
    )
    arguments = parser.parse_args()
    started = time.monotonic()
    end_on_signals()
    try:
        take_lock(LOCK)
        study = read_study(arguments.study)
        where = prepared(arguments.study, study, arguments.profile, arguments.cores)
        return reproduce(arguments.study, study, where, started)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. The same command resumes the study.", file=sys.stderr)
        return INTERRUPTED


def prepared(file: Path, study: Study, profile: Path | None, cores: str) -> list[str]:
    """Return Snakemake's arguments for where the study is to run.

    A cluster is checked first. The study is planned if its jobs need a plan.
    """
    plan = plan_of(study, RESULTS)
    if profile is None:
        if not is_laid_out(study, plan):
            make_plan(file)
        return ["--cores", cores, *display()]
    cluster = Profile(profile)
    check(cluster, Path.cwd())
    if plan is None or (plan.study, plan.device) != (study.identity, cluster.device):
        make_plan(file, "--device", cluster.device)
    return ["--profile", str(profile)]


def is_laid_out(study: Study, plan: Resources | None) -> bool:
    """Return whether it is known how many models each job takes."""
    planned = plan.models_per_job(study) if plan is not None else {}
    return Layout(study, planned).is_complete


def display() -> list[str]:
    """Return Snakemake's arguments for the display of progress.

    On a terminal, bars of progress replace each job's lines.
    """
    if not sys.stdout.isatty():
        return []
    os.environ.setdefault(CONSOLE_LEVEL, "ERROR")
    return ["--logger", "rich"]


def make_plan(file: Path, *options: str) -> None:
    print(f"Planning what the jobs of {file} will ask for, half a minute", flush=True)
    command = [sys.executable, "-m", "mia_pruning.operations.plan", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(file, f"it cannot be planned: {done.stderr.strip()}")


def reproduce(file: Path, study: Study, where: list[str], started: float) -> int:
    """Run the study, print its summary and return the exit code.

    If jobs failed, the summary is of the available results.
    """
    results, began = RESULTS / study.name, time.time()
    (results / MISSING).unlink(missing_ok=True)
    before = _modified(results / "report.html")
    ended = run(file, where)
    if not ended.code:
        return conclude(file, results, before, started)
    print(
        f"\nThe study did not finish. The same command goes on where it stopped; logs: {results}/**/logs/",
        file=sys.stderr,
    )
    if ended.code > 0 and not ended.interrupted:
        try:
            report_partially(file, study, where, began, started)
        except KeyboardInterrupt:
            print("Interrupted while the report of what there is was prepared.", file=sys.stderr)
    return ended.code


def report_partially(
    file: Path, study: Study, where: list[str], began: float, started: float
) -> None:
    """Make the report of the available results, and print what is missing and why.

    The report is written to the path of a complete one.
    """
    results = RESULTS / study.name
    report, gaps = results / "report.html", results / MISSING
    failed = read_begun(results, since=began)
    try:
        if read_study(file).identity != study.identity:
            raise StudyError(
                file,
                "it was changed during the run, so there is no partial report",
                "undo the change, or start again",
            )
        missing = find_missing(study, read_outputs(file), failed, began)
    except StudyError as error:
        print(error, file=sys.stderr)
        return
    if not missing.gaps:
        print(
            f"Every combination is whole; what failed is of the report itself.{_reasons(failed)}",
            file=sys.stderr,
        )
        return
    missing.write(gaps)
    if missing.leaves_nothing:
        earlier = f" What lies in {report} is of an earlier run." if report.is_file() else ""
        print(f"No combination is whole, so there is no report.{earlier}", file=sys.stderr)
    else:
        print("Making the report of what there is.", file=sys.stderr, flush=True)
        before, now = _modified(report), time.time()
        if run(file, where, gaps).code or conclude(file, results, before, started, gaps):
            print(
                f"It could not be made.{_reasons(read_begun(results, since=now))}", file=sys.stderr
            )
    print("", *missing.sentences(), sep="\n", file=sys.stderr)


def _reasons(failed: Iterable[Begun]) -> str:
    return "".join(f"\n{job.rule} {job.what} {reason(job)} ({job.log})" for job in failed)


def run(file: Path, where: list[str], gaps: Path | None = None) -> Ended:
    """Run Snakemake on a study, without the combinations in the file `gaps`."""
    return run_to_its_end([*SNAKEMAKE, *where, *_configured(file)], _environment(gaps))


def _configured(file: Path) -> list[str]:
    return ["--nolock", "--configfile", str(file)]


def _environment(gaps: Path | None) -> dict[str, str]:
    return {**os.environ, **({LEFT_OUT: str(gaps)} if gaps else {})}


def conclude(
    file: Path, results: Path, before: float, started: float, gaps: Path | None = None
) -> int:
    """Make Snakemake's own report if ours is newer, print the summary and return the exit code.

    before: time of the last change of our report, when the command began.
    """
    report, engine_report = results / "report.html", results / "snakemake_report.html"
    if _modified(engine_report) < _modified(report):
        command = [*SNAKEMAKE, "--report", str(engine_report), *_configured(file)]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=_environment(gaps)
        )
        if done.returncode:
            print(f"Snakemake's own report failed:\n{done.stderr}", file=sys.stderr)
            return done.returncode
    print(
        summary(results, unchanged=before == _modified(report), seconds=time.monotonic() - started),
        flush=True,
    )
    return 0


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def summary(results: Path, *, unchanged: bool, seconds: float) -> str:
    """Return the last lines that the user sees."""
    verdicts = CsvTables({"verdicts": str(results / "verdicts.csv")})["verdicts"]
    statements = {claim["id"]: claim["statement"] for claim in read_yaml(CLAIMS)["claims"]}
    with displaying(read_names(results)):
        lines = ["", *console_summary(verdicts, statements)]
    headline = verdicts[verdicts["headline"]]
    tested = set(headline.loc[headline["verdict"] != "not tested", "claim"])
    untested = [claim for claim in pd.unique(headline["claim"]) if claim not in tested]
    if untested:
        lines.append(f"Not tested by this study: {', '.join(untested)}.")
    lines += ["", f"Report: {(results / 'report.html').resolve()}"]
    lines.append(f"{'Nothing had to be done' if unchanged else 'Done'}, {seconds:.0f} s.")
    return "\n".join(lines)


ROOT = Path(__file__).parents[4]
CLAIMS = ROOT / "report" / "claims.yaml"

if __name__ == "__main__":
    sys.exit(main())
