"""The optimisers that a `training` section may name, all torch's own and fused: one pass over memory a step."""

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
    """What the optimiser remembers, by `parameter's position/name`."""
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
    # A fused optimiser walks through memory: its state must lie in the parameter's layout, not in the file's.
    for parameter, held in optimizer.state.items():
        held.update(
            {
                k: torch.empty_like(parameter).copy_(v)
                for k, v in held.items()
                if v.shape == parameter.shape
            }
        )
