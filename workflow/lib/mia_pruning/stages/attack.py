"""Stage: one attack on every target of one defence."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data.split import Split, attack_groups
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import stream
from mia_pruning.stages.job import logger
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.types import Signals


def run_attack(
    dataset: str,
    split: str,
    *,
    target_signals: str,
    shadow_signals: str,
    attack: Mapping[str, Any],
    attacker: str,
    seed: int,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write scores (n_targets, n_pool), and which of them (bool, same shape) are of examples that the attacker did not know."""
    split_, labels = read_split(split), read_packed(dataset).labels
    targets = _pool_signals(target_signals, split_, labels)
    shadows = _pool_signals(shadow_signals, split_, labels)
    plug_in = find("attack", attack["use"], "attack.use")
    function, options = plug_in.load(), options_of(plug_in, dict(attack))
    scores = np.full((int(split_.is_target.sum()), split_.pool.size), np.nan)
    unknown = split_.candidates[split_.is_target].copy()
    if attacker == "known_members":
        trials = _by_known_members(targets, split_, seed)
    else:
        trials = _by_shadows(targets, shadows, split_, attack["targets_per_group"])
    for number, (rows, attacked, known) in enumerate(trials):
        scores[rows] = function(attacked, known, stream(seed, "attack", attack["use"], number), **options)
        unknown[rows] = attacked.candidates
    asked = scores[unknown]
    if not np.isfinite(asked).all():
        raise ArithmeticError(f"{int((~np.isfinite(asked)).sum())} of {asked.size} scores are not finite")
    storage.write_arrays(output, record, scores=scores, unknown=unknown)
    logger.info("%d targets", len(scores))


#: rows of the membership matrix, what the attacker is to score, and what it learns from
Trial = tuple[np.ndarray, Signals, Signals]


def _by_shadows(targets: Signals, shadows: Signals, split: Split, targets_per_group: int) -> Iterator[Trial]:
    """Each group of targets is attacked by shadow models outside the group."""
    for target_rows, shadow_rows in attack_groups(split.is_target, targets_per_group):
        known = _rows(shadows, shadow_rows, split.membership[shadow_rows])
        yield target_rows, _rows(targets, target_rows, None), known


def _by_known_members(targets: Signals, split: Split, seed: int) -> Iterator[Trial]:
    """Each target by itself: half of its members and of its non-members are told, the rest is to be guessed."""
    for row in np.flatnonzero(split.is_target):
        told = half_of_each(split.candidates[row], split.membership[row], targets.labels, stream(seed, "known_members", int(row)))
        rows = np.array([row])
        target = _rows(targets, rows, None)
        attacked = dataclasses.replace(target, candidates=(split.candidates[row] & ~told)[np.newaxis])
        yield rows, attacked, dataclasses.replace(target, candidates=told[np.newaxis], membership=split.membership[rows])


def half_of_each(candidates: np.ndarray, members: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random half of the members and of the non-members among the candidates, all bool (n_pool,), of each class alike.

    Members are half of each class. Were the halves that are told not, a class with many members among the told would have few
    among the others, and an attack that learns how often a class is a member would be wrong more often than one that guesses.

    >>> told = half_of_each(np.ones(8, dtype=bool), np.arange(8) < 4, np.arange(8) % 2, np.random.default_rng(0))
    >>> told[:4].sum(), told[4:].sum()
    (np.int64(2), np.int64(2))
    """
    told = np.zeros_like(candidates)
    for group in (candidates & members, candidates & ~members):
        columns = rng.permutation(np.flatnonzero(group))
        by_class = columns[np.argsort(labels[columns], kind="stable")]
        told[by_class[1::2]] = True
    return told


def _pool_signals(path: str, split: Split, labels: np.ndarray) -> Signals:
    """Of the pool, and of the examples that measure accuracy as the population that everybody may know."""
    logits, tested = storage.read_array(path), slice(split.pool.size, split.pool.size + split.test.size)
    return Signals(
        logits=logits[:, : split.pool.size],
        labels=np.asarray(labels[split.pool]),
        candidates=split.candidates,
        population=logits[:, tested],
        population_labels=np.asarray(labels[split.test]),
    )


def _rows(signals: Signals, rows: np.ndarray, membership: np.ndarray | None) -> Signals:
    return dataclasses.replace(
        signals,
        logits=signals.logits[rows],
        candidates=signals.candidates[rows],
        membership=membership,
        population=signals.population[rows],
    )
