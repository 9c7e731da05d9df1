"""A small data set, its split and trained models, as files in the pipeline's own formats."""

from types import SimpleNamespace

import numpy as np
import pytest

from mia_pruning.stages.fitting import Batch
from mia_pruning.stages.pack import pack_dataset
from mia_pruning.stages.split import split_examples
from mia_pruning.stages.train import train_models
from mia_pruning.types import DatasetSource, Loaded

SPLIT = {"protocol": "pool", "examples": 40, "models": 4, "reference": 6, "test": 30}
MODEL = {"use": "lenet5", "channels": [2, 3], "hidden": 8}
TRAINING = {
    "epochs": 3, "batch_size": 8, "optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.0, "momentum": 0.9,
    "precision": "float32", "schedule": "constant", "augmentation": [], "test_every": 2,
}  # fmt: skip
RECORD = {
    "rule": "train_models",
    "wildcards": {"seed": "0"},
    "params": {"code": "c"},
    "inputs": {},
    "commit": "a",
}


@pytest.fixture(scope="session")
def files(tmp_path_factory):
    """Paths of the packed data set, the split and the dense models; never written to by a test."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    images = (labels * 60 + 30)[:, None, None, None] + rng.integers(0, 60, (90, 16, 16, 1))
    images, labels = images.astype(np.uint8), labels.astype(np.uint8)
    images[80], images[81], labels[80:82] = images[2], images[2], labels[2]
    source = DatasetSource(
        "toy",
        {},
        90,
        (16, 16, 1),
        ("a", "b", "c"),
        "CC0",
        "nobody",
        lambda work: Loaded(images, labels),
    )
    paths = SimpleNamespace(
        dataset=str(folder / "dataset.json"),
        split=str(folder / "membership.npz"),
        dense=str(folder / "dense.safetensors"),
    )
    pack_dataset(source, paths.dataset, {"rule": "pack_dataset"})
    split_examples(paths.dataset, SPLIT, 0, paths.split, {"rule": "split_examples"})
    train_models(batch_of(paths, range(4), "train", paths.dense), str(folder / "history.csv"))
    return paths


def batch_of(paths, rows, phase, output, *, record=RECORD, training=(), **settings):
    settings = {
        "model": MODEL,
        "training": {**TRAINING, **dict(training)},
        "objective": {"use": "erm"},
        **settings,
    }
    return Batch(paths.dataset, paths.split, settings, 0, list(rows), phase, str(output), record)


@pytest.fixture
def pruning_tables():
    """pruning_tables(folder): where pruning writes its tables, by the argument's name."""
    return lambda folder: {
        name: str(folder / f"{name}.csv") for name in ("history", "residuals", "projection")
    }


@pytest.fixture
def batch(files):
    """batch(rows, phase, output, **settings): a batch of this study."""
    return lambda *arguments, **settings: batch_of(files, *arguments, **settings)
