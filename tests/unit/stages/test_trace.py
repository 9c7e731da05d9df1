"""Losses recorded by the jobs that train and retrain, and their join."""

import dataclasses
import itertools

import numpy as np
import pytest
import torch

from mia_pruning import storage
from mia_pruning.stages.networks import build, read_models, read_weights, resident
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.prune import prune_models, retrain_models
from mia_pruning.stages.trace import gather_traces
from mia_pruning.stages.train import train_models
from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.training.loop import predict

ADMM = {"use": "cardinality", "solver": "admm", "compression": 3, "rho": [0.01, 0.1], "epochs": 3}
NETWORK = {
    "model": {"use": "lenet5", "channels": [2, 3], "hidden": 8},
    "objective": {"use": "erm"},
}
N_POOL = 40


class Killed(BaseException):
    pass


@pytest.fixture
def run(files, batch, tmp_path, pruning_tables):
    """run(stage, name): one phase of two models, with its trace; returns paths of both."""
    pruned = str(tmp_path / "given.safetensors")
    given = batch([0, 1], "prune", pruned, constraint=ADMM)
    prune_models(given, files.dense, **pruning_tables(tmp_path))

    def run_stage(stage, name, *, trace_epochs=10, **changes):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        output, changes = folder / "m.safetensors", {"retrain_epochs": 3, **changes}
        job = batch([0, 1], stage, output, **changes)
        if trace_epochs is not None:
            trace = str(folder / "m.trace.npy")
            job = dataclasses.replace(job, trace=trace, trace_epochs=trace_epochs)
        if stage == "train":
            train_models(job, str(folder / "history.csv"))
        else:
            retrain_models(job, pruned, str(folder / "history.csv"))
        return job.output, job.trace

    return run_stage


def losses_of(files, models, row):
    """-log p_y of the pool by a stored model, in the pool's order."""
    packed, split = read_packed(files.dataset), read_split(files.split)
    model = build(NETWORK, packed.image_shape, packed.n_classes)
    model.load_state_dict(read_weights(models)[row])
    probabilities = predict(model, resident(packed, split.pool)).double().softmax(dim=1).numpy()
    return -np.log(probabilities[np.arange(N_POOL), packed.labels[split.pool]])


@pytest.mark.parametrize("epochs", [1, 2, 3])
def test_losses_are_those_of_models_whose_training_ends_there(run, files, epochs):
    _, trace = run("train", "whole")
    models, _ = run("train", "short", trace_epochs=None, training={"epochs": epochs})
    traces = storage.read_array(trace)
    assert traces.shape == (2, N_POOL, 3)
    for row in (0, 1):
        wanted = losses_of(files, models, row)
        np.testing.assert_allclose(traces[row, :, epochs - 1], wanted, rtol=2e-3)


def test_the_last_losses_of_retraining_are_those_of_the_finished_models(run, files):
    models, trace = run("retrain", "whole")
    for row in (0, 1):
        last = storage.read_array(trace)[row, :, -1]
        np.testing.assert_allclose(last, losses_of(files, models, row), rtol=2e-3)


@pytest.mark.parametrize("stage", ["train", "retrain"])
def test_models_are_the_same_bits_with_a_trace_and_without(run, stage):
    with_trace, without = (run(stage, str(epochs), trace_epochs=epochs)[0] for epochs in (2, None))
    assert_same(read_models(with_trace), read_models(without))


def assert_same(models, others):
    for row, tensors in models.items():
        assert tensors.keys() == others[row].keys()
        assert all(torch.equal(tensor, others[row][name]) for name, tensor in tensors.items())


@pytest.mark.parametrize("stage", ["train", "retrain"])
@pytest.mark.parametrize("n_epochs", [1, 3, 5])
def test_a_job_killed_after_any_epoch_writes_the_same_trace(run, monkeypatch, stage, n_epochs):
    _, whole = run(stage, "whole")
    save, saved = Checkpoint.save, itertools.count(1)

    def save_and_die(self, state):
        save(self, state)
        if next(saved) == n_epochs:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "save", save_and_die)
        with pytest.raises(Killed):
            run(stage, "killed")
    _, killed = run(stage, "killed")
    np.testing.assert_array_equal(storage.read_array(killed), storage.read_array(whole))
    assert np.isfinite(storage.read_array(whole)).all()


def test_losses_that_no_attack_needs_are_an_empty_trace(run):
    _, trace = run("train", "unasked", trace_epochs=0)
    assert storage.read_array(trace).shape == (2, N_POOL, 0)


def test_batches_are_joined_in_the_order_of_models(tmp_path):
    traces = np.random.default_rng(0).random((4, 5, 9)).astype(np.float16)
    batches = [written(tmp_path, traces[rows]) for rows in (slice(0, 3), slice(3, 4))]
    output = str(tmp_path / "loss_trace.npy")
    gather_traces(batches, output, {"rule": "r"})
    found = storage.read_array(output)
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, traces)
    description = storage.read_json(tmp_path / "loss_trace.json")
    assert description == {"shape": [4, 5, 9], "provenance": {"rule": "r"}}


def written(folder, array):
    path = folder / f"{len(list(folder.iterdir()))}.trace.npy"
    storage.write_array(path, array)
    return str(path)
