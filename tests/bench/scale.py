"""What planning a large study costs: CPU seconds and memory of Snakemake's dry run, by number of jobs.

The studies are made here: 20 defences, 256 models a seed, one attack. The number of jobs is set by the seeds and by how many
models one job trains. Nothing of them is ever run.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from mia_pruning.operations.plan.jobs import ROOT, parse_job_table

N_DENSE, N_PRUNED, N_MODELS = 16, 4, 256
#: name -> seeds and models a job
SIZES = {"1,000 jobs": (10, 256), "10,000 jobs": (100, 256), "100,000 jobs": (100, 7)}


class Cost(NamedTuple):
    jobs: int
    wall_seconds: float
    cpu_seconds: float
    peak_mb: float


def scale_study(n_seeds: int, models_per_job: int = N_MODELS, n_attacks: int = 1) -> dict[str, Any]:
    """The settings of a study of 20 defences: 16 dense ones, which differ in their epochs, and four of these pruned."""
    dense = {
        f"epochs_{epochs}": {"use": "erm", "training": {"epochs": epochs}}
        for epochs in range(1, N_DENSE + 1)
    }
    pairs = [(name, "none") for name in dense] + [
        (name, "magnitude") for name in list(dense)[:N_PRUNED]
    ]
    names = ["baseline", *(f"{objective}_{constraint}" for objective, constraint in pairs[1:])]
    return {
        "study": "scale",
        "seeds": list(range(n_seeds)),
        "attackers": ["adaptive"],
        "datasets": {"fashion_mnist": {"use": "fashion_mnist_t10k"}},
        "experiments": {
            "lenet5_fashion": {
                "dataset": "fashion_mnist",
                "model": {"use": "lenet5"},
                "split": {"protocol": "pool", "examples": 2800, "models": N_MODELS, "test": 3000},
                "training": {"epochs": 1, "models_per_job": models_per_job},
            }
        },
        "objectives": dense,
        "constraints": {
            "none": {"use": "none"},
            "magnitude": {"use": "cardinality", "compression": 10, "retrain_epochs": 1},
        },
        "defences": {
            name: {"objective": o, "constraint": c}
            for name, (o, c) in zip(names, pairs, strict=True)
        },
        "attacks": {f"loss_{number}": {"use": "loss"} for number in range(n_attacks)},
    }


def dry_run(study: Path, folder: Path) -> Cost:
    """What planning this study takes; `folder` is the working directory."""
    places = [
        "--snakefile",
        str(ROOT / "Snakefile"),
        "--directory",
        str(folder),
        "--configfile",
        str(study.resolve()),
    ]
    command = [
        sys.executable,
        "-m",
        "snakemake",
        "--dry-run",
        "--quiet",
        "rules",
        "reason",
        *places,
    ]
    started = time.perf_counter()
    with (folder / "plan.txt").open("w+", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise RuntimeError(f"Snakemake cannot plan {study}:\n{text[-4000:]}")
    jobs = sum(parse_job_table(text).values())
    return Cost(
        jobs, time.perf_counter() - started, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024
    )


def measure(n_seeds: int, models_per_job: int, folder: Path) -> Cost:
    study = folder / "study.yaml"
    study.write_text(
        yaml.safe_dump(scale_study(n_seeds, models_per_job), sort_keys=False), encoding="utf-8"
    )
    return dry_run(study, folder)


def report(sizes: Iterable[str], rounds: int = 1) -> None:
    """Print the dry runs' costs. Before they count, one approves the networks, which takes torch and no more than seconds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        measure(1, N_MODELS, folder)
        for size in sizes:
            for _ in range(rounds):
                cost = measure(*SIZES[size], folder)
                seconds = f"{cost.cpu_seconds:6.1f} s CPU   {cost.wall_seconds:6.1f} s wall"
                print(f"  {cost.jobs:7,} jobs   {seconds}   {cost.peak_mb:5.0f} MB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "sizes", nargs="*", metavar="SIZE", help=f"{', '.join(SIZES)}; all unless named"
    )
    parser.add_argument("--rounds", type=int, default=1)
    given = parser.parse_args()
    report(given.sizes or SIZES, given.rounds)


if __name__ == "__main__":
    main()
