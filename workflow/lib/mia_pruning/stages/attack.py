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
    """Write the scores of one attack on every target of one defence.

    The output holds these arrays:
    scores: (n_targets, n_pool), a score of each target and example.
    unknown: bool of the same shape, the examples whose membership the attacker did not know.
    population: number of examples that the scores are a share of; 0 for an attack that compares
    with no population.
    failure: why the attack failed; empty if it did not. Such an attack stops no other: its scores
    are NaN.

    target_probes, shadow_probes: files by the name of the probe.
    dense_signals: of the models that the targets and shadow models were pruned from, for an
    attacker who sees both.
    shadow_dataset, shadow_split: of shadow models that have examples of their own.

    Raises:
        StudyError: A file of signals was cut short.
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
    except StudyError:  # a file that was cut short must be made again
        raise
    except (
        Exception
    ) as error:  # A plug-in may raise anything. It is reported, and the other attacks continue.
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


#: A trial has rows of the membership matrix, the signals that the attacker scores and the signals
#: that it learns from.
Trial = tuple[np.ndarray, Signals, Signals]


def attack_groups(
    is_target: np.ndarray, targets_per_group: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pairs (target rows, shadow rows) that attack each target once.

    No shadow model belongs to the group of the targets that it attacks. With a separate pool of
    shadow models (disjoint protocol), one group holds all targets. In the pool protocol a group is
    a run of complete pairs of twins. Each group has equally many shadow models, so that all
    targets face attackers who know equally much.

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
    """Yield a trial for each group of targets, attacked by the shadow models outside the group."""
    for target_rows, shadow_rows in attack_groups(split.is_target, targets_per_group):
        known = shadows.of_models(shadow_rows, split.membership[shadow_rows])
        yield target_rows, targets.of_models(target_rows, None), known


def _by_known_members(targets: Signals, split: Split, seed: int) -> Iterator[Trial]:
    """Yield a trial for each target by itself.

    The attacker knows half of its members and half of its non-members, and guesses the remaining
    ones.
    """
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
    """Return a random half of the members and of the non-members, with equal shares of each class.

    candidates, members and the result are bool (n_pool,), labels (n_pool,). Only candidates are
    drawn.

    Half of each class are members. Without equal shares, a class with many known members would
    have few unknown ones. An attack that learns how often a class is a member would then be wrong
    more often than one that guesses.

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
    """Return signals on the pool; the test examples are the population that everybody may know."""
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
    """Return signals and membership of shadow models that have a data set of their own.

    They were trained and queried on it.
    """
    own = read_split(split)
    signals = _pool_signals(path, probes, None, own, read_packed(dataset).labels, {})
    return dataclasses.replace(signals, membership=own.membership)


def _read_answers(path: str, split: Split, n_examples: int) -> np.ndarray:
    """Return the answers of every model of the split on this many examples, memory-mapped.

    Raises:
        ValueError: The file has another number of models or examples.
        ArithmeticError: An answer is not finite.
    """
    answers = storage.read_array(path)
    needed = (len(split.membership), n_examples)
    if answers.shape[:2] != needed:
        raise ValueError(
            f"{path}: answers of {answers.shape[0]} models on {answers.shape[1]} examples; the split has {needed}"
        )
    if not all(np.isfinite(of_one_model).all() for of_one_model in answers):
        raise ArithmeticError(f"{path}: holds answers that are not finite")
    return answers
