"""The set {W : card(W_i) <= alpha_i for every layer i} (Wang et al. 2021) and its projection.

alpha_i comes from `keep`, a fraction for each layer, or from one global compression rate that is
spread over the layers. Biases and normalisation parameters are never pruned.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import torch
from torch import Tensor

from mia_pruning.registry import constraint
from mia_pruning.types import StudyError


@constraint
@dataclass(frozen=True)
class Cardinality:
    """The set, given by a compression rate or by fractions of the layers.

    compression: weights / non-zero weights over all prunable layers. keep: layer name ->
    fraction kept, instead of compression.

    allocation: how a global rate is spread over the layers, `erdos_renyi` or `uniform`.
    """

    compression: Annotated[float | None, ">= 1"] = None
    keep: dict | None = None
    allocation: str = "erdos_renyi"

    def __post_init__(self) -> None:
        if (self.compression is None) == (self.keep is None):
            raise StudyError("compression and keep", "one of them is needed, and not both")
        if self.allocation not in ALLOCATIONS:
            raise StudyError(
                f"allocation = {self.allocation!r}",
                allowed=f"allowed is one of {', '.join(ALLOCATIONS)}",
            )

    def budgets(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """Return alpha_i of each layer. Raises StudyError if a layer would be empty."""
        given = self.keep is not None
        budgets = (
            _given(self.keep, shapes)
            if given
            else ALLOCATIONS[self.allocation](shapes, self.compression)
        )
        empty = [name for name, budget in budgets.items() if budget < 1]
        if empty:
            raise StudyError(
                (f"keep = {self.keep}" if given else f"compression = {self.compression}"),
                f"layer {empty[0]} of {math.prod(shapes[empty[0]])} weights would be empty",
                "allowed is what leaves each layer a weight",
            )
        return budgets

    def masks(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return bool masks of the nearest point of the set.

        Each layer keeps exactly alpha_i entries of largest magnitude.
        """
        budgets = self.budgets({name: tuple(weight.shape) for name, weight in weights.items()})
        return {name: largest(weight, budgets[name]) for name, weight in weights.items()}


def largest(weight: Tensor, n_kept: int) -> Tensor:
    """Return a mask that is True at exactly n_kept entries of largest magnitude.

    Ties are broken by topk's order.
    """
    mask = torch.zeros(weight.numel(), dtype=torch.bool, device=weight.device)
    mask[weight.abs().flatten().topk(n_kept, sorted=False).indices] = True
    return mask.view(weight.shape)


def prunable(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """Return the parameters that a constraint concerns: those with two axes or more.

    They are the weights of linear and convolutional layers.

    >>> prunable({"fc.weight": (3, 2), "fc.bias": (3,)})
    {'fc.weight': (3, 2)}
    """
    return {name: tuple(shape) for name, shape in shapes.items() if len(shape) >= 2}


def uniform(shapes: Mapping[str, tuple[int, ...]], compression: float) -> dict[str, int]:
    """Return budgets of the same density in every layer.

    >>> uniform({"a": (10, 10), "b": (4, 5)}, 10.0)
    {'a': 10, 'b': 2}
    """
    return _rounded(
        {name: math.prod(shape) / compression for name, shape in shapes.items()},
        shapes,
        compression,
    )


def erdos_renyi(shapes: Mapping[str, tuple[int, ...]], compression: float) -> dict[str, int]:
    """Return budgets with density proportional to the sum of a layer's axes over their product.

    So small layers stay denser. Source: the ERK rule of Evci et al. 2020 (Rigging the Lottery),
    after Mocanu et al. 2018. Layers that would exceed density 1 stay dense, and the remaining
    budget is spread again.
    """
    total = sum(math.prod(shape) for shape in shapes.values()) / compression
    dense: set[str] = set()
    while True:
        free = {name: shape for name, shape in shapes.items() if name not in dense}
        left = total - sum(math.prod(shapes[name]) for name in dense)
        scale = left / sum(sum(shape) for shape in free.values())
        full = {name for name, shape in free.items() if scale * sum(shape) > math.prod(shape)}
        if not full:
            break
        dense |= full
        if len(dense) == len(shapes):
            break
    real = {
        name: math.prod(shape) if name in dense else scale * sum(shape)
        for name, shape in shapes.items()
    }
    return _rounded(real, shapes, compression)


ALLOCATIONS = {"erdos_renyi": erdos_renyi, "uniform": uniform}


def _rounded(
    real: dict[str, float], shapes: Mapping[str, tuple[int, ...]], compression: float
) -> dict[str, int]:
    """Return budgets rounded to integers by largest remainder.

    Their sum is weights / compression, rounded down.
    """
    budgets = {name: math.floor(value + 1e-9) for name, value in real.items()}
    total = math.floor(sum(math.prod(shape) for shape in shapes.values()) / compression + 1e-9)
    by_remainder = sorted(real, key=lambda name: real[name] - budgets[name], reverse=True)
    for name in by_remainder[: total - sum(budgets.values())]:
        budgets[name] += 1
    return budgets


def _given(keep: Mapping[str, float], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    layers = {name.removesuffix(".weight"): name for name in shapes}
    for layer, fraction in keep.items():
        if layer not in layers:
            raise StudyError(f"keep.{layer}", "no such layer", f"the model has {', '.join(layers)}")
        if not isinstance(fraction, int | float) or not 0 < fraction <= 1:
            raise StudyError(f"keep.{layer} = {fraction!r}", allowed="allowed is > 0, <= 1")
    return {
        name: math.floor(math.prod(shapes[name]) * keep.get(layer, 1.0) + 1e-9)
        for layer, name in layers.items()
    }
