"""Stage: what pruning saves, on files really written and layers really counted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mia_pruning import storage
from mia_pruning.constraints.cardinality import prunable
from mia_pruning.metrics.compression import count_weights, dense_flops, encode_sparse, sparse_flops
from mia_pruning.stages.fitting import start_weights
from mia_pruning.stages.networks import build
from mia_pruning.stages.packed import read_packed


def measure_compression(
    dataset: str, models: str, model: Mapping[str, Any], *, dense: str, sparse: str, output: str, record: dict[str, Any]
) -> None:
    """Write the batch's first model in both encodings, ready to ship, and its counts.

    Layer budgets are the same for all models.
    """
    packed = read_packed(dataset)
    row, tensors = next(iter(start_weights(models).items()))
    storage.write_tensors(dense, tensors, {"provenance": record})
    storage.write_tensors(sparse, encode_sparse(tensors), {"provenance": record})
    network = build(model, packed.image_shape, packed.n_classes)
    parameters = {name: tensors[name] for name, _ in network.named_parameters()}
    weights = {name: parameters[name] for name in prunable({name: tuple(p.shape) for name, p in parameters.items()})}
    n_weights, n_nonzero = count_weights(weights)
    flops = dense_flops(network, packed.image_shape)
    counts = {
        "model": row,
        "n_parameters": sum(parameter.numel() for parameter in parameters.values()),
        "n_weights": n_weights,
        "n_nonzero": n_nonzero,
        "compression": n_weights / n_nonzero,
        "dense_bytes": Path(dense).stat().st_size,
        "sparse_bytes": Path(sparse).stat().st_size,
        "dense_flops": sum(flops.values()),
        "sparse_flops": sparse_flops(flops, weights),
        "layers": {name: count_weights({name: weight}) for name, weight in weights.items()},
    }
    storage.write_json(output, {**counts, "provenance": record})
