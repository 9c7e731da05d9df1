from dataclasses import replace

import pytest
import torch
import yaml

from mia_pruning.study.schema import SCHEMA
from mia_pruning.training.loop import PRECISIONS, Recipe
from mia_pruning.training.optimizers import OPTIMIZERS

RECIPE = Recipe(
    batch_size=4,
    optimizer="sgd",
    learning_rate=0.1,
    weight_decay=0.0,
    momentum=0.0,
    precision="float32",
)


def steps(name, recipe, n=2):
    """The weight after n steps of gradient 1 from the weight 1."""
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = OPTIMIZERS[name]([weight], recipe)
    for _ in range(n):
        weight.grad = torch.ones_like(weight)
        optimizer.step()
    return weight.item()


def test_the_schema_names_exactly_the_optimizers_and_precisions():
    training = yaml.safe_load(SCHEMA.read_text())["$defs"]["training"]
    assert set(training["properties"]["optimizer"]["enum"]) == set(OPTIMIZERS)
    assert set(training["properties"]["precision"]["enum"]) == set(PRECISIONS)


@pytest.mark.parametrize(
    ("name", "change", "wanted"),
    [
        ("sgd", {}, 0.8),
        ("sgd", {"learning_rate": 0.2}, 0.6),
        ("sgd", {"momentum": 0.5}, 1 - 0.1 - 0.15),
        ("sgd", {"weight_decay": 1.0}, 1 - 0.2 - 0.1 * 1.8),
        ("adam", {}, 0.8),
        ("adam", {"momentum": 0.5}, 0.8),
        ("adamw", {"weight_decay": 1.0}, (0.9 - 0.1) * 0.9 - 0.1),
    ],
)
def test_steps_equal_hand_computed_ones(name, change, wanted):
    assert steps(name, replace(RECIPE, **change)) == pytest.approx(wanted, abs=1e-6)
