"""Losses of examples along a model's training (Pollock et al., 2024, arXiv 2411.05743).

Only whoever trained the model has them.
"""

from typing import Annotated

from mia_pruning.registry import probe


@probe(recorded=True)
def loss_trace(n_epochs: int, *, epochs: Annotated[int, ">= 2"] = 10) -> list[int]:
    """Return the epochs of training or retraining to record, counted from 0.

    They are at most `epochs`, evenly spread, and include the last. `training.tracing` records the
    losses. Cost: ten of LeNet-5's 28 epochs add a third to the CPU time of its training; five add
    a sixth.

    Differs: the paper records each epoch.

    >>> loss_trace(28)
    [2, 5, 8, 11, 13, 16, 19, 22, 25, 27]
    >>> loss_trace(3), loss_trace(0)
    ([0, 1, 2], [])
    """
    n_recorded = min(n_epochs, epochs)
    return [-(-n_epochs * (place + 1) // n_recorded) - 1 for place in range(n_recorded)]
