"""What `make reproduce` does: run a study by Snakemake, then print its verdicts, where its report is and how long it took."""

import argparse
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from mia_pruning.cluster import Profile, check
from mia_pruning.reporting.sentences import answer
from mia_pruning.reporting.tables import CsvTables
from mia_pruning.stages.job import CONSOLE_LEVEL
from mia_pruning.study import Study, load_study, read_yaml
from mia_pruning.types import StudyError

SNAKEMAKE = [sys.executable, "-m", "snakemake"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="reproduce", description=__doc__)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    parser.add_argument("--cores", default="all", help="of this machine, without a profile")
    parser.add_argument("--profile", type=Path, help="a Snakemake profile of a cluster, such as profiles/slurm")
    arguments = parser.parse_args()
    started = time.monotonic()
    with alone(Path(".snakemake") / "reproduce.lock") as is_alone:
        if not is_alone:
            print("Another `make reproduce` is at work in this folder; wait for it or end it first.", file=sys.stderr)
            return 1
        try:
            study = load(arguments.study)
            where = prepared(arguments.study, study, arguments.profile, arguments.cores)
        except StudyError as error:
            print(error, file=sys.stderr)
            return 1
        return reproduce(arguments.study, Path("results") / study.name, where, started)


def load(study: Path) -> Study:
    """The study of a file, with its plan if there is one."""
    return load_study(read_yaml(study), default=ROOT / "config.yaml", files=[study], results=Path("results"))


def prepared(file: Path, study: Study, profile: Path | None, cores: str) -> list[str]:
    """Snakemake's arguments for where the study is to run, once that can take it and the study is planned if need be."""
    if profile is None:
        if not study.is_laid_out:
            make_plan(file)
        return ["--cores", cores, *display()]
    cluster = Profile(profile)
    check(cluster, Path.cwd())
    if study.plan is None or (study.plan.study, study.plan.device) != (study.identity, cluster.device):
        make_plan(file, "--device", cluster.device)
    return ["--profile", str(profile)]


def display() -> list[str]:
    """On a terminal, bars of progress instead of each job's lines."""
    if not sys.stdout.isatty():
        return []
    os.environ.setdefault(CONSOLE_LEVEL, "ERROR")
    return ["--logger", "rich"]


def make_plan(file: Path, *options: str) -> None:
    print(f"Planning what the jobs of {file} will ask for, half a minute", flush=True)
    command = [sys.executable, "-m", "mia_pruning.plan", str(file), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise StudyError(done.stderr.strip())


@contextmanager
def alone(path: Path) -> Iterator[bool]:
    """Whether this process alone holds the lock, which ends with the process: a killed run blocks nobody."""
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def reproduce(study: Path, results: Path, where: list[str], started: float) -> int:
    """Run the study, then Snakemake's own report if ours is newer, then print the summary. Returns the exit code."""
    report = results / "report.html"
    before = _modified(report)
    configuration = ["--nolock", "--configfile", str(study)]
    code = run_to_its_end([*SNAKEMAKE, *where, *configuration])
    if code:
        print(f"\nThe study did not finish. The same command goes on where it stopped; logs: {results}/**/logs/", file=sys.stderr)
        return code
    engine_report = results / "snakemake_report.html"
    if _modified(engine_report) < _modified(report):
        command = [*SNAKEMAKE, "--report", str(engine_report), *configuration]
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            print(f"Snakemake's own report failed:\n{done.stderr}", file=sys.stderr)
            return done.returncode
    print(summary(results, unchanged=before == _modified(report), seconds=time.monotonic() - started))
    return 0


def run_to_its_end(command: list[str]) -> int:
    """The command's exit code. Ctrl-C reaches it too, and it may take its time over it: to empty a cluster's queue, for one."""
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue


def _modified(path: Path) -> float:
    return path.stat().st_mtime if path.is_file() else 0.0


def summary(results: Path, *, unchanged: bool, seconds: float) -> str:
    """The last lines that the user sees."""
    verdicts = CsvTables({"verdicts": str(results / "verdicts.csv")})["verdicts"]
    statements = {claim["id"]: claim["statement"] for claim in read_yaml(CLAIMS)["claims"]}
    lines = ["", *answer(verdicts, statements)]
    untested = pd.unique(verdicts.loc[verdicts["headline"] & (verdicts["verdict"] == "not tested"), "claim"])
    if len(untested):
        lines.append(f"Not tested by this study: {', '.join(untested)}.")
    lines += ["", f"Report: {(results / 'report.html').resolve()}"]
    lines.append(f"{'Nothing had to be done' if unchanged else 'Done'}, {seconds:.0f} s.")
    return "\n".join(lines)


ROOT = Path(__file__).parents[3]
CLAIMS = ROOT / "report" / "claims.yaml"

if __name__ == "__main__":
    sys.exit(main())
