"""Masked training: weights outside the mask are zero before, during and after.

They are so whatever the optimiser remembers.
"""

import torch
from torch import Tensor, nn

from mia_pruning.training.objective import Callback


def apply_masks_(model: nn.Module, masks: dict[str, Tensor]) -> None:
    """Set every weight outside its mask to +0, in place."""
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name in masks:
                parameter.masked_fill_(~masks[name].to(parameter.device), 0.0)


class KeepMasked(Callback):
    """A callback that keeps pruned weights at zero.

    It clears their gradients before each step, and the weights after it.

    masks: bool, True where a weight may be non-zero, by parameter name.
    """

    def __init__(self, model: nn.Module, masks: dict[str, Tensor]) -> None:
        apply_masks_(model, masks)
        named = dict(model.named_parameters())
        self._weights = [named[name] for name in masks]
        # The factors have the weights' own memory layout, without which the foreach operations
        # go one by one.
        self._factors = [
            torch.empty_like(w).copy_(mask)
            for w, mask in zip(self._weights, masks.values(), strict=True)
        ]

    def on_gradients(self) -> None:
        if not self._weights:  # the foreach operations refuse an empty list
            return
        torch._foreach_mul_([weight.grad for weight in self._weights], self._factors)

    @torch.no_grad()
    def on_step(self) -> None:
        if not self._weights:
            return
        torch._foreach_mul_(self._weights, self._factors)
