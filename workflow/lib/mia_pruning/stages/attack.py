"""Stage: one attack on every target of one defence."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data.split import Split
from mia_pruning.modules import module_file
from mia_pruning.registry import find, options_of
from mia_pruning.seeds import stream
from mia_pruning.stages.job import logger
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.types import Signals, StudyError


def run_attack(
    dataset: str,
    split: str,
    *,
    target_signals: str,
    shadow_signals: str,
    target_probes: Mapping[str, str],
    shadow_probes: Mapping[str, str],
    dense_signals: str | None,
    shadow_dataset: str | None = None,
    shadow_split: str | None = None,
    attack: Mapping[str, Any],
    attacker: str,
    seed: int,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write scores (n_targets, n_pool), and which of them (bool, same shape) are of examples that the attacker did not know.

    population: how many examples the scores are a share of; 0 of an attack that compares with no population.
    An attack that fails stops no other: its scores are NaN, and `failure` says why; it is empty where there is none.

    probes: files by name; dense_signals: of the models that the targets and the shadows were pruned from, for who sees both.
    shadow_dataset, shadow_split: of shadow models that have examples of their own.
    """
    split_, packed = read_split(split), read_packed(dataset)
    plug_in = find("attack", attack["use"], "attack.use")
    wanted = (
        {"images": split_.pool, "population_images": split_.test} if plug_in.traits.images else {}
    )
    seen = {name: packed.images[rows] for name, rows in wanted.items()}
    scores = np.full((int(split_.is_target.sum()), split_.pool.size), np.nan)
    unknown, failure = split_.candidates[split_.is_target].copy(), ""
    try:
        targets = _pool_signals(
            target_signals, target_probes, dense_signals, split_, packed.labels, seen
        )
        if shadow_split is None:
            shadows = _pool_signals(
                shadow_signals, shadow_probes, dense_signals, split_, packed.labels, seen
            )
        else:
            shadows = _of_other_examples(
                shadow_signals, shadow_probes, shadow_dataset, shadow_split
            )
        function, options = plug_in.load(), options_of(plug_in, dict(attack))
        if attacker == "known_members":
            trials = _by_known_members(targets, split_, seed)
        elif shadow_split is not None:
            target_rows = np.flatnonzero(split_.is_target)
            trials = iter([(target_rows, targets.of_models(target_rows, None), shadows)])
        else:
            trials = _by_shadows(targets, shadows, split_, attack["targets_per_group"])
        for number, (rows, attacked, known) in enumerate(trials):
            unknown[rows] = attacked.candidates
            found = function(
                attacked, known, stream(seed, "attack", attack["use"], number), **options
            )
            scores[rows] = _checked(found, attacked.candidates)
    except StudyError:  # a file that was cut short has to be made anew
        raise
    except (
        Exception
    ) as error:  # whatever a plug-in raises: it is reported, and the other attacks go on
        failure = f"{attack['use']} on {target_signals}: {type(error).__name__}: {error}"
        logger.exception(
            "the attack %s (%s) failed on %s",
            attack["use"],
            module_file(plug_in.module),
            target_signals,
        )
        scores[:] = np.nan
    n_population = split_.test.size if plug_in.traits.population else 0
    told = {"failure": np.array(failure), "population": np.array(n_population)}
    storage.write_arrays(output, record, scores=scores, unknown=unknown, **told)
    logger.info("%d targets", len(scores))


def _checked(scores: np.ndarray, asked: np.ndarray) -> np.ndarray:
    if np.shape(scores) != asked.shape:
        raise ValueError(
            f"the scores have shape {np.shape(scores)}; one for each target and example, {asked.shape}, is needed"
        )
    if not np.isfinite(scores[asked]).all():
        raise ArithmeticError(
            f"{int((~np.isfinite(scores[asked])).sum())} of {int(asked.sum())} scores are not finite"
        )
    return scores


#: rows of the membership matrix, what the attacker is to score, and what it learns from
Trial = tuple[np.ndarray, Signals, Signals]


def attack_groups(
    is_target: np.ndarray, targets_per_group: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs (target rows, shadow rows): each target is attacked once, by shadows that exclude its whole group.

    Where there are shadows of their own (disjoint), one group holds all targets. In the pool protocol the groups are runs of
    whole pairs, each with as many shadows, so that all targets face attackers who know as much.

    >>> [(t.tolist(), s.tolist()) for t, s in attack_groups(np.ones(6, dtype=bool), 4)]
    [([0, 1, 2, 3], [4, 5]), ([4, 5], [0, 1])]
    """
    rows = np.arange(is_target.size)
    if not is_target.all():
        return [(rows[is_target], rows[~is_target])]
    groups = [
        rows[start : start + targets_per_group] for start in range(0, rows.size, targets_per_group)
    ]
    return [(group, np.setdiff1d(rows, group)[: rows.size - targets_per_group]) for group in groups]


def _by_shadows(
    targets: Signals, shadows: Signals, split: Split, targets_per_group: int
) -> Iterator[Trial]:
    """Each group of targets is attacked by shadow models outside the group."""
    for target_rows, shadow_rows in attack_groups(split.is_target, targets_per_group):
        known = shadows.of_models(shadow_rows, split.membership[shadow_rows])
        yield target_rows, targets.of_models(target_rows, None), known


def _by_known_members(targets: Signals, split: Split, seed: int) -> Iterator[Trial]:
    """Each target by itself: half of its members and of its non-members are told, the rest is to be guessed."""
    for row in np.flatnonzero(split.is_target):
        told = half_of_each(
            split.candidates[row],
            split.membership[row],
            targets.labels,
            stream(seed, "known_members", int(row)),
        )
        rows = np.array([row])
        target = targets.of_models(rows, None)
        attacked = dataclasses.replace(
            target, candidates=(split.candidates[row] & ~told)[np.newaxis]
        )
        yield (
            rows,
            attacked,
            dataclasses.replace(
                target, candidates=told[np.newaxis], membership=split.membership[rows] & told
            ),
        )


def half_of_each(
    candidates: np.ndarray, members: np.ndarray, labels: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
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


def _pool_signals(
    path: str,
    probes: Mapping[str, str],
    dense: str | None,
    split: Split,
    labels: np.ndarray,
    seen: Mapping[str, np.ndarray],
) -> Signals:
    """Of the pool, and of the examples that measure accuracy as the population that everybody may know."""
    logits, tested = (
        _read_answers(path, split, split.examples.size),
        slice(split.pool.size, split.pool.size + split.test.size),
    )
    return Signals(
        logits=logits[:, : split.pool.size],
        labels=np.asarray(labels[split.pool]),
        candidates=split.candidates,
        population=logits[:, tested],
        population_labels=np.asarray(labels[split.test]),
        probes={
            name: _read_answers(answers, split, split.pool.size) for name, answers in probes.items()
        },
        dense=None
        if dense is None
        else _read_answers(dense, split, split.examples.size)[:, : split.pool.size],
        **seen,
    )


def _of_other_examples(path: str, probes: Mapping[str, str], dataset: str, split: str) -> Signals:
    """Signals and membership of shadow models that were trained and asked on another data set."""
    own = read_split(split)
    signals = _pool_signals(path, probes, None, own, read_packed(dataset).labels, {})
    return dataclasses.replace(signals, membership=own.membership)


def _read_answers(path: str, split: Split, n_examples: int) -> np.ndarray:
    """Answers of every model of the split on so many examples; memory-mapped."""
    answers = storage.read_array(path)
    needed = (len(split.membership), n_examples)
    if answers.shape[:2] != needed:
        raise ValueError(
            f"{path}: answers of {answers.shape[0]} models on {answers.shape[1]} examples; the split has {needed}"
        )
    if not all(np.isfinite(of_one_model).all() for of_one_model in answers):
        raise ArithmeticError(f"{path}: holds answers that are not finite")
    return answers
