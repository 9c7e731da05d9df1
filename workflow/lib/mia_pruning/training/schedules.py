"""Schedules of the learning rate over the epochs of one phase.

A phase is dense training, pruning or retraining. A schedule is a function of the epoch alone, so
a resumed run needs no state of it.
"""

import math

from torch.optim import Optimizer


def constant(epoch: int, epochs: int) -> float:
    """Return the factor 1."""
    return 1.0


def cosine(epoch: int, epochs: int) -> float:
    """Return the factor of epoch 0 <= epoch < epochs: half a cosine from 1 towards 0.

    It would reach 0 after the last. Source: Loshchilov and Hutter 2017 (SGDR), equation 5
    without restarts, once an epoch.

    >>> [round(cosine(epoch, 4), 3) for epoch in range(4)]
    [1.0, 0.854, 0.5, 0.146]
    """
    return 0.5 * (1 + math.cos(math.pi * epoch / epochs))


SCHEDULES = {"constant": constant, "cosine": cosine}


def set_learning_rate_(optimizer: Optimizer, learning_rate: float) -> None:
    """Set the same learning rate for all parameters, whatever it was before."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
