"""Requests from a cluster, derived from costs.

They are the models per job and, for each rule and experiment, the largest job's memory and time.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from math import ceil

from mia_pruning.operations.plan.costs import Cost, Rates, study_costs, with_start
from mia_pruning.operations.resources import (
    WHOLE_STUDY,
    Batching,
    Need,
    Resources,
    experiment_identity,
)
from mia_pruning.study.layout import Layout
from mia_pruning.study.pipeline import RULES, rules_that
from mia_pruning.study.study import Study

#: The jobs of these rules take several models.
MODEL_RULES = rules_that("takes_batches")


@dataclasses.dataclass(frozen=True)
class Device:
    """The device that jobs of networks run on.

    name: `cpu`, as measured here, or `gpu`.
    tflops: assumed rate of a GPU, 10^12 operations a second.
    """

    name: str
    tflops: float

    def seconds(self, rule: str, cost: Cost, start: float) -> float:
        """Return the seconds of the longest job.

        Work that is not counted in operations takes as long on a GPU as on a CPU.
        """
        if self.name == "gpu" and RULES[rule].on_gpu and cost.longest_flops:
            return start + cost.longest_flops / (self.tflops * 1e12)
        return cost.longest_seconds


def lay_out(
    study: Study, rates: Rates, device: Device, known: Mapping[str, int] | None = None
) -> Layout:
    """Return the layout, with models per job for the experiments that leave it to the plan.

    known: numbers that were planned before, by experiment. They stay.
    """
    layout = Layout(study, known or {})
    open_ones = [
        name for name in layout.experiments_left_to_the_plan() if name not in layout.planned_batches
    ]
    if not open_ones:
        return layout
    one_each = dict.fromkeys(open_ones, 1)
    single = Layout(study, {**layout.planned_batches, **one_each})
    longest = _longest_model(single, rates, device)
    fitting = {name: _models(study["experiments"][name], longest[name]) for name in open_ones}
    return Layout(study, {**layout.planned_batches, **fitting})


def _longest_model(layout: Layout, rates: Rates, device: Device) -> dict[str, float]:
    """Return the seconds of the longest job of one model, by experiment."""
    longest: dict[str, float] = {}
    for rule, experiment, cost in study_costs(layout, rates):
        if rule in MODEL_RULES:
            seconds = device.seconds(rule, cost, 0.0)
            longest[experiment] = max(longest.get(experiment, 0.0), seconds)
    return longest


def _models(experiment: Mapping, seconds_per_model: float) -> int:
    """Return as many models as the time allows, then spread evenly over the jobs that this takes.

    >>> split = {"models": 10, "shadow_models": 0}
    >>> [_models({"split": split, "training": {"minutes_per_job": 1}}, seconds) for seconds in (1, 8, 20, 100)]
    [10, 5, 3, 1]
    """
    fitting = max(
        1, int(60 * experiment["training"]["minutes_per_job"] / max(seconds_per_model, 1e-9))
    )
    n_models = max(experiment["split"]["models"], experiment["split"]["shadow_models"])
    return ceil(n_models / ceil(n_models / fitting))


def request(layout: Layout, jobs: Iterable[str], rates: Rates, device: Device) -> Resources:
    """Return the resources that the jobs of these rules request."""
    study = layout.study
    work: dict[tuple[str, str], Cost] = {}
    for rule, experiment, cost in study_costs(layout, rates):
        work[rule, experiment] = work.get((rule, experiment), Cost()) + cost
    needs: dict[str, dict[str, Need]] = {}
    for rule in jobs:
        places = [experiment for known, experiment in work if known == rule] or [WHOLE_STUDY]
        for place in places:
            cost = with_start(rule, 1, work.get((rule, place), Cost()), rates)
            start = with_start(rule, 1, Cost(), rates).longest_seconds
            need = Need(cost.memory_bytes, device.seconds(rule, cost, start))
            needs.setdefault(rule, {})[place] = need
    return Resources(study.identity, device.name, needs, batchings(layout))


def batchings(layout: Layout) -> dict[str, Batching]:
    """Return the planned batches with the identity of the experiments that they hold for."""
    experiments = layout.study["experiments"]
    return {
        name: Batching(experiment_identity(experiments[name]), models_per_job)
        for name, models_per_job in layout.planned_batches.items()
    }
