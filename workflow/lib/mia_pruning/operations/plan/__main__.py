"""Print the cost of a study on this machine, by rule and in total, before anything is run.

`make plan` runs this. It also writes results/{study}/plan.json: the resources that the study's
jobs request from a cluster, and the models per job where that is `auto`.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from pathlib import Path

import torch

from mia_pruning.operations.plan.calibration import Machine
from mia_pruning.operations.plan.comparison import compare, read_benchmarks
from mia_pruning.operations.plan.costs import Cost, Rates, RuleCost, rule_costs
from mia_pruning.operations.plan.jobs import count_jobs
from mia_pruning.operations.plan.printing import comparison_table, duration, plan_table
from mia_pruning.operations.plan.requesting import Device, batchings, lay_out, request
from mia_pruning.operations.resources import NAME as PLAN
from mia_pruning.operations.resources import Resources, plan_of
from mia_pruning.study.layout import Layout
from mia_pruning.study.loading import read_study
from mia_pruning.types import StudyError

RESULTS = Path("results")


def main() -> int:
    arguments = _parser().parse_args()
    torch.set_num_threads(1)
    try:
        measured = read_benchmarks(arguments.compare) if arguments.compare else None
        rates, device = Machine(), Device(arguments.device, arguments.gpu_tflops)
        layout, jobs, seconds_to_plan = plan_jobs(arguments.study, rates, device, RESULTS)
        costs = rule_costs(layout, jobs, rates)
        file = RESULTS / layout.study.name / PLAN
        request(layout, jobs, rates, device).write(file)
    except StudyError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Study {layout.study.name}, {arguments.study}: estimated, nothing was run\n")
    print(describe(costs, seconds_to_plan, cores=arguments.cores, tflops=arguments.gpu_tflops))
    print(f"\n{_written(file, layout, device)}")
    if measured is not None:
        comparison = compare(costs, measured)
        print(
            f"\nAgainst the jobs that were run in {arguments.compare}\n\n{comparison_table(comparison)}"
        )
        return verdict(comparison[-1].ratio, arguments.within)
    return 0


def _written(file: Path, layout: Layout, device: Device) -> str:
    """Return a sentence about the plan that was written."""
    batches = [f"{name} {count}" for name, count in layout.planned_batches.items()]
    models = f" Models a job: {', '.join(batches)}." if batches else ""
    on = device.name.upper()
    return f"{file} has what jobs ask a cluster for, networks on a {on}.{models}"


def verdict(ratio: float, within: float) -> int:
    """Return the exit code: 1, with a sentence, if the estimate is off by more than this factor.

    The factor holds in both directions.

    >>> verdict(1.9, 2.0), verdict(0.4, 3.0)
    (0, 0)
    """
    if 1 / within <= ratio <= within:
        return 0
    print(
        f"the estimated CPU time is {ratio:.2f} times the measured; allowed is within a factor of {within:g}",
        file=sys.stderr,
    )
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="plan", description=__doc__)
    parser.add_argument("study", type=Path, help="the study's YAML file")
    parser.add_argument(
        "--cores",
        type=_cores,
        default="all",
        help="that jobs may share; a number or `all`, the default",
    )
    parser.add_argument(
        "--device", choices=["cpu", "gpu"], default="cpu", help="that a cluster's jobs train on"
    )
    parser.add_argument(
        "--gpu-tflops",
        type=_positive,
        default=10.0,
        help="the rate assumed of a GPU, 10^12 operations a second",
    )
    parser.add_argument(
        "--compare",
        type=Path,
        metavar="results/NAME",
        help="also compare with what a finished run measured",
    )
    parser.add_argument(
        "--within",
        type=_positive,
        default=float("inf"),
        help="with --compare: fail if off by more than this factor",
    )
    return parser


def _cores(text: str) -> int:
    if text == "all":
        return len(os.sched_getaffinity(0))
    if not text.isdigit() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a whole number >= 1, or all")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed is a number > 0")
    return value


def plan_jobs(
    path: Path, rates: Rates, device: Device, results: Path
) -> tuple[Layout, dict[str, int], float]:
    """Return the layout, Snakemake's number of jobs by rule, and the seconds that it counted."""
    study = read_study(path, results)
    earlier = plan_of(study, results)
    known = earlier.models_per_job(study) if earlier is not None else {}
    layout = lay_out(study, rates, device, known)
    with tempfile.TemporaryDirectory() as name:
        plan = Path(name) / PLAN
        Resources("", device.name, {}, batchings(layout)).write(plan)
        started = time.monotonic()
        jobs = count_jobs(path, Path.cwd(), plan)
        return layout, jobs, time.monotonic() - started


def describe(costs: list[RuleCost], seconds_to_plan: float, *, cores: int, tflops: float) -> str:
    """Return the table, the wall time and the assumptions behind both."""
    whole = sum((entry.cost for entry in costs), Cost())
    total = RuleCost(
        "total", sum(entry.jobs for entry in costs), dataclasses.replace(whole, models=0)
    )
    wall = duration(wall_seconds(costs, cores) + seconds_to_plan)
    return f"""{plan_table(costs, total, tflops)}

Wall time on {cores} {"core" if cores == 1 else "cores"}: about {wall}, if nothing else runs there.

CPU time is measured here, on random data: a few steps of each network by its own objective, starting a process, each attack,
a bootstrap. An attack that stops early is assumed to take half of its epochs.
GPU time, of training and querying alone, is no measurement: it is the operations counted over an assumed {tflops:g} x 10^12
a second (--gpu-tflops). Memory is that of the largest job, disk what all jobs write."""


def wall_seconds(costs: list[RuleCost], cores: int) -> float:
    """Return the seconds of all work spread evenly over the cores.

    They are at least those of the longest job of each rule, one after the other.
    """
    return max(
        sum(entry.cost.cpu_seconds for entry in costs) / cores,
        sum(entry.cost.longest_seconds for entry in costs),
    )


if __name__ == "__main__":
    sys.exit(main())
