"""Number of a study's jobs, by Snakemake's own plan."""

import os
import re
import subprocess
import sys
from pathlib import Path

from mia_pruning.operations.resources import PLAN_FILE
from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[5]
NO_RULES = ("all", "total")
NOTHING = "Nothing to be done"
NO_REASON = re.compile(r'Using .*profile|\s+File "')
HEAD_OF_ERROR = re.compile(r"\w*(Error|Exception)\b.*:$")


def count_jobs(study: Path, folder: Path, plan: Path | None = None) -> dict[str, int]:
    """Return the number of jobs of each rule that Snakemake would run in this folder.

    plan: if given, all jobs of the study are counted, laid out by this plan file instead of the
    one in the folder.

    Raises:
        StudyError: Snakemake refuses the study; the message quotes its reason.
    """
    places = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder)]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--nolock",
        "--quiet",
        "rules",
        "reason",
    ]
    command += [*places, "--configfile", str(study.resolve())]
    environment = dict(os.environ)
    if plan is not None:
        command.append("--forceall")
        environment[PLAN_FILE] = str(plan)
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    text = done.stdout + done.stderr
    if done.returncode:
        raise StudyError(study, f"Snakemake cannot plan it: {reason_of(text) or done.returncode}")
    return {} if NOTHING in text else parse_job_table(text)


def reason_of(text: str) -> str:
    """Return Snakemake's error message, without its announcements and its traceback.

    >>> reason_of('Using profile x.\\nWorkflowError in file a.smk, line 4:\\nFile b is gone\\n  File "a.smk", line 4')
    'File b is gone'
    >>> reason_of("Using profile x.\\nbroken")
    'broken'
    """
    lines = [line for line in text.splitlines() if not NO_REASON.match(line)]
    heads = [number for number, line in enumerate(lines) if HEAD_OF_ERROR.match(line)]
    return " ".join(line.strip() for line in lines[heads[0] + 1 if heads else 0 :]).strip()


def parse_job_table(text: str) -> dict[str, int]:
    """Return the counts in the output of a dry run, without the target rule.

    >>> parse_job_table("Job stats:\\njob      count\\n-------  -----\\ntrain        2\\nall          1\\ntotal        3\\n")
    {'train': 2}
    """
    counts = {
        name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)
    }
    if sum(count for name, count in counts.items() if name != "total") != counts.get("total"):
        raise RuntimeError(f"Snakemake's table of jobs was not understood:\n{text}")
    return {name: count for name, count in counts.items() if name not in NO_RULES}
