"""Stage: one attack on every target of one defence."""

from collections.abc import Mapping
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
    seed: int,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write scores (n_targets, n_pool). Each group of targets is attacked by shadow models outside the group."""
    split_, labels = read_split(split), read_packed(dataset).labels
    targets = _pool_signals(target_signals, split_, labels)
    shadows = _pool_signals(shadow_signals, split_, labels)
    plug_in = find("attack", attack["use"], "attack.use")
    function, options = plug_in.load(), options_of(plug_in, dict(attack))
    scores = np.full((int(split_.is_target.sum()), split_.pool.size), np.nan)
    groups = attack_groups(split_.is_target, attack["targets_per_group"])
    for number, (target_rows, shadow_rows) in enumerate(groups):
        known = _rows(shadows, shadow_rows, split_.membership[shadow_rows])
        rng = stream(seed, "attack", attack["use"], number)
        scores[target_rows] = function(_rows(targets, target_rows, None), known, rng, **options)
    if not np.isfinite(scores).all():
        raise ArithmeticError(f"{int((~np.isfinite(scores)).sum())} of {scores.size} scores are not finite")
    storage.write_arrays(output, record, scores=scores)
    logger.info("%d targets in %d groups", len(scores), len(groups))


def _pool_signals(path: str, split: Split, labels: np.ndarray) -> Signals:
    logits = storage.read_array(path)[:, : split.pool.size]
    return Signals(logits=logits, labels=np.asarray(labels[split.pool]), candidates=split.candidates)


def _rows(signals: Signals, rows: np.ndarray, membership: np.ndarray | None) -> Signals:
    return Signals(signals.logits[rows], signals.labels, signals.candidates[rows], membership)
