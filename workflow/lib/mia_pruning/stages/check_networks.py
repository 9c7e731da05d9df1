"""Before the first job: do the models fit their data, can the objectives be met, do the constraints leave every layer a weight?

Run as a process of its own by `study.check_networks`: questions as JSON on standard input, problems as JSON on standard output.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import torch

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.constraints.solving import make_constraint
from mia_pruning.stages.networks import build, make_objective
from mia_pruning.training.objective import Plan
from mia_pruning.types import StudyError


def problem(question: dict[str, Any]) -> str | None:
    """One sentence on what is wrong with this model, data, objective and constraint, or None."""
    experiment, settings = f"experiments.{question['experiment']}", question["settings"]
    height, width, channels = question["image_shape"]
    plans = [Plan(**plan) for plan in question["plans"]]
    try:
        objective = make_objective(settings["objective"])
        for plan in plans:
            objective.check(plan)
    except StudyError as error:
        return f"objectives.{question['objective']}.{error} (in {experiment})"
    try:
        network = json.dumps([settings["model"], settings["objective"]])
        shape, shapes = _shapes(network, (height, width, channels), question["n_classes"])
    except StudyError as error:
        return f"{experiment}.model.{error}"
    except Exception as error:  # whatever somebody's model raises
        reason = f"{type(error).__name__}: {error}"
        return f"{experiment}.model: {settings['model']} cannot take images of {height} x {width} x {channels}: {reason}"
    if shape != (1, question["n_classes"]):
        return f"{experiment}.model: it answers one image with {shape}, allowed is (1, {question['n_classes']})"
    try:
        _check_constraint(settings["constraint"], shapes, plans)
    except StudyError as error:
        return f"constraints.{question['constraint']}.{error} (in {experiment})"
    return None


@cache
def _shapes(network: str, image_shape: tuple[int, int, int], n_classes: int) -> tuple[tuple, dict[str, tuple[int, ...]]]:
    """Of the answer to one image, and of each prunable weight; network: model and objective settings as JSON."""
    model, objective = json.loads(network)
    built = build({"model": model, "objective": objective}, image_shape, n_classes)
    height, width, channels = image_shape
    answer = built.eval()(torch.zeros(1, channels, height, width))
    return tuple(answer.shape), prunable({name: tuple(parameter.shape) for name, parameter in built.named_parameters()})


def _check_constraint(entry: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], plans: Sequence[Plan]) -> None:
    sparsity_set, solver = make_constraint(entry)
    sparsity_set.budgets(shapes)
    if entry["use"] != "none":
        for plan in plans:
            solver.check(plan, entry["retrain_epochs"])
    elif solver.epochs or solver.from_initial or solver.rewind_epochs is not None:
        raise StudyError(f"solver = {entry['solver']!r}: use = 'none' leaves it nothing to do; allowed is to leave it out")


if __name__ == "__main__":
    problems = map(problem, json.load(sys.stdin))
    json.dump(list(dict.fromkeys(filter(None, problems))), sys.stdout)
