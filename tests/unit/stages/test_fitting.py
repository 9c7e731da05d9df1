import dataclasses
import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from mia_pruning.seeds import torch_seed
from mia_pruning.stages import fitting, prune
from mia_pruning.stages.job import identity
from mia_pruning.stages.networks import read_models
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.prune import prune_models, retrain_models
from mia_pruning.stages.train import train_models
from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.training.loop import NonFiniteLoss

ADMM = {"use": "cardinality", "solver": "admm", "compression": 3, "rho": [0.01, 0.1], "epochs": 3}
GRADUAL = {"use": "cardinality", "solver": "gradual_magnitude", "compression": 3, "epochs": 3}
TICKET = {"use": "cardinality", "solver": "lottery_ticket", "compression": 3, "rewind_epochs": 3}


class Killed(BaseException):
    pass


def assert_same_models(one, other):
    one, other = read_models(str(one)), read_models(str(other))
    assert one.keys() == other.keys()
    for row, tensors in one.items():
        assert tensors.keys() == other[row].keys()
        for name, tensor in tensors.items():
            assert torch.equal(tensor, other[row][name]), (row, name)


def kill_after(monkeypatch, n_epochs):
    """The process dies when that many epochs, of all models together, have been saved."""
    save, saved = Checkpoint.save, itertools.count(1)

    def save_and_die(self, state):
        save(self, state)
        if next(saved) == n_epochs:
            raise Killed

    monkeypatch.setattr(Checkpoint, "save", save_and_die)


@pytest.mark.parametrize("stage", ["train", "prune", "retrain"])
@pytest.mark.parametrize("n_epochs", [1, 3, 5])
def test_a_job_killed_after_any_epoch_goes_on_to_the_same_files(
    files, batch, tmp_path, pruning_tables, monkeypatch, stage, n_epochs
):
    pruned = str(tmp_path / "pruned.safetensors")
    prune_models(
        batch([0, 1], "prune", pruned, constraint=ADMM), files.dense, **pruning_tables(tmp_path)
    )

    def run(folder):
        folder.mkdir(exist_ok=True)
        job = batch([0, 1], stage, folder / "models.safetensors", constraint=ADMM, retrain_epochs=3)
        if stage == "train":
            train_models(job, str(folder / "history.csv"))
        elif stage == "prune":
            prune_models(job, files.dense, **pruning_tables(folder))
        else:
            retrain_models(job, pruned, str(folder / "history.csv"))

    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_after(patch, n_epochs)
        with pytest.raises(Killed):
            run(tmp_path / "killed")
    assert not (tmp_path / "killed" / "models.safetensors").exists()
    run(tmp_path / "killed")
    assert_same_models(
        tmp_path / "killed" / "models.safetensors", tmp_path / "whole" / "models.safetensors"
    )
    assert not list((tmp_path / "killed").glob(".*"))  # the checkpoints are gone
    for table in (tmp_path / "whole").glob("*.csv"):
        assert (tmp_path / "killed" / table.name).read_text() == table.read_text()


@pytest.mark.parametrize(
    "constraint", [GRADUAL, TICKET], ids=lambda constraint: constraint["solver"]
)
@pytest.mark.parametrize("n_epochs", [1, 3, 5])
def test_pruning_killed_after_any_epoch_goes_on_to_the_same_files(
    files, batch, tmp_path, pruning_tables, monkeypatch, constraint, n_epochs
):
    def run(folder):
        folder.mkdir(exist_ok=True)
        job = batch(
            [0, 1],
            "prune",
            folder / "models.safetensors",
            constraint=constraint,
            training={"schedule": "cosine"},
        )
        prune_models(job, files.dense, **pruning_tables(folder))

    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        kill_after(patch, n_epochs)
        with pytest.raises(Killed):
            run(tmp_path / "killed")
    run(tmp_path / "killed")
    assert_same_models(
        tmp_path / "killed" / "models.safetensors", tmp_path / "whole" / "models.safetensors"
    )
    assert not list((tmp_path / "killed").glob(".*"))
    for table in (tmp_path / "whole").glob("*.csv"):
        assert (tmp_path / "killed" / table.name).read_text() == table.read_text()


def test_a_job_killed_while_it_writes_does_not_rewind_again(
    files, batch, tmp_path, pruning_tables, monkeypatch
):
    job = batch([0], "prune", tmp_path / "models.safetensors", constraint=TICKET)
    with monkeypatch.context() as patch:
        patch.setattr(prune, "write_models", die)
        with pytest.raises(Killed):
            prune_models(job, files.dense, **pruning_tables(tmp_path))
    saved = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: saved.append(len(state["history"])))
    prune_models(job, files.dense, **pruning_tables(tmp_path))
    assert saved == []


def die(*arguments):
    raise Killed


def test_a_resumed_job_does_not_train_the_epochs_done_again(batch, tmp_path, monkeypatch):
    job = batch([0], "train", tmp_path / "models.safetensors")
    with monkeypatch.context() as patch:
        kill_after(patch, 2)
        with pytest.raises(Killed):
            train_models(job, str(tmp_path / "history.csv"))
    saved = []
    monkeypatch.setattr(Checkpoint, "save", lambda self, state: saved.append(len(state["history"])))
    train_models(job, str(tmp_path / "history.csv"))
    assert saved == [3]


def test_the_checkpoint_of_another_configuration_is_not_resumed(batch, tmp_path, monkeypatch):
    record = batch([0], "train", "x").record
    other = {**record, "params": {"code": "changed"}}
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(Killed):
            train_models(
                batch(
                    [0],
                    "train",
                    tmp_path / "a.safetensors",
                    record=other,
                    training={"learning_rate": 0.3},
                ),
                "h.csv",
            )
    train_models(batch([0], "train", tmp_path / "a.safetensors"), str(tmp_path / "h.csv"))
    train_models(batch([0], "train", tmp_path / "fresh.safetensors"), str(tmp_path / "h.csv"))
    assert_same_models(tmp_path / "a.safetensors", tmp_path / "fresh.safetensors")


def test_an_identity_holds_parameters_and_inputs_and_not_commit_or_machine(batch):
    record = batch([0], "train", "x").record
    assert identity({**record, "commit": "b", "cpu": "other"}) == identity(record)
    changed = [
        {"params": {"code": "d"}},
        {"inputs": {"a": "1"}},
        {"wildcards": {"seed": "1"}},
        {"rule": "prune_models"},
    ]
    assert len({identity({**record, **change}) for change in [{}, *changed]}) == 5


def test_a_model_trained_alone_equals_the_same_trained_in_a_batch(files, batch, tmp_path):
    train_models(batch([2], "train", tmp_path / "alone.safetensors"), str(tmp_path / "history.csv"))
    alone, together = read_models(str(tmp_path / "alone.safetensors")), read_models(files.dense)
    assert list(alone) == [2]
    assert list(together) == [0, 1, 2, 3]
    for name, tensor in alone[2].items():
        assert torch.equal(tensor, together[2][name])
        assert name == "sample_passes" or not torch.equal(tensor, together[1][name])


@pytest.mark.parametrize(
    "change", [{"schedule": "cosine"}, {"augmentation": ["flip"]}, {"augmentation": ["crop"]}]
)
def test_schedule_and_augmentation_reach_the_training(files, batch, tmp_path, change):
    train_models(
        batch([0], "train", tmp_path / "changed.safetensors", training=change),
        str(tmp_path / "history.csv"),
    )
    changed, plain = (
        read_models(str(tmp_path / "changed.safetensors"))[0],
        read_models(files.dense)[0],
    )
    assert not torch.equal(changed["weights/conv1.weight"], plain["weights/conv1.weight"])


def test_every_phase_model_and_epoch_has_a_random_stream_of_its_own(
    files, batch, tmp_path, pruning_tables, monkeypatch
):
    drawn = []
    real = fitting.stream
    monkeypatch.setattr(fitting, "stream", lambda *names: drawn.append(names) or real(*names))
    pruned, tables = str(tmp_path / "pruned.safetensors"), pruning_tables(tmp_path)
    train_models(batch([0, 1], "train", tmp_path / "trained.safetensors"), tables["history"])
    prune_models(batch([0, 1], "prune", pruned, constraint=ADMM), files.dense, **tables)
    retrain_models(
        batch([0, 1], "retrain", tmp_path / "retrained.safetensors", retrain_epochs=3),
        pruned,
        tables["history"],
    )
    assert len(drawn) == len(set(drawn)) == 3 * 2 * 3


def test_the_history_has_a_row_a_model_and_epoch(batch, tmp_path):
    train_models(
        batch([1, 3], "train", tmp_path / "models.safetensors"), str(tmp_path / "history.csv")
    )
    history = pd.read_csv(tmp_path / "history.csv")
    assert history[["model", "epoch"]].to_numpy().tolist() == [
        [m, e] for m in (1, 3) for e in (1, 2, 3)
    ]
    assert history["test_accuracy"].isna().tolist() == [True, False, False] * 2
    assert (history["train_loss"] > 0).all()


def test_min_max_plays_on_the_splits_reference_set_which_is_neither_trained_nor_tested_on(
    files, batch, tmp_path
):
    packed, split = read_packed(files.dataset), read_split(files.split)
    tasks = []
    job = batch(range(4), "train", tmp_path / "models.safetensors", objective={"use": "min_max"})
    trainers = [
        trainer
        for _, trainer in fitting.fit(job, 1, None, lambda row, task: tasks.append(task) or [])
    ]
    assert not set(split.reference) & (set(split.pool) | set(split.test))
    for row, task, trainer in zip(range(4), tasks, trainers, strict=True):
        seen = {
            name: data.images.permute(0, 2, 3, 1).numpy()
            for name, data in {
                "reference": task.reference,
                "members": task.data,
                "test": trainer.test_data,
            }.items()
        }
        assert np.array_equal(seen["reference"], packed.images[split.reference])
        assert np.array_equal(seen["members"], packed.images[split.members(row)])
        assert np.array_equal(seen["test"], packed.images[split.test])


EXPLODING = '''
from dataclasses import dataclass
from torch import nn
from mia_pruning.registry import objective
from mia_pruning.training.objective import Objective, Pursuit

drawn = []

@objective
@dataclass(frozen=True)
class Exploding(Objective):
    """Of one model the loss becomes infinite in the second epoch's third step."""

    seed_of: int

    def start(self, task):
        drawn.append(task.seed)
        return Fuse(self, task)

    def loss(self, model, images, labels):
        logits = model(images)
        return nn.functional.cross_entropy(logits, labels), logits

class Fuse(Pursuit):
    steps = 0

    def loss(self, images, labels):
        loss, logits = super().loss(images, labels)
        self.steps += 1
        exploded = self.task.seed == self.objective.seed_of and self.steps == 3 + self.epoch_length
        return loss * (float("inf") if exploded else 1.0), logits

    @property
    def epoch_length(self):
        return -(-len(self.task.data) // self.task.batch_size)
'''


def test_a_model_whose_loss_explodes_is_named_and_the_others_finish(batch, tmp_path, monkeypatch):
    (tmp_path / "exploding_objective.py").write_text(EXPLODING)
    monkeypatch.syspath_prepend(tmp_path)
    objective = {
        "use": "exploding_objective.Exploding",
        "seed_of": torch_seed(0, "model", 1, "train", "objective"),
    }
    saved = []
    save = Checkpoint.save
    monkeypatch.setattr(
        Checkpoint, "save", lambda self, state: saved.append(self.path.name) or save(self, state)
    )
    job = batch([0, 1, 2], "train", tmp_path / "models.safetensors", objective=objective)
    with pytest.raises(
        NonFiniteLoss,
        match=r"model 1: the loss is inf in epoch 2, step 3; lower learning_rate = 0.01",
    ):
        train_models(job, str(tmp_path / "history.csv"))
    assert not (tmp_path / "models.safetensors").exists()
    assert [sum(f"model_{row}." in name for name in saved) for row in (0, 1, 2)] == [3, 1, 3]
    saved.clear()
    sound = dataclasses.replace(
        job, settings={**job.settings, "objective": {**objective, "seed_of": -1}}
    )
    train_models(sound, str(tmp_path / "history.csv"))
    assert [sum(f"model_{row}." in name for name in saved) for row in (0, 1, 2)] == [0, 2, 0]
    assert list(read_models(job.output)) == [0, 1, 2]
