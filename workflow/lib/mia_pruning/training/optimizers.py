"""The optimisers that a `training` section may name.

All are torch's own and fused: one pass over memory for each step.
"""

import torch
from torch import Tensor
from torch.optim import SGD, Adam, AdamW, Optimizer

OPTIMIZERS = {
    "adam": lambda parameters, recipe: Adam(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    ),
    "adamw": lambda parameters, recipe: AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
    ),
    "sgd": lambda parameters, recipe: SGD(
        parameters,
        lr=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        momentum=recipe.momentum,
        fused=True,
    ),
}


def optimizer_state(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return what the optimiser remembers, by `parameter's position/name`."""
    entries = optimizer.state_dict()["state"].items()
    return {
        f"{index}/{name}": torch.as_tensor(value)
        for index, held in entries
        for name, value in held.items()
    }


def load_optimizer_state_(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    entries: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, key = name.partition("/")
        entries.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": entries})
    # A fused optimiser walks through memory. So its state must have the parameter's memory
    # layout, not the file's.
    for parameter, held in optimizer.state.items():
        held.update(
            {
                k: torch.empty_like(parameter).copy_(v)
                for k, v in held.items()
                if v.shape == parameter.shape
            }
        )
