"""Membership: a boolean matrix, models x examples, of the examples that each model trains on.

Both protocols fill it with pools. A pool is a set of examples and an even number of models in
complementary pairs. The first model of a pair trains on a random class-stratified half, its twin
on the other half. So every example of a pool is in exactly half of its models. An attacker never
uses the twin of a target as a shadow. Given the pair design, the membership of all other models
then says nothing about the target's.

- `pool`: one pool; every model is the target in turn, all other models but its twin are its
  shadows (Carlini et al. 2022).
- `disjoint`: a pool of targets and a pool of shadows that share no example (Shokri et al. 2017).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mia_pruning.types import StudyError


@dataclass(frozen=True)
class Split:
    """The examples that each model trains on. Rows 2k and 2k + 1 of the matrices are twins.

    pool       (p,) indices into the data set: the columns of the matrices
    reference  (r,) indices of the set D' that Min-Max plays on
    test       (t,) indices of the examples that measure accuracy
    candidates (m, p) bool: the examples a model could have been trained on
    membership (m, p) bool: the examples it was trained on
    is_target  (m,) bool
    """

    pool: np.ndarray
    reference: np.ndarray
    test: np.ndarray
    candidates: np.ndarray
    membership: np.ndarray
    is_target: np.ndarray

    def __post_init__(self) -> None:
        used = np.concatenate([self.pool, self.reference, self.test])
        if np.unique(used).size != used.size:
            raise StudyError("split", "pool, reference and test examples overlap")
        if (self.membership & ~self.candidates).any():
            raise StudyError("split", "a model has members outside its candidates")
        first, second = self.membership[0::2], self.membership[1::2]
        if first.shape != second.shape or ((first ^ second) != self.candidates[0::2]).any():
            raise StudyError("split", "twins are not complementary")
        shadows = self.candidates[~self.is_target].any(axis=0)
        if (shadows & self.candidates[self.is_target].any(axis=0)).any():
            raise StudyError(
                "split", "shadow models share examples with the targets of a disjoint split"
            )

    @property
    def examples(self) -> np.ndarray:
        """Every example that models are queried on: pool, then test, then reference."""
        return np.concatenate([self.pool, self.test, self.reference])

    def members(self, model: int) -> np.ndarray:
        """Return the indices into the data set of a model's training examples."""
        return self.pool[self.membership[model]]

    def as_arrays(self) -> dict[str, np.ndarray]:
        return dict(vars(self))


def check_size(split: dict[str, Any], n_examples: int, where: str) -> None:
    """Refuse a split that needs more examples than there are, or uneven halves, by StudyError."""
    pools = ["examples", "shadow_examples"] if split["protocol"] == "disjoint" else ["examples"]
    models = ["models", "shadow_models"] if split["protocol"] == "disjoint" else ["models"]
    for key in [*pools, *models]:
        if split[key] % 2:
            raise StudyError(
                f"{where}.{key} = {split[key]}",
                "models come in complementary pairs, so it must be even",
            )
    if split["protocol"] == "pool" and split["models"] < 4:
        raise StudyError(
            f"{where}.models = {split['models']}", "the pool protocol needs at least 4, two pairs"
        )
    needed = sum(split[key] for key in [*pools, "reference", "test"])
    if needed > n_examples:
        parts = " + ".join(f"{key} {split[key]}" for key in [*pools, "reference", "test"])
        raise StudyError(where, f"{parts} = {needed} examples, but the data set has {n_examples}")


def make_split(
    split: dict[str, Any], labels: np.ndarray, usable: np.ndarray, rng: np.random.Generator
) -> Split:
    """Return a split, with the matrix filled by the protocol of a checked `split` section.

    labels (n,) of the complete data set; usable (u,) indices that may be used (one copy of each
    duplicate).
    """
    disjoint = split["protocol"] == "disjoint"
    sizes = [
        split["examples"],
        split["shadow_examples"] if disjoint else 0,
        split["reference"],
        split["test"],
    ]
    targets, shadows, reference, test = stratified_parts(labels, usable, sizes, rng)
    membership = _halve(split["models"], labels[targets], rng)
    candidates = np.ones_like(membership)
    is_target = np.ones(len(membership), dtype=bool)
    if disjoint:
        others = _halve(split["shadow_models"], labels[shadows], rng)
        membership = _block_diagonal(membership, others)
        candidates = _block_diagonal(candidates, np.ones_like(others))
        is_target = np.arange(len(membership)) < split["models"]
    pool = np.concatenate([targets, shadows])
    return Split(pool, reference, test, candidates, membership, is_target)


def stratified_parts(
    labels: np.ndarray, usable: np.ndarray, sizes: list[int], rng: np.random.Generator
) -> list[np.ndarray]:
    """Return disjoint parts of the usable examples with the classes in equal proportion.

    It is equal to within one example where classes are equal. Each class is shuffled and spread
    evenly over [0, 1). Cutting that line at the cumulated sizes cuts each class alike. Raises
    StudyError where the sizes exceed the usable examples.
    """
    if sum(sizes) > usable.size:
        raise StudyError(
            "split", f"{sum(sizes)} examples are needed, but only {usable.size} are distinct"
        )
    shuffled = rng.permutation(usable)
    position = np.empty(usable.size)
    for label in np.unique(labels[usable]):
        rows = np.flatnonzero(labels[shuffled] == label)
        position[rows] = (np.arange(rows.size) + rng.random()) / rows.size
    ordered = shuffled[np.argsort(position, kind="stable")]
    return np.split(ordered, np.cumsum(sizes))[: len(sizes)]


def _halve(n_models: int, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return membership (n_models, n) in complementary pairs.

    Of each two neighbours in a random order by class, one is a member.
    """
    membership = np.zeros((n_models, labels.size), dtype=bool)
    for first in range(0, n_models, 2):
        shuffled = rng.permutation(labels.size)
        couples = shuffled[np.argsort(labels[shuffled], kind="stable")].reshape(-1, 2)
        chosen = couples[np.arange(len(couples)), rng.integers(2, size=len(couples))]
        membership[first, chosen] = True
        membership[first + 1] = ~membership[first]
    return membership


def _block_diagonal(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    matrix = np.zeros((len(first) + len(second), first.shape[1] + second.shape[1]), dtype=bool)
    matrix[: len(first), : first.shape[1]] = first
    matrix[len(first) :, first.shape[1] :] = second
    return matrix
