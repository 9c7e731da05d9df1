"""Agreement of attacks on which members they find, at one false-positive rate (MIAE, CCS 2025).

An attack finds a member of a model if its score is above the model's own threshold for that
rate.

- coverage: the share of examples that are found on at least one of the models trained on them,
  the union
- stability: the share that is found on every model trained on them, the intersection
- Jaccard index of two attacks: of what either of them finds, the share that both find; a model's
  members count one by one

Differs: MIAE takes union and intersection over seeds of one attack on one model. Here they are
over the models that were trained on an example, so they hold the luck of training too. Both
depend on the number of these models.
"""

from typing import NamedTuple

import numpy as np

from mia_pruning.metrics.operating import threshold_within


class Agreement(NamedTuple):
    """A share, and its value if each model's finds were spread over its members at random.

    The random finds are as many as the real ones. value is None where nothing was found that
    could be shared.
    """

    value: float | None
    by_chance: float | None


def members_found(
    fpr: float,
    scores: np.ndarray,
    membership: np.ndarray,
    candidates: np.ndarray,
) -> np.ndarray:
    """Return the members found within this false-positive rate, bool.

    All arrays are (n_models, n_examples).

    >>> scores, members = np.array([[4.0, 1.0, 3.0, 2.0]]), np.array([[True, True, False, False]])
    >>> members_found(0.0, scores, members, np.ones_like(members)).tolist()
    [[True, False, False, False]]
    """
    found = np.zeros_like(membership)
    for row, counted in enumerate(candidates):
        of_model, members = scores[row, counted], membership[row, counted]
        found[row, counted] = members & (of_model > threshold_within(fpr, of_model, members))
    return found


def coverage(found: np.ndarray, members: np.ndarray) -> Agreement:
    """Return the share of examples that are found on a model trained on them.

    found, members: bool (n_models, n_examples).
    """
    trained = members.any(axis=0)
    missed = np.where(members, 1 - _rates(found, members)[:, np.newaxis], 1.0).prod(axis=0)
    return Agreement(_mean(np.any(found, axis=0)[trained]), _mean(1 - missed[trained]))


def stability(found: np.ndarray, members: np.ndarray) -> Agreement:
    """Return the share of examples that are found on all models trained on them.

    found, members: bool (n_models, n_examples).
    """
    trained = members.any(axis=0)
    always = np.where(members, _rates(found, members)[:, np.newaxis], 1.0).prod(axis=0)
    return Agreement(_mean((found | ~members).all(axis=0)[trained]), _mean(always[trained]))


def jaccard(one: np.ndarray, other: np.ndarray, members: np.ndarray) -> Agreement:
    """Return, of the members that either attack finds, the share that both find.

    All arrays are bool (n_models, n_examples).

    >>> one, other = np.array([[True, True, False, False]]), np.array([[False, True, True, False]])
    >>> jaccard(one, other, np.ones((1, 4), dtype=bool))
    Agreement(value=0.3333333333333333, by_chance=0.3333333333333333)
    """
    either = int((one | other).sum())
    if not either:
        return Agreement(None, None)
    sizes = members.sum(axis=1)
    both_by_chance = (sizes * _rates(one, members) * _rates(other, members)).sum()
    by_chance = both_by_chance / (one.sum() + other.sum() - both_by_chance)
    return Agreement(int((one & other).sum()) / either, float(by_chance))


def _rates(found: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Return the share of each model's members that is found, (n_models,)."""
    return found.sum(axis=1) / members.sum(axis=1)


def _mean(values: np.ndarray) -> float:
    return float(values.mean())
