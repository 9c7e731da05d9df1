"""Stages: bring dense models into a sparsity set, and retrain them inside it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import Tensor

from mia_pruning import storage
from mia_pruning.constraints.admm import RESIDUALS
from mia_pruning.constraints.solving import Solution, Solver, SparsitySet
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import stream
from mia_pruning.stages.fitting import Batch, fit, remove_checkpoints, start_weights, weights_of, write_history
from mia_pruning.stages.networks import read_models, write_models
from mia_pruning.training.loop import Callback
from mia_pruning.training.masking import KeepMasked, apply_masks_


def make_constraint(settings: Mapping[str, Any]) -> tuple[SparsitySet, Solver]:
    """The sparsity set and the solver of a `constraints` entry."""
    plug_ins = find("constraint", settings["use"], "use"), find("solver", settings["solver"], "solver")
    return tuple(plug_in.load()(**options_of(plug_in, dict(settings))) for plug_in in plug_ins)


def prune_models(batch: Batch, dense: str, history: str, residuals: str) -> None:
    """Write projected weights and masks, and what the solver wants kept (ADMM: Z and U)."""
    sparsity_set, solver = make_constraint(batch.settings["constraint"])
    solutions: dict[int, Solution] = {}

    def start(row, network):
        solutions[row] = solver.start(network, sparsity_set, stream(batch.seed, "model", row, "solver"))
        return [solutions[row]] if isinstance(solutions[row], Callback) else []

    models, histories = {}, {}
    for row, trainer in fit(batch, solver.epochs, start_weights(dense), start):
        masks = solutions[row].masks()
        apply_masks_(trainer.model, masks)
        models[row] = _with_masks(weights_of(trainer.model), masks)
        models[row].update(storage.under("solver", solutions[row].tensors()))
        histories[row] = trainer.history
    write_history(history, histories)
    _write_residuals(residuals, models)
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)


def retrain_models(batch: Batch, pruned: str, history: str) -> None:
    """Write the weights after `retrain_epochs` epochs in which masked weights stay zero, and the masks."""
    masks = {row: storage.select(tensors, "masks") for row, tensors in read_models(pruned).items()}
    epochs = batch.settings["retrain_epochs"]
    models, histories = {}, {}
    for row, trainer in fit(batch, epochs, start_weights(pruned), lambda row, network: [KeepMasked(network, masks[row])]):
        models[row] = _with_masks(weights_of(trainer.model), masks[row])
        histories[row] = trainer.history
    write_history(history, histories)
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)


def _with_masks(weights: dict[str, Tensor], masks: dict[str, Tensor]) -> dict[str, Tensor]:
    return {**storage.under("weights", weights), **storage.under("masks", masks)}


def _write_residuals(path: str, models: Mapping[int, Mapping[str, Tensor]]) -> None:
    """One row a model, layer and epoch; only the header where the solver has no residuals."""
    rows = []
    for row, tensors in models.items():
        for layer, values in storage.select(tensors, "solver/residuals").items():
            lines = np.asarray(values).tolist()
            rows += [{"model": row, "layer": layer, **dict(zip(RESIDUALS, line, strict=True))} for line in lines]
    storage.write_table(path, rows, ["model", "layer", *RESIDUALS])
