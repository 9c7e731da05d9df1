"""What dense training, ADMM and masked retraining share: several models, one after the other, each resumable."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mia_pruning import storage
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import stream
from mia_pruning.stages.job import identity, logger
from mia_pruning.stages.networks import build_seeded, read_models, resident
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.training.data import device
from mia_pruning.training.loop import HISTORY, Callback, Recipe, Trainer

RECIPE_KEYS = (
    "batch_size", "optimizer", "learning_rate", "weight_decay", "momentum", "precision", "schedule", "augmentation",
)  # fmt: skip
REPORTS_PER_MODEL = 4


@dataclass(frozen=True)
class Batch:
    """Models of one job.

    `phase` (train, prune, retrain) names the random streams; settings hold model, training and objective.
    """

    dataset: str
    split: str
    settings: Mapping[str, Any]
    seed: int
    rows: list[int]
    phase: str
    output: str
    record: dict[str, Any]


def batch_of(snakemake: Any, phase: str, record: dict[str, Any]) -> Batch:
    """The batch that a rule's inputs, outputs and parameters describe."""
    return Batch(
        dataset=snakemake.input.dataset,
        split=snakemake.input.split,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        rows=snakemake.params.rows,
        phase=phase,
        output=snakemake.output.models,
        record=record,
    )


def fit(
    batch: Batch,
    epochs: int,
    start: Mapping[int, Mapping[str, Tensor]] | None,
    make_callbacks: Callable[[int, nn.Module], list[Callback]],
) -> Iterator[tuple[int, Trainer]]:
    """Each model of the batch, trained for `epochs` epochs from the start weights or, without them, from its own seed.

    The caller removes the checkpoints, by `remove_checkpoints`, once its output is written.
    """
    packed, split = read_packed(batch.dataset), read_split(batch.split)
    recipe = Recipe(**{key: batch.settings["training"][key] for key in RECIPE_KEYS})
    test_data = resident(packed, split.test)
    for position, row in enumerate(batch.rows):
        network = build_seeded(batch.settings["model"], packed.image_shape, packed.n_classes, batch.seed, row)
        if start is not None:
            network.load_state_dict(start[row])
        network.to(device())
        trainer = Trainer(
            model=network,
            data=resident(packed, split.members(row)),
            objective=make_objective(batch.settings["objective"]),
            recipe=recipe,
            epoch_stream=lambda epoch, row=row: stream(batch.seed, "model", row, batch.phase, epoch),
            callbacks=make_callbacks(row, network),
            test_data=test_data,
            test_every=batch.settings["training"]["test_every"],
            name=f"model {row}",
        )
        _resume_and_run(trainer, epochs, _checkpoint(batch, row), f"model {position + 1} of {len(batch.rows)}")
        yield row, trainer


def make_objective(settings: Mapping[str, Any]) -> Any:
    plug_in = find("objective", settings["use"], "objective.use")
    return plug_in.load()(**options_of(plug_in, dict(settings)))


def _resume_and_run(trainer: Trainer, epochs: int, checkpoint: Checkpoint, label: str) -> None:
    state = checkpoint.load()
    if state is not None:
        trainer.load_state(state)
        logger.info("%s: goes on after epoch %d", label, trainer.epochs_done)
    every = max(1, epochs // REPORTS_PER_MODEL)

    def after_epoch(trainer: Trainer) -> None:
        checkpoint.save(trainer.state())
        if trainer.epochs_done % every == 0 or trainer.epochs_done == epochs:
            _, loss, accuracy, _ = trainer.history[-1]
            logger.info("%s, epoch %d/%d: loss %.3f, train accuracy %.3f", label, trainer.epochs_done, epochs, loss, accuracy)

    trainer.run(epochs, after_epoch)


def _checkpoint(batch: Batch, row: int) -> Checkpoint:
    output = Path(batch.output)
    return Checkpoint(output.with_name(f".{output.stem}.model_{row}.checkpoint.safetensors"), identity(batch.record))


def remove_checkpoints(batch: Batch) -> None:
    for row in batch.rows:
        _checkpoint(batch, row).remove()


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """The state to store: detached, on the CPU, copied."""
    return {name: value.detach().cpu().clone() for name, value in network.state_dict().items()}


def write_history(path: str, histories: Mapping[int, list[list[float]]]) -> None:
    """One row a model and epoch."""
    rows = [dict(zip(("model", *HISTORY), [row, *line], strict=True)) for row, lines in histories.items() for line in lines]
    storage.write_table(path, rows, ["model", *HISTORY])


def start_weights(path: str) -> dict[int, dict[str, Tensor]]:
    """The weights of each model of a batch file, without masks and the like."""
    return {row: storage.select(tensors, "weights") for row, tensors in read_models(path).items()}


def use_threads(n_threads: int) -> None:
    torch.set_num_threads(n_threads)
