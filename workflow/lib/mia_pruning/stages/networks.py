"""Networks of a study.

They are built untrained here, their examples are put on their device, and batches of them are
written to a file and read.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning import storage
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import torch_seed
from mia_pruning.stages.packed import PackedData
from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData, device
from mia_pruning.training.objective import Objective


def build(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int], n_classes: int
) -> nn.Module:
    """Return the untrained network of a `model` section, in channels-last format.

    It is adapted to the `objective` section of the same settings, which can then train it.
    """
    model = settings["model"]
    plug_in = find("model", model["use"], "model.use")
    network = plug_in.load()(image_shape, n_classes, **options_of(plug_in, dict(model)))
    return (
        make_objective(settings["objective"]).adapt(network).to(memory_format=torch.channels_last)
    )


def build_seeded(
    settings: Mapping[str, Any], image_shape: tuple, n_classes: int, seed: int, row: int
) -> nn.Module:
    """Return the network with the initial weights of model number `row`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "model", row))
        return build(settings, image_shape, n_classes)


def make_objective(settings: Mapping[str, Any]) -> Objective:
    plug_in = find("objective", settings["use"], "objective.use")
    return plug_in.load()(**options_of(plug_in, dict(settings)))


def resident(
    packed: PackedData, rows: np.ndarray, augmentations: Sequence[str] = ()
) -> ResidentData:
    """Return these examples of a packed data set, on the device that models run on.

    augmentations: by name.
    """
    statistics = {key: packed.description[key] for key in ("mean", "deviation")}
    changes = [AUGMENTATIONS[name] for name in augmentations]
    return ResidentData(
        packed.images[rows],
        packed.labels[rows],
        device=device(),
        augmentations=changes,
        **statistics,
    )


def write_models(
    path: str, models: Mapping[int, Mapping[str, Tensor]], record: dict[str, Any]
) -> None:
    """Write the tensors of several models, by row of the membership matrix."""
    tensors = {
        name: tensor
        for row, held in models.items()
        for name, tensor in storage.under(str(row), held).items()
    }
    storage.write_tensors(path, tensors, {"rows": list(models), "provenance": record})


def read_models(*paths: str) -> dict[int, dict[str, Tensor]]:
    """Return the models of these files, by row."""
    models = {}
    for path in paths:
        tensors, metadata = storage.read_tensors(path)
        models.update({row: storage.select(tensors, str(row)) for row in metadata["rows"]})
    return models


def read_weights(*paths: str) -> dict[int, dict[str, Tensor]]:
    """Return only the weights of the models of these files, by row."""
    return {row: storage.select(tensors, "weights") for row, tensors in read_models(*paths).items()}
