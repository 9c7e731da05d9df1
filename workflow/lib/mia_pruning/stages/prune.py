"""Stages: bring dense models into a sparsity set, and retrain them inside it."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mia_pruning import storage
from mia_pruning.constraints.solving import Solution, make_constraint, prunable_weights
from mia_pruning.seeds import stream
from mia_pruning.stages.fitting import (
    Batch,
    finished,
    fit,
    read_starts,
    recorded_losses,
    remove_checkpoints,
    write_history,
    write_trace,
)
from mia_pruning.stages.networks import read_models, write_models
from mia_pruning.tables import PROJECTION, RESIDUALS
from mia_pruning.training.loop import Trainer, predict
from mia_pruning.training.masking import KeepMasked, apply_masks_
from mia_pruning.training.objective import Callback


def prune_models(
    batch: Batch, dense: str, *, history: str, residuals: str, projection: str
) -> None:
    """Write projected weights, masks and the tensors that the solver keeps (ADMM: Z and U).

    history, residuals and projection are tables of the training, the solver and the projection.
    """
    sparsity_set, solver = make_constraint(batch.settings["constraint"])
    solutions: dict[int, Solution] = {}

    def start(row, task):
        solutions[row] = solver.start(
            task, sparsity_set, stream(batch.seed, "model", row, "solver")
        )
        return [solutions[row]] if isinstance(solutions[row], Callback) else []

    models, histories, projections = {}, {}, {}
    starts = None if solver.from_initial else read_starts(dense)
    again = dataclasses.replace(batch, phase="train", output=f"{batch.output}.rewound")
    rewound = {} if solver.rewind_epochs is None else _rewound(again, solver.rewind_epochs)
    for row, trainer in fit(batch, solver.epochs, starts, start):
        masks = solutions[row].masks()
        passes = trainer.sample_passes + solutions[row].passes
        if row in rewound:
            trainer.model.load_state_dict(storage.select(rewound[row], "weights"))
        projections[row] = _project(trainer, masks)
        models[row] = {
            **finished(trainer),
            "sample_passes": torch.tensor(passes, dtype=torch.float64),
        }
        models[row] |= {
            **storage.under("masks", masks),
            **storage.under("solver", solutions[row].tensors()),
        }
        histories[row] = trainer.history
    write_history(history, histories)
    _write_residuals(residuals, models)
    rows = [{"model": row, **line} for row, lines in projections.items() for line in lines]
    storage.write_table(projection, rows, ["model", *PROJECTION])
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)
    remove_checkpoints(again)


def _rewound(again: Batch, epochs: int) -> dict[int, dict[str, Tensor]]:
    """Return each model after its first epochs of dense training, trained again.

    The same seed gives the same weights. None of the objective's tensors are taken: those of the
    complete dense training stay, because the masks result from it. Nor do these epochs count as
    spent on the model, because dense training included them already.
    """
    total = again.settings["training"]["epochs"]
    return {
        row: finished(trainer)
        for row, trainer in fit(again, epochs, None, lambda row, task: [], schedule_epochs=total)
    }


def retrain_models(batch: Batch, pruned: str, history: str) -> None:
    """Write the masks, and the weights after `retrain_epochs` epochs of retraining.

    Masked weights stay zero in these epochs.
    """
    masks = {row: storage.select(tensors, "masks") for row, tensors in read_models(pruned).items()}
    epochs = batch.settings["retrain_epochs"]
    models, histories, traces = {}, {}, []
    for row, trainer in fit(
        batch, epochs, read_starts(pruned), lambda row, task: [KeepMasked(task.model, masks[row])]
    ):
        models[row] = {**finished(trainer), **storage.under("masks", masks[row])}
        histories[row] = trainer.history
        traces += recorded_losses(trainer)
    write_history(history, histories)
    write_trace(batch, traces)
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)


@torch.no_grad()
def _project(trainer: Trainer, masks: Mapping[str, Tensor]) -> list[dict[str, Any]]:
    """Set the weights outside the masks to zero.

    Return rows on the change, as in PROJECTION.
    """
    before = {
        name: weight.detach().clone() for name, weight in prunable_weights(trainer.model).items()
    }
    answers, accuracy = _answers(trainer), trainer.test_accuracy()
    apply_masks_(trainer.model, masks)
    removed = {
        name: before[name] - weight for name, weight in prunable_weights(trainer.model).items()
    }
    rows = [
        {"layer": n, "weight_norm": float(w.norm()), "removed_norm": float(removed[n].norm())}
        for n, w in before.items()
    ]
    whole = {
        column: float(np.linalg.norm([row[column] for row in rows]))
        for column in ("weight_norm", "removed_norm")
    }
    changed = float((answers != _answers(trainer)).double().mean())
    after = {
        "accuracy_before": accuracy,
        "accuracy_after": trainer.test_accuracy(),
        "answers_changed": changed,
    }
    return [*rows, {"layer": "all", **whole, **after}]


def _answers(trainer: Trainer) -> Tensor:
    return predict(trainer.model, trainer.test_data).argmax(dim=1)


def _write_residuals(path: str, models: Mapping[int, Mapping[str, Tensor]]) -> None:
    """Write one row per model, layer and epoch; only the header if the solver has no residuals."""
    rows = []
    for row, tensors in models.items():
        for layer, values in storage.select(tensors, "solver/residuals").items():
            lines = np.asarray(values).tolist()
            rows += [
                {"model": row, "layer": layer, **dict(zip(RESIDUALS, line, strict=True))}
                for line in lines
            ]
    storage.write_table(path, rows, ["model", "layer", *RESIDUALS])
