"""Stage: train dense models."""

from mia_pruning import storage
from mia_pruning.stages.fitting import Batch, fit, remove_checkpoints, weights_of, write_history
from mia_pruning.stages.networks import write_models


def train_models(batch: Batch, history: str) -> None:
    models, histories = {}, {}
    for row, trainer in fit(batch, batch.settings["training"]["epochs"], None, lambda row, network: []):
        models[row] = storage.under("weights", weights_of(trainer.model))
        histories[row] = trainer.history
    write_history(history, histories)
    write_models(batch.output, models, batch.record)
    remove_checkpoints(batch)
