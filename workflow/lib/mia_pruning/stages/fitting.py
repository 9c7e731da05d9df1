"""Code that dense training, ADMM and masked retraining share.

A job fits several models, one after the other. Each can be resumed.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mia_pruning import storage
from mia_pruning.probes.loss_trace import loss_trace
from mia_pruning.seeds import stream, torch_seed
from mia_pruning.stages.job import identity, logger
from mia_pruning.stages.networks import build_seeded, make_objective, read_models, resident
from mia_pruning.stages.packed import PackedData, read_packed, read_split
from mia_pruning.tables import HISTORY
from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.training.data import ResidentData, device
from mia_pruning.training.loop import NonFiniteLoss, Recipe, Trainer
from mia_pruning.training.objective import Callback, Task
from mia_pruning.training.tracing import LossTrace

RECIPE_KEYS = (
    "batch_size",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "momentum",
    "precision",
    "schedule",
)
REPORTS_PER_MODEL = 4


@dataclass(frozen=True)
class Batch:
    """Models of one job.

    settings: with model, training and objective.
    rows: of the models in the membership matrix.
    phase: `train`, `prune` or `retrain`; it names the random streams.
    trace: file of the losses along the phase, at most trace_epochs epochs; None without it.
    """

    dataset: str
    split: str
    settings: Mapping[str, Any]
    seed: int
    rows: list[int]
    phase: str
    output: str
    record: dict[str, Any]
    trace: str | None = None
    trace_epochs: int = 0


def batch_of(snakemake: Any, phase: str, record: dict[str, Any]) -> Batch:
    """Return the batch that a rule's inputs, outputs and parameters describe."""
    return Batch(
        dataset=snakemake.input.dataset,
        split=snakemake.input.split,
        settings=snakemake.params.settings,
        seed=snakemake.params.seed,
        rows=snakemake.params.rows,
        phase=phase,
        output=snakemake.output.models,
        record=record,
        trace=snakemake.output.get("trace"),
        trace_epochs=snakemake.params.get("trace_epochs", 0),
    )


@dataclass(frozen=True)
class Start:
    """The state in which a model begins a phase.

    carried: tensors that the objective left.
    passes: sample-passes spent on the model so far.
    """

    weights: Mapping[str, Tensor]
    carried: Mapping[str, Tensor]
    passes: float


def fit(
    batch: Batch,
    epochs: int,
    starts: Mapping[int, Start] | None,
    make_callbacks: Callable[[int, Task], list[Callback]],
    *,
    schedule_epochs: int | None = None,
) -> Iterator[tuple[int, Trainer]]:
    """Yield each model of the batch, trained for `epochs` epochs from its start.

    Without starts, a model begins with the weights that its seed gives.

    schedule_epochs: the length of the learning rate's schedule, if training is to stop before its
    end.

    A model whose loss does not stay finite is left out, and the remaining models are still
    trained. The caller removes the checkpoints, by `remove_checkpoints`, once its output is
    written.

    Raises:
        NonFiniteLoss: At the end, with the names of all models that failed.
    """
    packed, split = read_packed(batch.dataset), read_split(batch.split)
    test_data = resident(packed, split.test)
    augmentation = batch.settings["training"]["augmentation"]
    reference = resident(packed, split.reference, augmentation) if split.reference.size else None
    if batch.trace is not None:
        recorded = loss_trace(epochs, epochs=batch.trace_epochs)
        make_callbacks = _with_trace(make_callbacks, resident(packed, split.pool), recorded)
    failed = []
    for position, row in enumerate(batch.rows):
        trainer = _trainer(
            batch,
            packed,
            resident(packed, split.members(row), augmentation),
            reference,
            row,
            starts,
            make_callbacks,
        )
        trainer.test_data = test_data
        try:
            label = f"model {position + 1} of {len(batch.rows)}"
            _resume_and_run(trainer, epochs, schedule_epochs, _checkpoint(batch, row), label)
        except NonFiniteLoss as error:
            logger.error("%s; the other models go on", error)
            failed.append(str(error))
        else:
            yield row, trainer
    if failed:
        raise NonFiniteLoss("; ".join(failed))


def _with_trace(
    make_callbacks: Callable[[int, Task], list[Callback]], pool: ResidentData, epochs: list[int]
) -> Callable[[int, Task], list[Callback]]:
    """Add a LossTrace as the last callback, after all that change weights."""
    return lambda row, task: [*make_callbacks(row, task), LossTrace(task.model, pool, epochs)]


def _trainer(
    batch: Batch,
    packed: PackedData,
    members: ResidentData,
    reference: ResidentData | None,
    row: int,
    starts: Mapping[int, Start] | None,
    make_callbacks: Callable[[int, Task], list[Callback]],
) -> Trainer:
    network = build_seeded(batch.settings, packed.image_shape, packed.n_classes, batch.seed, row)
    if starts is not None:
        network.load_state_dict(starts[row].weights)
    training = batch.settings["training"]
    task = Task(
        model=network.to(device()),
        data=members,
        batch_size=training["batch_size"],
        n_classes=packed.n_classes,
        reference=reference,
        seed=torch_seed(batch.seed, "model", row, batch.phase, "objective"),
        carried=starts[row].carried if starts is not None else {},
    )
    return Trainer(
        task=task,
        objective=make_objective(batch.settings["objective"]),
        recipe=Recipe(**{key: training[key] for key in RECIPE_KEYS}),
        epoch_stream=lambda epoch: stream(batch.seed, "model", row, batch.phase, epoch),
        callbacks=make_callbacks(row, task),
        test_every=training["test_every"],
        name=f"model {row}",
        passes_before=starts[row].passes if starts is not None else 0.0,
    )


def _resume_and_run(
    trainer: Trainer, epochs: int, schedule_epochs: int | None, checkpoint: Checkpoint, label: str
) -> None:
    state = checkpoint.load()
    if state is not None:
        trainer.load_state(state)
        logger.info("%s: goes on after epoch %d", label, trainer.epochs_done)
    every = max(1, epochs // REPORTS_PER_MODEL)

    def after_epoch(trainer: Trainer) -> None:
        checkpoint.save(trainer.state())
        if trainer.epochs_done % every == 0 or trainer.epochs_done == epochs:
            _, loss, accuracy, *_ = trainer.history[-1]
            logger.info(
                "%s, epoch %d/%d: loss %.3f, train accuracy %.3f",
                label,
                trainer.epochs_done,
                epochs,
                loss,
                accuracy,
            )

    trainer.run(epochs, after_epoch, schedule_epochs=schedule_epochs)


def _checkpoint(batch: Batch, row: int) -> Checkpoint:
    output = Path(batch.output)
    return Checkpoint(
        output.with_name(f".{output.stem}.model_{row}.checkpoint.safetensors"),
        identity(batch.record),
    )


def remove_checkpoints(batch: Batch) -> None:
    for row in batch.rows:
        _checkpoint(batch, row).remove()


def finished(trainer: Trainer) -> dict[str, Tensor]:
    """Return the tensors to store of a trained model, as copies on the CPU.

    These are its weights, the tensors that its objective leaves, and its cost in sample-passes.
    """
    tensors = {
        **storage.under("weights", trainer.model.state_dict()),
        **storage.under("objective", trainer.pursuit.tensors()),
        "sample_passes": torch.tensor(trainer.sample_passes, dtype=torch.float64),
    }
    return {name: value.detach().cpu().clone() for name, value in tensors.items()}


def write_history(path: str, histories: Mapping[int, list[list[float]]]) -> None:
    """Write one row per model and epoch."""
    rows = [
        dict(zip(("model", *HISTORY), [row, *line], strict=True))
        for row, lines in histories.items()
        for line in lines
    ]
    storage.write_table(path, rows, ["model", *HISTORY])


def recorded_losses(trainer: Trainer) -> list[np.ndarray]:
    """Return the losses of the phase, (n_pool, n_recorded) float16.

    The list is empty without a trace.
    """
    return [hook.losses.numpy() for hook in trainer.callbacks if isinstance(hook, LossTrace)]


def write_trace(batch: Batch, traces: list[np.ndarray]) -> None:
    """Write the losses, (batch models, n_pool, n_recorded) float16, if the batch has a trace."""
    if batch.trace is not None:
        storage.write_array(batch.trace, np.stack(traces))


def read_starts(models: str) -> dict[int, Start]:
    """Return the state in which the phase after these models begins, by row."""
    return {
        row: Start(
            storage.select(tensors, "weights"),
            storage.select(tensors, "objective"),
            float(tensors["sample_passes"]),
        )
        for row, tensors in read_models(models).items()
    }


def use_threads(n_threads: int) -> None:
    torch.set_num_threads(n_threads)
