"""Stage: every metric of one defence, for each target and each bootstrap replicate.

It also writes the curves of the figures.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mia_pruning import storage
from mia_pruning.attacks.confidence import top_confidence
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.references import pairs
from mia_pruning.data.split import Split
from mia_pruning.metrics import intervals
from mia_pruning.metrics.audit import clopper_pearson
from mia_pruning.metrics.divergence import js_divergence
from mia_pruning.metrics.exposure import distinct_twins, exposures, halves, swap_twins
from mia_pruning.metrics.exposure_correlation import twin_ranks
from mia_pruning.metrics.intervals import Draws
from mia_pruning.metrics.membership import weighted_roc
from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.operating import (
    MEMBER_SHARES,
    Counts,
    at_most,
    guessed,
    population_needed,
    resolves,
)
from mia_pruning.seeds import stream
from mia_pruning.stages.agreement import FOUND_AT_FPR, agreement_rows
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.privacy import Attacker, Cell, Guesses, privacy_values, resolved_rates
from mia_pruning.stages.strongest import (
    choice_rows,
    example_halves,
    half_estimates,
    strongest_cells,
)
from mia_pruning.tables import EXPOSED, written_by

#: An audit guesses these shares of the examples, half of them as members. The grid was fixed
#: before any result was seen.
AUDITED_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
#: The evaluation of a defence writes these tables.
EVALUATED = written_by("evaluate_defence")
#: The attacker who knows half of the target's members is no outsider.
KNOWN_MEMBERS = "known_members"
ROC_GRID = np.concatenate([[0.0], np.logspace(-3, 0, 121)])
CONFIDENCE_EDGES = np.linspace(-6, 18, 49)


def evaluate_defence(
    dataset: str,
    split: str,
    signals: str,
    attacks: Mapping[Attacker, str],
    *,
    eligible: Sequence[str],
    seed: int,
    n_replicates: int,
    outputs: Mapping[str, str],
    record: dict[str, Any],
) -> None:
    """Write the replicates of every metric, and the tables of one defence.

    attacks: (attack, attacker) -> file of scores.
    eligible: attacks that are run on every defence. The strongest attack is one of these.
    outputs: paths by name: `evaluation`, and each table that the evaluation writes.

    The replicates of all defences of a split share their draws.
    """
    split_, labels = read_split(split), read_packed(dataset).labels[:]
    targets = np.flatnonzero(split_.is_target)
    draws = intervals.draw(
        targets.size, split_.pool.size, split_.test.size, n_replicates, stream(seed, "bootstrap")
    )
    logits = storage.read_array(signals)[targets]
    in_pool = logits[:, : split_.pool.size].astype(np.float64)
    statistic = label_log_odds(in_pool, labels[split_.pool])
    utility = [
        *_utility_cells(logits, labels, split_, draws),
        *_theory_cells(statistic, split_, draws),
    ]
    first = example_halves(labels[split_.pool], stream(seed, "strongest"))
    found = _Evaluated(split_, labels[split_.pool], draws, first, frozenset(eligible), utility)
    for attacker, path in attacks.items():
        found.add(attacker, storage.read_arrays(path))
    found.add_strongest(lambda attacker: found.guesses(storage.read_arrays(attacks[attacker])))
    twins = pairs(split_.membership[targets], split_.candidates[targets])
    everywhere, members = split_.candidates[targets].all(axis=0), split_.membership[targets]
    ranks = twin_ranks(statistic[:, everywhere], members[:, everywhere], distinct_twins(twins))
    _write_replicates(outputs["evaluation"], record, found.cells, draws, ranks, found.failed)
    no_leak = stream(seed, "no_leak")
    found.rows["exposed"] += _exposed_rows(statistic, split_, labels, twins, no_leak)
    found.rows["agreement"] += agreement_rows(found.members, members)
    found.rows["confidence"] += _confidence_rows(logits, labels, split_)
    for name, table in EVALUATED.items():
        storage.write_table(outputs[name], found.rows[name], [*table.part_columns])


@dataclass
class _Evaluated:
    """Results of the attacks on one defence, collected attack by attack.

    labels (n_pool,).
    first: the first half of the examples, by `example_halves`.
    eligible: attacks that the strongest is chosen from.
    """

    split: Split
    labels: np.ndarray
    draws: Draws
    first: np.ndarray
    eligible: frozenset[str]
    cells: list[Cell]
    rows: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {name: [] for name in EVALUATED}
    )
    estimates: dict[Attacker, dict[str, tuple[float, float]]] = field(default_factory=dict)
    members: dict[Attacker, np.ndarray] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)

    def guesses(self, arrays: Mapping[str, np.ndarray]) -> Guesses:
        membership = self.split.membership[self.split.is_target]
        return Guesses(arrays["scores"], arrays["unknown"], membership)

    def add(self, attacker: Attacker, arrays: Mapping[str, np.ndarray]) -> None:
        """Add the results of one attack; if it failed, only the reason."""
        about = dict(zip(("attack", "attacker"), attacker, strict=True))
        if str(arrays["failure"]):
            self.rows["failures"].append({**about, "failure": str(arrays["failure"])})
            if attacker[0] in self.eligible and attacker[1] != KNOWN_MEMBERS:
                self.failed.append(" ".join(attacker))
            return
        guesses = self.guesses(arrays)
        n_examples = int(guesses.unknown[0].sum())
        values = privacy_values(guesses, self.draws.pool, resolved_rates(guesses))
        for metric, of_metric in values.items():
            self.cells.append(Cell({**about, "metric": metric}, of_metric, n_examples))
        for name, of_attack in {
            "roc": _mean_roc(guesses),
            "operating": _operating_rows(guesses, int(arrays["population"])),
            "audit": _audit_rows(guesses, self.labels),
        }.items():
            self.rows[name] += [{**about, **row} for row in of_attack]
        if attacker[1] != KNOWN_MEMBERS:
            self._add_outsider(attacker, guesses)

    def _add_outsider(self, attacker: Attacker, guesses: Guesses) -> None:
        """Add the results by which attackers are compared who know no member of the target."""
        if attacker[0] in self.eligible:
            self.estimates[attacker] = half_estimates(guesses, self.first)
        if resolves(FOUND_AT_FPR, guesses.n_non_members):
            self.members[attacker] = guesses.members_found(FOUND_AT_FPR)

    def add_strongest(self, read: Callable[[Attacker], Guesses]) -> None:
        """Add the strongest attack; read(attacker) returns the guesses of one attack again."""
        known = {tuple(cell.about.values()): cell.values for cell in self.cells}
        self.cells += strongest_cells(
            self.estimates,
            lambda attacker, metric: known[(*attacker, metric)],
            read,
            self.first,
            self.draws.pool,
        )
        self.rows["strongest"] += choice_rows(self.estimates)


def _write_replicates(
    output: str,
    record: dict[str, Any],
    cells: list[Cell],
    draws: Draws,
    ranks: np.ndarray,
    failed: Sequence[str],
) -> None:
    """Write the replicates of each cell.

    ranks: (n_pairs, n_examples), of the examples by each pair of twins.
    failed: attackers that failed, so that the strongest attack could not be chosen from them.
    """
    replicates = [intervals.replicates(values, draws) for _, values, _ in cells]
    storage.write_arrays(
        output,
        record,
        cells=np.array(json.dumps([cell.about for cell in cells])),
        **{
            name: np.stack([getattr(of_cell, name) for of_cell in replicates])
            for name in vars(replicates[0])
        },
        n_targets=np.array(draws.targets.shape[1]),
        n_examples=np.array([cell.n_examples for cell in cells]),
        twin_ranks=ranks.astype(np.float32),
        failed=np.array(sorted(failed), dtype=str),
    )


def _utility_cells(
    logits: np.ndarray, labels: np.ndarray, split: Split, draws: Draws
) -> Iterator[Cell]:
    """Yield train accuracy, test accuracy and their gap, each (n_replicates + 1, n_targets)."""
    right = logits.argmax(axis=-1) == labels[split.examples]
    members = split.membership[split.is_target]
    in_pool = right[:, : split.pool.size]
    in_test = right[:, split.pool.size : split.pool.size + split.test.size]
    train = np.stack(
        [draws.pool @ (r & m) / (draws.pool @ m) for r, m in zip(in_pool, members, strict=True)],
        axis=1,
    )
    test = np.stack([draws.test @ r / draws.test.sum(axis=1) for r in in_test], axis=1)
    n_candidates = int(split.candidates[split.is_target][0].sum())
    for metric, values, n_examples in (
        ("train_accuracy", train, n_candidates),
        ("test_accuracy", test, split.test.size),
        ("generalisation_gap", train - test, n_candidates),
    ):
        yield Cell({"attack": "", "attacker": "", "metric": metric}, values, n_examples)


def _theory_cells(statistic: np.ndarray, split: Split, draws: Draws) -> Iterator[Cell]:
    """Yield the divergence between members' and non-members' log-odds of the true class."""
    guesses = Guesses(
        statistic, split.candidates[split.is_target], split.membership[split.is_target]
    )
    divergence = np.stack(
        [
            js_divergence(values, members, draws.pool[:, drawn])
            for values, drawn, members in guesses
        ],
        axis=1,
    )
    about = {"attack": "", "attacker": "", "metric": "js_divergence"}
    yield Cell(about, divergence, int(guesses.unknown[0].sum()))


def _mean_roc(guesses: Guesses) -> list[dict[str, float]]:
    """Return the mean ROC over targets, and its 95 % band over targets.

    It is taken at fixed false-positive rates, without interpolation.
    """
    curves = [
        weighted_roc(scores, members, np.ones((1, members.size), dtype=np.float32))
        for scores, _, members in guesses
    ]
    rates = np.array([[curve.tpr_at(fpr)[0] for curve in curves] for fpr in ROC_GRID])
    means, half = rates.mean(axis=1), np.zeros(len(ROC_GRID))
    if len(curves) > 1:
        half = (
            intervals.quantile(len(curves) - 1) * rates.std(axis=1, ddof=1) / np.sqrt(len(curves))
        )
    bands = zip(
        ROC_GRID, means, np.maximum(means - half, 0.0), np.minimum(means + half, 1.0), strict=True
    )
    return [dict(zip(("fpr", "tpr", "low", "high"), map(float, row), strict=True)) for row in bands]


def _operating_rows(guesses: Guesses, n_population: int) -> Iterator[dict[str, Any]]:
    """Yield counts over all targets: of the attack's own guesses, and at each false-positive rate.

    For a rate, each target has a threshold of its own that keeps within the rate.

    n_population: examples that the scores are shares of; 0 for an attack without a population.
    """
    tried = [(scores, members) for scores, _, members in guesses]
    for fpr in (None, *TPR_AT.values()):
        of_targets = [guessed(*trial) if fpr is None else at_most(fpr, *trial) for trial in tried]
        counts = sum(of_targets[1:], of_targets[0])
        low, high = clopper_pearson(counts.true_positives, counts.members)
        resolved = fpr is None or resolves(fpr, guesses.n_non_members)
        is_share = fpr is not None and n_population > 0
        needed = population_needed(fpr, len(tried), n_population) if is_share else None
        yield {
            "allowed_fpr": fpr,
            "resolved": resolved,
            "population_needed": needed,
            **vars(counts),
            "tpr": counts.tpr,
            "low": low,
            "high": high,
            "fpr": counts.fpr,
            **(_precisions(counts) if resolved else {}),
        }


def _precisions(counts: Counts) -> dict[str, float | bool | None]:
    """Return the precision at each share of members, and whether these are lower bounds."""
    found = {column: counts.precision(share) for column, share in MEMBER_SHARES.items()}
    values = {column: precision.value for column, precision in found.items()}
    is_bound = all(precision.is_lower_bound for precision in found.values())
    return {**values, "ppv_is_bound": is_bound}


def _audit_rows(guesses: Guesses, labels: np.ndarray) -> Iterator[dict[str, Any]]:
    """Yield the number of right guesses for each target and share.

    The highest scores are guessed as members, as many of the lowest as non-members. A share that
    rounds to no guess has no row.

    labels (n_pool,).
    """
    for target, (scores, columns, members) in enumerate(guesses):
        order = np.argsort(scores, kind="stable")
        right = np.cumsum(members[order[::-1]]) + np.cumsum(~members[order])
        n_classes = np.unique(labels[columns]).size
        about = {"target": target, "n_canaries": members.size, "n_classes": n_classes}
        for share in AUDITED_SHARES:
            half = int(share * members.size / 2 + 0.5)
            if 1 <= half <= members.size // 2:
                yield {**about, "n_guesses": 2 * half, "n_correct": int(right[half - 1])}


def _exposed_rows(
    statistic: np.ndarray,
    split: Split,
    labels: np.ndarray,
    twins: list[list[int]],
    rng: np.random.Generator,
) -> Iterator[dict[str, Any]]:
    """Yield the exposure of each example by the log-odds that models give its label.

    statistic: log-odds (n_targets, n_pool). With fewer than two pairs of twins there are no rows.

    No attack is used. One that learns from the models of the other half would carry their luck
    into both halves.
    """
    rows = halves(twins)
    if not all(half.size for half in rows):
        return
    candidates, members = split.candidates[split.is_target], split.membership[split.is_target]
    columns = candidates.all(axis=0)
    examples, statistic, members = split.pool[columns], statistic[:, columns], members[:, columns]
    values = [examples, labels[examples]]
    for membership in (members, swap_twins(members, distinct_twins(twins), rng)):
        values += [exposures(statistic[half], membership[half]) for half in rows]
    for row in zip(*(column.tolist() for column in values), strict=True):
        yield dict(zip(EXPOSED, row, strict=True))


def _confidence_rows(logits: np.ndarray, labels: np.ndarray, split: Split) -> list[dict[str, Any]]:
    """Return histograms of the top class's log-odds over all targets.

    One is of members, one of non-members. The outermost bins also hold the values beyond them.
    """
    pool = logits[:, : split.pool.size].astype(np.float64)
    values = top_confidence(log_softmax(pool, axis=-1), labels[split.pool])
    candidates, membership = split.candidates[split.is_target], split.membership[split.is_target]
    inside = np.clip(values, CONFIDENCE_EDGES[0], CONFIDENCE_EDGES[-1])
    rows = []
    for member in (True, False):
        counts, _ = np.histogram(inside[candidates & (membership == member)], CONFIDENCE_EDGES)
        fractions = counts / counts.sum()
        edges = zip(CONFIDENCE_EDGES[:-1], CONFIDENCE_EDGES[1:], fractions, strict=True)
        rows += [{"member": member, "low": a, "high": b, "fraction": f} for a, b, f in edges]
    return rows
