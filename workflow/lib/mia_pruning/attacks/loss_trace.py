"""The spread of an example's losses over the epochs of training, with its direction.

This is for whoever trained the model, such as an auditor: nobody else has its losses along the
way. LT-IQR (Pollock et al., 2024, arXiv 2411.05743) ranks members by the interquartile range of
their traces, and so finds those most at risk without a further model.

Differs: here the range is signed by the direction of the trace, to separate members from
non-members. Without a sign it cannot. Losses of members fall, but those of non-members rise as
the network grows overconfident, and spread as widely. On eight LeNet-5 on Fashion-MNIST, with 10
of 28 epochs recorded, the AUC was 0.46 without the sign and 0.61 with it. The trace of a pruned
network is that of its retraining. Joined with the losses of training and of ADMM pruning to
15.78x, which raises them all, the AUC was 0.46. That of retraining alone was 0.58.
"""

import numpy as np

from mia_pruning.attacks.thresholds import against_thresholds
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(probes=("loss_trace",))
def loss_trace_spread(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    per_class: bool = False,
) -> np.ndarray:
    """Return the signed interquartile range of the traces, minus the best threshold on shadows.

    Shape (n_targets, n_examples). Traces are (n_models, n_examples, n_epochs), of evaluation
    mode for members and non-members alike: a loss that is taken from a training step betrays a
    member by its dropout and augmentation.
    """
    spreads = (signed_spread(signals.probes["loss_trace"]) for signals in (targets, shadows))
    return against_thresholds(*spreads, targets, shadows, per_class=per_class)


def signed_spread(traces: np.ndarray) -> np.ndarray:
    """Return the interquartile range over the last axis, signed.

    It is positive where the first half is higher on average. Raises ValueError for traces of one
    epoch.

    >>> signed_spread(np.array([[4.0, 3.0, 2.0, 1.0, 0.0], [0.0, 1.0, 2.0, 3.0, 4.0]]))
    array([ 2., -2.])
    """
    n_epochs = traces.shape[-1]
    if n_epochs < 2:
        raise ValueError(f"loss_trace: {n_epochs} epoch a trace; a spread needs at least 2")
    losses, half = traces.astype(np.float64), n_epochs // 2
    upper, lower = np.percentile(losses, [75, 25], axis=-1)
    fall = losses[..., :half].mean(axis=-1) - losses[..., -half:].mean(axis=-1)
    return np.sign(fall) * (upper - lower)
