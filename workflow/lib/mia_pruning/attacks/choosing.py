"""Settings of an attack that are chosen on shadow models, whose membership the attacker knows.

A setting is judged by the AUC of the attack on each shadow model. The targets have no part in it.
"""

import logging
from collections.abc import Callable, Iterable
from itertools import chain
from typing import TypeVar

import numpy as np

from mia_pruning.metrics.membership import auc
from mia_pruning.types import Signals

logger = logging.getLogger(__name__)
#: `auto` chooses among these temperatures.
TEMPERATURES = (1.0, 2.0)

Setting = TypeVar("Setting")


def grid(value: float | str, values: tuple[float, ...]) -> tuple[float, ...]:
    """Return the values to choose from: all of them for `auto`, else the number alone.

    >>> grid("auto", (1.0, 2.0)), grid(3, (1.0, 2.0))
    ((1.0, 2.0), (3.0,))
    """
    return values if value == "auto" else (float(value),)


def best_on_shadows(
    settings: Iterable[Setting],
    scores_of: Callable[[Setting], np.ndarray],
    shadows: Signals,
) -> Setting:
    """Return the setting of the highest mean AUC on the shadow models; the first of equal ones.

    scores_of gives a setting's scores of the shadows, (n_shadows, n_examples): each attacked by
    models other than itself and its twin, NaN where there are too few. A setting without
    alternatives is not measured. The choice is logged by the setting's `str`.
    """
    settings = iter(settings)
    first, second = next(settings), next(settings, None)
    if second is None:
        return first
    best, highest = first, -np.inf
    for setting in chain([first, second], settings):
        quality = mean_auc(scores_of(setting), shadows)
        if quality > highest:
            best, highest = setting, quality
    found = (best, highest, len(shadows.logits))
    logger.info("chosen: %s, with a mean AUC of %.4f when attacking %d shadow models", *found)
    return best


def mean_auc(scores: np.ndarray, shadows: Signals) -> float:
    """Return the mean over the shadows of the AUC of their scores, where they are finite.

    scores: (n_shadows, n_examples). Shadows without scores of members and of non-members do not
    count. Without any that counts the result is 0: the check of the scores then reports it.
    """
    known = shadows.candidates & np.isfinite(scores)
    rows = zip(scores, shadows.membership, known, strict=True)
    trials = [(values[of], members[of]) for values, members, of in rows]
    found = [auc(*trial) for trial in trials if 0 < trial[1].sum() < trial[1].size]
    return float(np.mean(found)) if found else 0.0
