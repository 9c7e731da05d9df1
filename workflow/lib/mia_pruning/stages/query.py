"""Stage: query every model once, in evaluation mode, on every example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.stages.job import logger
from mia_pruning.stages.networks import build, read_weights, resident
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.training.data import device
from mia_pruning.training.loop import predict


def query_models(
    dataset: str,
    split: str,
    models: list[str],
    network: Mapping[str, Any],
    output: str,
    record: dict[str, Any],
) -> None:
    """Write logits (n_models, n_examples, n_classes) float32.

    The examples are in the order pool, test, reference. Logits are always float32: attacks live on
    the gap between a probability of 0.999 and of 0.9999.

    Raises:
        ArithmeticError: A logit is not finite.
    """
    packed, split_ = read_packed(dataset), read_split(split)
    data = resident(packed, split_.examples)
    weights = read_weights(*models)
    model = build(network, packed.image_shape, packed.n_classes).to(device())
    logits = np.empty((len(weights), len(data), packed.n_classes), dtype=np.float32)
    for row in sorted(weights):
        model.load_state_dict(weights[row])
        logits[row] = predict(model, data).numpy()
        if not np.isfinite(logits[row]).all():
            raise ArithmeticError(f"model {row} answers with logits that are not finite")
    logger.info("%d models on %d examples", len(weights), len(data))
    storage.write_array(output, logits)
    storage.write_json(
        output.removesuffix(".npy") + ".json", {"shape": list(logits.shape), "provenance": record}
    )
