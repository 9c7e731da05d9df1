"""Check before the first job that models fit their data, objectives work and constraints fit.

`study.networks` runs this as a process of its own. Questions come as JSON on standard input,
problems leave as JSON on standard output.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from functools import cache
from typing import Any

import torch

from mia_pruning.constraints.cardinality import prunable
from mia_pruning.constraints.solving import Solver, make_constraint
from mia_pruning.registry import find
from mia_pruning.stages.networks import build, make_objective
from mia_pruning.training.objective import Objective, Plan
from mia_pruning.types import StudyError

#: The loss of an objective is tried on this many images.
N_TRIED = 4


def problem(question: dict[str, Any]) -> StudyError | None:
    """Return the error in a model, data, objective and constraint, or None."""
    try:
        for check in (_check_objective, _check_model, _check_loss, _check_constraint):
            check(question)
    except StudyError as error:
        return error
    return None


def _check_objective(question: dict[str, Any]) -> None:
    entry = question["settings"]["objective"]
    with _refusing(
        f"objectives.{question['objective']}",
        f" (in experiments.{question['experiment']})",
        objective=entry["use"],
    ):
        objective = make_objective(entry)
        _check_base(objective, Objective, "use")
        for plan in _plans(question):
            objective.check(plan)


def _check_model(question: dict[str, Any]) -> None:
    settings, place = question["settings"], f"experiments.{question['experiment']}.model"
    height, width, channels = question["image_shape"]
    does = f"{settings['model']} cannot take images of {height} x {width} x {channels}: "
    with _refusing(
        place, does=does, model=settings["model"]["use"], objective=settings["objective"]["use"]
    ):
        shape, _ = _shapes(*_network(question))
    if shape != (1, question["n_classes"]):
        raise StudyError(
            place, f"it answers one image with {shape}", f"allowed is (1, {question['n_classes']})"
        )


def _check_loss(question: dict[str, Any]) -> None:
    settings, place = question["settings"], f"objectives.{question['objective']}"
    plug_ins = {"objective": settings["objective"]["use"], "model": settings["model"]["use"]}
    with _refusing(
        place, f" (in experiments.{question['experiment']})", does="its loss fails: ", **plug_ins
    ):
        _try_loss(*_network(question))


def _check_constraint(question: dict[str, Any]) -> None:
    entry, place = question["settings"]["constraint"], f"constraints.{question['constraint']}"
    plug_ins = {"constraint": entry["use"], "solver": entry["solver"]}
    with _refusing(place, f" (in experiments.{question['experiment']})", **plug_ins):
        _, shapes = _shapes(*_network(question))
        _check_solver(entry, shapes, _plans(question))


@contextmanager
def _refusing(place: str, end: str = "", does: str = "", **plug_ins: str) -> Iterator[None]:
    """Turn any error of a user's code into a StudyError.

    The StudyError has the error's place in the study, its file and its line.

    plug_ins: names of those that may raise, by kind. The first is named if the error does not show
    which one raised it.
    """
    try:
        yield
    except StudyError as error:
        raise error.below(place).with_end(end) from error
    except (Exception, SystemExit) as error:
        reason = _explain(error, plug_ins)
        raise StudyError(place, f"{does}{reason}{end}") from error


def _explain(error: BaseException, plug_ins: Mapping[str, str]) -> str:
    used = [find(kind, use, kind) for kind, use in plug_ins.items()]
    return next((each for each in used if each.has_raised(error)), used[0]).explain(error)


def _plans(question: Mapping[str, Any]) -> list[Plan]:
    return [Plan(**plan) for plan in question["plans"]]


def _network(question: Mapping[str, Any]) -> tuple[str, tuple[int, int, int], int]:
    """Return model and objective settings as JSON, the shape of images, the number of classes."""
    settings = question["settings"]
    network = json.dumps([settings["model"], settings["objective"]])
    return network, tuple(question["image_shape"]), question["n_classes"]


def _build(network: str, image_shape: tuple[int, int, int], n_classes: int) -> torch.nn.Module:
    model, objective = json.loads(network)
    return build({"model": model, "objective": objective}, image_shape, n_classes)


@cache
def _shapes(
    network: str, image_shape: tuple[int, int, int], n_classes: int
) -> tuple[tuple, dict[str, tuple[int, ...]]]:
    """Return the shape of the answer to one image, and the shape of each prunable weight.

    network: model and objective settings as JSON.
    """
    built = _build(network, image_shape, n_classes)
    height, width, channels = image_shape
    answer = built.eval()(torch.zeros(1, channels, height, width))
    return tuple(answer.shape), prunable(
        {name: tuple(parameter.shape) for name, parameter in built.named_parameters()}
    )


@cache
def _try_loss(network: str, image_shape: tuple[int, int, int], n_classes: int) -> None:
    """Compute the loss of a few images and its gradient, if the objective is no more than a loss.

    network: model and objective settings as JSON.
    """
    objective = make_objective(json.loads(network)[1])
    if type(objective).start is not Objective.start:
        return
    if type(objective).loss is Objective.loss:
        raise StudyError(
            "use",
            "its class has no method loss(self, model, images, labels)",
            "allowed is a class with it, or with start",
        )
    height, width, channels = image_shape
    images, labels = (
        torch.zeros(N_TRIED, channels, height, width),
        torch.zeros(N_TRIED, dtype=torch.long),
    )
    answer = objective.loss(_build(network, image_shape, n_classes).train(), images, labels)
    shapes = (
        tuple(tuple(each.shape) for each in answer)
        if isinstance(answer, tuple)
        else type(answer).__name__
    )
    if shapes != ((), (N_TRIED, n_classes)):
        allowed = f"allowed is a loss of shape () and logits of shape {(N_TRIED, n_classes)}"
        raise StudyError("use", f"its method loss answers {N_TRIED} images with {shapes}", allowed)
    answer[0].backward()


def _check_base(made: Any, base: type, key: str) -> None:
    if not isinstance(made, base):
        name = f"{base.__module__}.{base.__name__}"
        raise StudyError(
            key,
            f"{type(made).__name__} lacks methods that the pipeline calls",
            f"allowed are classes of {name}",
        )


def _check_solver(
    entry: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], plans: Sequence[Plan]
) -> None:
    sparsity_set, solver = make_constraint(entry)
    _check_base(solver, Solver, "solver")
    sparsity_set.budgets(shapes)
    if entry["use"] != "none":
        for plan in plans:
            solver.check(plan, entry["retrain_epochs"])
    elif solver.epochs or solver.from_initial or solver.rewind_epochs is not None:
        raise StudyError(
            f"solver = {entry['solver']!r}",
            "use = 'none' leaves it nothing to do",
            "allowed is to leave it out",
        )


if __name__ == "__main__":
    with redirect_stdout(sys.stderr):  # a user's code may print
        problems = list(filter(None, map(problem, json.load(sys.stdin))))
    json.dump([[each.place, each.problem, each.allowed] for each in problems], sys.stdout)
