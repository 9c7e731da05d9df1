"""How many jobs a study has, by Snakemake's own plan."""

import re
import subprocess
import sys
from pathlib import Path

from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[4]
NO_RULES = ("all", "total")
NOTHING = "Nothing to be done"


def count_jobs(study: Path, folder: Path) -> dict[str, int]:
    """Jobs of each rule that the study has still to run in this folder, all of them in an empty one."""
    places = ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", str(study.resolve())]
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet", "rules", "reason", *places]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (done.stdout + done.stderr).strip().splitlines()
    if done.returncode:
        raise StudyError(f"{study}: Snakemake cannot plan it: {lines[-1].strip() if lines else done.returncode}")
    return {} if NOTHING in done.stdout + done.stderr else parse_job_table(done.stdout + done.stderr)


def parse_job_table(text: str) -> dict[str, int]:
    """The counts in what a dry run prints, without the target rule.

    >>> parse_job_table("Job stats:\\njob      count\\n-------  -----\\ntrain        2\\nall          1\\ntotal        3\\n")
    {'train': 2}
    """
    counts = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", text, flags=re.MULTILINE)}
    if sum(count for name, count in counts.items() if name != "total") != counts.get("total"):
        raise RuntimeError(f"Snakemake's table of jobs was not understood:\n{text}")
    return {name: count for name, count in counts.items() if name not in NO_RULES}
