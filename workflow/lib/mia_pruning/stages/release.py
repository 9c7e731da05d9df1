"""Stage: size, cost and guarantee of a released model.

Files are written and measured, layers and training steps counted.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from mia_pruning import storage
from mia_pruning.constraints.cardinality import prunable
from mia_pruning.constraints.solving import make_constraint
from mia_pruning.metrics.compression import count_weights, dense_flops, encode_sparse, sparse_flops
from mia_pruning.stages.networks import build, make_objective, read_models
from mia_pruning.stages.packed import read_packed
from mia_pruning.training.objective import FORWARD

#: A release carries these parts of its record. Its size is counted, so it must not depend on the
#: machine.
ORIGIN = ("rule", "wildcards", "params", "inputs")


def measure_release(
    dataset: str,
    models: str,
    settings: Mapping[str, Any],
    *,
    dense: str,
    sparse: str,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write the batch's first model in both encodings, ready to ship, and its counts.

    All models of a defence have the same counts. Only sample-passes differ, where an objective
    draws its batches at random.

    settings: model, objective and constraint of the defence, and the experiment's own model as
    `base`. Compression counts from `base`, because a small dense network is compressed too.
    """
    packed = read_packed(dataset)
    row, tensors = next(iter(read_models(models).items()))
    held = storage.select(tensors, "weights")
    origin = {key: record[key] for key in ORIGIN}
    storage.write_tensors(dense, held, {"provenance": origin})
    storage.write_tensors(sparse, encode_sparse(held), {"provenance": origin})
    network = build(settings, packed.image_shape, packed.n_classes)
    parameters = {name: held[name] for name, _ in network.named_parameters()}
    weights = _prunable(parameters)
    n_weights, n_nonzero = count_weights(weights)
    flops, passes = dense_flops(network, packed.image_shape), float(tensors["sample_passes"])
    counts = {
        "model": row,
        "n_parameters": sum(parameter.numel() for parameter in parameters.values()),
        "n_weights": n_weights,
        "n_nonzero": n_nonzero,
        "compression": _n_base_weights(settings, packed.image_shape, packed.n_classes) / n_nonzero,
        "dense_bytes": Path(dense).stat().st_size,
        "sparse_bytes": Path(sparse).stat().st_size,
        "dense_flops": sum(flops.values()),
        "sparse_flops": sparse_flops(flops, weights),
        "sample_passes": passes,
        "training_flops": passes / FORWARD * sum(flops.values()),
        "layers": {name: count_weights({name: weight}) for name, weight in weights.items()},
    }
    guarantee = make_objective(settings["objective"]).guarantee(
        storage.select(tensors, "objective")
    )
    if guarantee:
        _qualify_(guarantee, settings["constraint"])
    storage.write_json(output, {**counts, "guarantee": guarantee, "provenance": record})


def _n_base_weights(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int], n_classes: int
) -> int:
    base = build(
        {"model": settings["base"], "objective": settings["objective"]}, image_shape, n_classes
    )
    return count_weights(_prunable(dict(base.named_parameters())))[0]


def _prunable(parameters: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: parameters[name]
        for name in prunable({name: tuple(p.shape) for name, p in parameters.items()})
    }


def _qualify_(guarantee: dict[str, Any], constraint: Mapping[str, Any]) -> None:
    """Add to a guarantee about the weights the list of what it does not cover.

    If the mask was chosen on members, the release has no epsilon, so epsilon and curve are
    removed.
    """
    guarantee["not_covered"] = [
        "the choice of hyper-parameters",
        "the mean and deviation of the pixels, which are of the whole data set",
        "whoever knows the seed of the noise",
    ]
    if constraint["use"] != "none" and make_constraint(constraint)[1].reads_members:
        epsilon = guarantee.pop("epsilon")
        del guarantee["curve"]
        guarantee["not_covered"].append(
            f"the mask, which was chosen on training examples without noise; given the mask, training spent epsilon {epsilon:.3g}"
        )
