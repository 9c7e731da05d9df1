"""Before the first job: do the models fit their data, and do the constraints leave every layer a weight?

Run as a process of its own by `study.check_networks`: questions as JSON on standard input, problems as JSON on standard output.
"""

import json
import sys
from typing import Any

import torch

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.stages.networks import build
from mia_pruning.stages.prune import make_constraint
from mia_pruning.types import StudyError


def problem(question: dict[str, Any]) -> str | None:
    """One sentence on what is wrong with this model, data and constraint, or None."""
    height, width, channels = question["image_shape"]
    model_key = f"experiments.{question['experiment']}.model"
    try:
        network = build(question["model"], (height, width, channels), question["n_classes"])
        shape = tuple(network.eval()(torch.zeros(1, channels, height, width)).shape)
    except StudyError as error:
        return f"{model_key}.{error}"
    except Exception as error:  # whatever somebody's model raises
        reason = f"{type(error).__name__}: {error}"
        return f"{model_key}: {question['model']} cannot take images of {height} x {width} x {channels}: {reason}"
    if shape != (1, question["n_classes"]):
        return f"{model_key}: it answers one image with {shape}, allowed is (1, {question['n_classes']})"
    shapes = prunable({name: tuple(parameter.shape) for name, parameter in network.named_parameters()})
    try:
        make_constraint(question["constraint"])[0].budgets(shapes)
    except StudyError as error:
        return f"{question['where']}.{error} (in experiments.{question['experiment']})"
    return None


if __name__ == "__main__":
    problems = map(problem, json.load(sys.stdin))
    json.dump(list(dict.fromkeys(filter(None, problems))), sys.stdout)
