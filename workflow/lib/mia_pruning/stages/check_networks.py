"""Before the first job: do the models fit their data, can the objectives be met, do the constraints leave every layer a weight?

Run as a process of its own by `study.check_networks`: questions as JSON on standard input, problems as JSON on standard output.
"""

import json
import sys
from typing import Any

import torch

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.stages.networks import build, make_objective
from mia_pruning.stages.prune import make_constraint
from mia_pruning.training.objective import Plan
from mia_pruning.types import StudyError


def problem(question: dict[str, Any]) -> str | None:
    """One sentence on what is wrong with this model, data, objective and constraint, or None."""
    experiment, settings = f"experiments.{question['experiment']}", question["settings"]
    height, width, channels = question["image_shape"]
    try:
        for plan in question["plans"]:
            make_objective(settings["objective"]).check(Plan(**plan))
    except StudyError as error:
        return f"objectives.{question['objective']}.{error} (in {experiment})"
    try:
        network = build(settings, (height, width, channels), question["n_classes"])
        shape = tuple(network.eval()(torch.zeros(1, channels, height, width)).shape)
    except StudyError as error:
        return f"{experiment}.model.{error}"
    except Exception as error:  # whatever somebody's model raises
        reason = f"{type(error).__name__}: {error}"
        return f"{experiment}.model: {settings['model']} cannot take images of {height} x {width} x {channels}: {reason}"
    if shape != (1, question["n_classes"]):
        return f"{experiment}.model: it answers one image with {shape}, allowed is (1, {question['n_classes']})"
    shapes = prunable({name: tuple(parameter.shape) for name, parameter in network.named_parameters()})
    try:
        make_constraint(settings["constraint"])[0].budgets(shapes)
    except StudyError as error:
        return f"constraints.{question['constraint']}.{error} (in {experiment})"
    return None


if __name__ == "__main__":
    problems = map(problem, json.load(sys.stdin))
    json.dump(list(dict.fromkeys(filter(None, problems))), sys.stdout)
