"""Rows of one defence on the members that its attacks find, and on the overlap of these."""

import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mia_pruning.metrics.agreement import coverage, jaccard, stability

#: Members are found at this false-positive rate.
FOUND_AT_FPR = 0.01
Attacker = tuple[str, str]


def agreement_rows(
    found: Mapping[Attacker, np.ndarray],
    members: np.ndarray,
) -> Iterator[dict[str, Any]]:
    """Yield coverage and stability of each attack, and the Jaccard index of each two.

    found: by attack and attacker, the positions of the found members in `members`, in ascending
    order.
    members: (n_models, n_examples) bool.
    """
    trained = members.any(axis=0)
    n_examples, n_models = int(trained.sum()), float(members.sum(axis=0)[trained].mean())
    for attacker, positions in found.items():
        of_attack = _as_mask(positions, members.shape)
        for metric, measure in (("coverage", coverage), ("stability", stability)):
            share = measure(of_attack, members)._asdict()
            sizes = {"n": n_examples, "n_models": n_models}
            yield {**_names(attacker), "metric": metric, **share, **sizes}
    for one, other in itertools.combinations(found, 2):
        masks = (_as_mask(found[attacker], members.shape) for attacker in (one, other))
        share = jaccard(*masks, members)._asdict()
        sizes = {"n": np.union1d(found[one], found[other]).size, "n_models": len(members)}
        yield {**_names(one), **_names(other, "other_"), "metric": "jaccard", **share, **sizes}


def _names(attacker: Attacker, prefix: str = "") -> dict[str, str]:
    return {f"{prefix}attack": attacker[0], f"{prefix}attacker": attacker[1]}


def _as_mask(positions: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    mask.flat[positions] = True
    return mask
