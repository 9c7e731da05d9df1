"""Stage: distance of a subnetwork's answers from those of the dense network it was taken from.

It is measured before and after retraining.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import softmax

from mia_pruning import storage
from mia_pruning.stages.networks import build, read_weights, resident
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.tables import DISTANCE
from mia_pruning.training.data import device
from mia_pruning.training.loop import predict


def measure_distance(
    dataset: str,
    split: str,
    models: Mapping[str, list[str]],
    settings: Mapping[str, Any],
    output: str,
) -> None:
    """Write one row per model and stage, measured on the test examples.

    models: files of `dense`, `pruned` and `retrained`.
    """
    packed, split_ = read_packed(dataset), read_split(split)
    data = resident(packed, split_.test)
    network = build(settings, packed.image_shape, packed.n_classes).to(device())
    weights = {stage: read_weights(*paths) for stage, paths in models.items()}
    rows = []
    for row in sorted(weights["dense"]):
        logits = {}
        for stage, held in weights.items():
            network.load_state_dict(held[row])
            logits[stage] = predict(network, data).numpy().astype(np.float64)
        rows += [
            {"model": row, "stage": stage, **distances(logits["dense"], logits[stage])}
            for stage in ("pruned", "retrained")
        ]
    storage.write_table(output, rows, [*DISTANCE])


def distances(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return distances between two sets of logits (n, n_classes).

    They are half the L1 distance of the probabilities (mean and largest), the relative distance of
    the logits and the share of changed answers.

    >>> round(distances(np.array([[0.0, 9.0]]), np.array([[9.0, 0.0]]))["answers_changed"])
    1
    """
    variation = np.abs(softmax(one, axis=1) - softmax(other, axis=1)).sum(axis=1) / 2
    return {
        "total_variation": float(variation.mean()),
        "largest_total_variation": float(variation.max()),
        "relative_logit_distance": float(np.linalg.norm(one - other) / np.linalg.norm(one)),
        "answers_changed": float((one.argmax(axis=1) != other.argmax(axis=1)).mean()),
    }
