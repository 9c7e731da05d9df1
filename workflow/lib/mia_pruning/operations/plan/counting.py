"""Operations and bytes of a network and of a solver, counted without running a study."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.constraints.solving import make_constraint
from mia_pruning.metrics.compression import dense_flops
from mia_pruning.stages.networks import build
from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Task


@dataclass(frozen=True)
class NetworkCounts:
    """One network, for one image in float32.

    flops           of a forward pass, a multiply-add counted as two
    parameter_bytes of the tensors that the optimiser changes
    state_bytes     of the stored tensors: parameters and running statistics
    widest_bytes    of the largest output of a layer
    """

    flops: int
    parameter_bytes: int
    state_bytes: int
    widest_bytes: int


def count_network(network: nn.Module, image_shape: tuple[int, int, int]) -> NetworkCounts:
    return NetworkCounts(
        flops=sum(dense_flops(network, image_shape).values()),
        parameter_bytes=n_bytes(network.parameters()),
        state_bytes=n_bytes(network.state_dict().values()),
        widest_bytes=max(_output_bytes(network, image_shape)),
    )


def n_bytes(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of these tensors' values.

    >>> n_bytes([torch.zeros(3), torch.zeros(2, dtype=torch.bool)])
    14
    """
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@torch.no_grad()
def _output_bytes(network: nn.Module, image_shape: tuple[int, int, int]) -> list[int]:
    """Return the bytes of each layer's output for one image."""
    found: list[int] = []
    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [
        leaf.register_forward_hook(lambda module, inputs, output: found.append(n_bytes([output])))
        for leaf in leaves
    ]
    height, width, channels = image_shape
    network.eval()(torch.zeros(1, channels, height, width))
    for hook in hooks:
        hook.remove()
    return found


@dataclass(frozen=True)
class SolverCounts:
    """Additions of a solver to the training of one model.

    epochs            that it trains, including epochs of dense training that are repeated for it
    passes_per_member passes through the network besides those of the epochs
    mask_bytes        of the masks, which stay with the model
    tensor_bytes      of the further tensors that it keeps
    """

    epochs: int
    passes_per_member: float
    mask_bytes: int
    tensor_bytes: int


def count_solver(
    settings: Mapping[str, Any], image_shape: tuple[int, int, int], n_classes: int
) -> SolverCounts:
    """Return the counts of a solver, which is started on two random images.

    settings: model, objective, training and constraint.
    """
    sparsity_set, solver = make_constraint(settings["constraint"])
    network = build(settings, image_shape, n_classes)
    data = random_data(2, image_shape, n_classes)
    solution = solver.start(
        Task(network, data, 2, n_classes), sparsity_set, np.random.default_rng(0)
    )
    return SolverCounts(
        epochs=solver.epochs + (solver.rewind_epochs or 0),
        passes_per_member=solution.passes / len(data),
        mask_bytes=n_bytes(solution.masks().values()),
        tensor_bytes=n_bytes(solution.tensors().values()),
    )


def random_data(
    n: int, image_shape: tuple[int, int, int], n_classes: int, augmentations: Iterable[str] = ()
) -> ResidentData:
    """Return n random images with random labels, on the CPU."""
    rng = np.random.default_rng(0)
    images, labels = (
        rng.integers(0, 256, (n, *image_shape), dtype=np.uint8),
        rng.integers(0, n_classes, n),
    )
    statistics = {"mean": [127.5] * image_shape[2], "deviation": [64.0] * image_shape[2]}
    changes = [AUGMENTATIONS[name] for name in augmentations]
    return ResidentData(
        images, labels, device=torch.device("cpu"), augmentations=changes, **statistics
    )
