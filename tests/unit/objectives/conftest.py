"""One thread, and a small task that every objective can be tried on."""

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.objective import Task

torch.set_num_threads(1)


@pytest.fixture
def examples():
    """examples(n, seed, spread): images of three classes whose brightness tells the class, the less the wider they spread."""

    def make(n, seed=0, spread=40):
        rng = np.random.default_rng(seed)
        labels = np.arange(n) % 3
        images = np.clip(
            (labels * 60 + 40)[:, None, None, None] + rng.integers(-spread, spread, (n, 6, 6, 2)),
            0,
            255,
        )
        return ResidentData(
            images.astype(np.uint8),
            labels,
            mean=[120.0, 100.0],
            deviation=[50.0, 80.0],
            device=torch.device("cpu"),
        )

    return make


@pytest.fixture
def network():
    """network(seed, n_hidden): a convolution and two linear layers, nothing that draws or keeps statistics."""

    def make(seed=0, n_hidden=8):
        torch.manual_seed(seed)
        layers = (
            nn.Conv2d(2, 4, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(64, n_hidden),
            nn.ReLU(),
            nn.Linear(n_hidden, 3),
        )
        return nn.Sequential(*layers).to(memory_format=torch.channels_last)

    return make


@pytest.fixture
def make_trainer(examples, network):
    """make_trainer(objective, model, data, ...): a trainer with the recipe's numbers changed by name."""

    def make(
        objective,
        model=None,
        data=None,
        reference=None,
        carried=None,
        seed=5,
        make_callbacks=lambda task: [],
        **change,
    ):
        recipe = {
            "batch_size": 16,
            "optimizer": "adam",
            "learning_rate": 0.01,
            "weight_decay": 0.0,
            "momentum": 0.0,
        }
        recipe = Recipe(**{**recipe, "precision": "float32", **change})
        reference = reference if reference is not None else examples(40, seed=1)
        data = data if data is not None else examples(60)
        task = Task(
            model or objective.adapt(network()),
            data,
            recipe.batch_size,
            3,
            reference,
            seed,
            carried or {},
        )
        return Trainer(
            task,
            objective,
            recipe,
            lambda epoch: np.random.default_rng([3, epoch]),
            make_callbacks(task),
        )

    return make
