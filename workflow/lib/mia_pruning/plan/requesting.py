"""From costs to what is asked of a cluster: models a job, and for each rule and experiment the largest job's memory and time."""

import copy
import dataclasses
from collections.abc import Iterable, Mapping
from math import ceil

from mia_pruning.plan.costs import Cost, Rates, study_costs, with_start
from mia_pruning.requests import GPU_RULES, WHOLE_STUDY, Layout, Need, Requests, experiment_identity
from mia_pruning.study import AUTO, Study

#: whose jobs take several models
MODEL_RULES = ("train_targets", "train_shadows", "prune_models", "retrain_models")


@dataclasses.dataclass(frozen=True)
class Device:
    """What jobs of networks run on: cpu as measured here, or gpu at so many 10^12 operations a second, which is assumed."""

    name: str
    tflops: float

    def seconds(self, rule: str, cost: Cost, start: float) -> float:
        """Of the longest job. What is not counted in operations takes as long as on a CPU."""
        if self.name == "gpu" and rule in GPU_RULES and cost.longest_flops:
            return start + cost.longest_flops / (self.tflops * 1e12)
        return cost.longest_seconds


def lay_out(study: Study, rates: Rates, device: Device) -> Study:
    """The study with a number of models a job for every experiment that leaves it to us; one planned before stays.

    The plan that it carries says this alone, and so is of no study.
    """
    experiments = [name for name, entry in study["experiments"].items() if entry["training"]["models_per_job"] == AUTO]
    known = study.plan.layouts if study.plan is not None else {}
    layouts = {name: known[name] for name in experiments if name in known and known[name].of == _identity(study, name)}
    open_ones = [name for name in experiments if name not in layouts]
    if open_ones:
        longest = _longest_model(_one_a_job(study, open_ones), rates, device)
        layouts |= {
            name: Layout(_identity(study, name), _models(study["experiments"][name], longest[name])) for name in open_ones
        }
    return dataclasses.replace(study, plan=Requests("", device.name, {}, layouts))


def _identity(study: Study, experiment: str) -> str:
    return experiment_identity(study["experiments"][experiment])


def _one_a_job(study: Study, experiments: Iterable[str]) -> Study:
    settings = copy.deepcopy(study.settings)
    for name in experiments:
        settings["experiments"][name]["training"]["models_per_job"] = 1
    return dataclasses.replace(study, settings=settings)


def _longest_model(study: Study, rates: Rates, device: Device) -> dict[str, float]:
    """Seconds of the longest job of one model, by experiment."""
    longest: dict[str, float] = {}
    for rule, experiment, cost in study_costs(study, rates):
        if rule in MODEL_RULES:
            longest[experiment] = max(longest.get(experiment, 0.0), device.seconds(rule, cost, 0.0))
    return longest


def _models(experiment: Mapping, seconds_per_model: float) -> int:
    """As many as the time allows, then spread evenly over the jobs that this takes.

    >>> split = {"models": 10, "shadow_models": 0}
    >>> [_models({"split": split, "training": {"minutes_per_job": 1}}, seconds) for seconds in (1, 8, 20, 100)]
    [10, 5, 3, 1]
    """
    fitting = max(1, int(60 * experiment["training"]["minutes_per_job"] / max(seconds_per_model, 1e-9)))
    n_models = max(experiment["split"]["models"], experiment["split"]["shadow_models"])
    return ceil(n_models / ceil(n_models / fitting))


def request(study: Study, jobs: Iterable[str], rates: Rates, device: Device) -> Requests:
    """What the jobs of these rules need; `study` is laid out."""
    work: dict[tuple[str, str], Cost] = {}
    for rule, experiment, cost in study_costs(study, rates):
        work[rule, experiment] = work.get((rule, experiment), Cost()) + cost
    needs: dict[str, dict[str, Need]] = {}
    for rule in jobs:
        places = [experiment for known, experiment in work if known == rule] or [WHOLE_STUDY]
        for place in places:
            cost = with_start(rule, 1, work.get((rule, place), Cost()), rates)
            start = with_start(rule, 1, Cost(), rates).longest_seconds
            needs.setdefault(rule, {})[place] = Need(cost.memory_bytes, device.seconds(rule, cost, start))
    layouts = study.plan.layouts if study.plan is not None else {}
    return Requests(study.identity, device.name, needs, layouts)
