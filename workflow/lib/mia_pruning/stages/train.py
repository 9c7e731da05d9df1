"""Stage: train dense models."""

from mia_pruning.stages.fitting import (
    Batch,
    finished,
    fit,
    recorded_losses,
    remove_checkpoints,
    write_history,
    write_trace,
)
from mia_pruning.stages.networks import write_models


def train_models(batch: Batch, history: str) -> None:
    """Write the dense models of a batch, their history and, if recorded, their losses."""
    models, histories, traces = {}, {}, []
    for row, trainer in fit(
        batch, batch.settings["training"]["epochs"], None, lambda row, task: []
    ):
        models[row] = finished(trainer)
        histories[row] = trainer.history
        traces += recorded_losses(trainer)
    write_history(history, histories)
    write_trace(batch, traces)
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)
