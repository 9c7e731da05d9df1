"""Stage: every metric of one defence, for each target and each bootstrap replicate; curves for the figures."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax

from mia_pruning import storage
from mia_pruning.attacks.confidence import top_confidence
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.references import pairs
from mia_pruning.data.split import Split
from mia_pruning.metrics import intervals
from mia_pruning.metrics.agreement import members_found
from mia_pruning.metrics.audit import clopper_pearson
from mia_pruning.metrics.divergence import held_out_gain, js_divergence
from mia_pruning.metrics.exposure import distinct_twins, exposures, halves, swap_twins
from mia_pruning.metrics.exposure_correlation import twin_ranks
from mia_pruning.metrics.intervals import Draws
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc
from mia_pruning.metrics.operating import (
    MEMBER_SHARES,
    TPR_AT,
    Counts,
    at_most,
    guessed,
    population_needed,
    resolves,
)
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.seeds import stream
from mia_pruning.stages.agreement import AGREEMENT, FOUND_AT_FPR, agreement_rows
from mia_pruning.stages.packed import read_packed, read_split

#: population_needed is the size of population that resolves the rate, of an attack whose scores are
#: shares of a population; it is empty where the population is large enough.
#: allowed_fpr is empty for the guesses; low and high are the Clopper-Pearson interval of tpr, which takes trials as independent
#: and the threshold as given, and so is narrower than the metric's own; ppv_*: the precision at a member share; ppv_is_bound:
#: that these are lower bounds
OPERATING = (
    "allowed_fpr",
    "resolved",
    "population_needed",
    "true_positives",
    "members",
    "false_positives",
    "others",
    "tpr",
    "low",
    "high",
    "fpr",
    *MEMBER_SHARES,
    "ppv_is_bound",
)
#: Shares of the examples that an audit may guess, half of them as members. The grid is fixed
#: before any result is seen.
AUDITED_SHARES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0)
AUDIT = ("target", "n_canaries", "n_classes", "n_guesses", "n_correct")
#: example: its row in the packed data; first_half, second_half: its exposure on either half of the targets; no_leak_*: one draw
#: of the same where the members of twins are swapped at random
EXPOSED = ["example", "label", "first_half", "second_half", "no_leak_first_half", "no_leak_second_half"]
#: the columns of each table that an evaluation leaves
COLUMNS = {
    "roc": ["attack", "attacker", "fpr", "tpr", "low", "high"],
    "operating": ["attack", "attacker", *OPERATING],
    "strongest": ["metric", "target", "attack", "attacker"],
    "audit": ["attack", "attacker", *AUDIT],
    "exposed": EXPOSED,
    "agreement": AGREEMENT,
    "failures": ["attack", "attacker", "failure"],
    "confidence": ["member", "low", "high", "fraction"],
}
ROC_GRID = np.concatenate([[0.0], np.logspace(-3, 0, 121)])
CONFIDENCE_EDGES = np.linspace(-6, 18, 49)


def evaluate_defence(
    dataset: str,
    split: str,
    signals: str,
    attacks: Mapping[tuple[str, str], str],
    *,
    menu: Sequence[str],
    seed: int,
    n_replicates: int,
    output: str,
    roc: str,
    operating: str,
    confidence: str,
    strongest: str,
    failures: str,
    audit: str,
    exposed: str,
    agreement: str,
    record: dict[str, Any],
) -> None:
    """attacks: (attack, attacker) -> scores file. The replicates of all defences of a split share their draws.

    menu: the attacks that every defence is tried with, of which the strongest is one.
    """
    split_, labels = read_split(split), read_packed(dataset).labels[:]
    targets = np.flatnonzero(split_.is_target)
    rng = stream(seed, "bootstrap")
    draws = intervals.draw(targets.size, split_.pool.size, split_.test.size, n_replicates, rng)
    logits = storage.read_array(signals)[targets]
    n_candidates = int(split_.candidates[targets[0]].sum())
    statistic = label_log_odds(logits[:, : split_.pool.size].astype(np.float64), labels[split_.pool])
    cells = [*_utility_cells(logits, labels, split_, draws), *_theory_cells(statistic, split_, draws)]
    n_examples = [split_.test.size if key["metric"] == "test_accuracy" else n_candidates for key, _ in cells]
    roc_rows: list[dict[str, Any]] = []
    operating_rows: list[dict[str, Any]] = []
    failure_rows: list[dict[str, Any]] = []
    audit_rows: list[dict[str, Any]] = []
    found_members: dict[tuple[str, str], np.ndarray] = {}
    for (attack, attacker), path in attacks.items():
        found = storage.read_arrays(path)
        if str(found["failure"]):
            failure_rows.append({"attack": attack, "attacker": attacker, "failure": str(found["failure"])})
            continue
        guesses = Guesses(found["scores"], found["unknown"], split_.membership[split_.is_target])
        cells += [({"attack": attack, "attacker": attacker, **key}, v) for key, v in _privacy_cells(guesses, draws)]
        n_examples += [int(guesses.unknown[0].sum())] * (len(cells) - len(n_examples))
        roc_rows += [{"attack": attack, "attacker": attacker, **row} for row in _mean_roc(guesses)]
        points = _operating_rows(guesses, int(found["population"]))
        operating_rows += [{"attack": attack, "attacker": attacker, **row} for row in points]
        audited = _audit_rows(guesses, labels[split_.pool])
        audit_rows += [{"attack": attack, "attacker": attacker, **row} for row in audited]
        if attacker != "known_members" and resolves(FOUND_AT_FPR, guesses.n_others):
            scores, unknown = guesses.scores, guesses.unknown
            of_attack = members_found(FOUND_AT_FPR, scores, guesses.membership, unknown)
            found_members[attack, attacker] = np.flatnonzero(of_attack)
    twins = pairs(split_.membership[targets], split_.candidates[targets])
    of_any, choices = strongest_cells([cell for cell in cells if cell[0]["attack"] in menu], twins)
    n_examples += [n_candidates] * len(of_any)
    cells += of_any
    everywhere, members = split_.candidates[targets].all(axis=0), split_.membership[targets]
    ranks = twin_ranks(statistic[:, everywhere], members[:, everywhere], distinct_twins(twins))
    _write_replicates(output, record, cells, n_examples, draws, ranks)
    storage.write_table(roc, roc_rows, COLUMNS["roc"])
    storage.write_table(operating, operating_rows, COLUMNS["operating"])
    storage.write_table(strongest, choices, COLUMNS["strongest"])
    storage.write_table(audit, audit_rows, COLUMNS["audit"])
    exposed_rows = _exposed_rows(statistic, split_, labels, twins, stream(seed, "no_leak"))
    storage.write_table(exposed, exposed_rows, COLUMNS["exposed"])
    storage.write_table(agreement, agreement_rows(found_members, members), COLUMNS["agreement"])
    storage.write_table(failures, failure_rows, COLUMNS["failures"])
    storage.write_table(confidence, _confidence_rows(logits, labels, split_), COLUMNS["confidence"])


Cell = tuple[dict[str, str], np.ndarray]


def _write_replicates(
    output: str,
    record: dict[str, Any],
    cells: list[Cell],
    n_examples: list[int],
    draws: Draws,
    ranks: np.ndarray,
) -> None:
    """Write each cell's replicates, and the ranks of the examples by each pair of twins (n_pairs, n_examples)."""
    replicates = [intervals.replicates(values, draws) for _, values in cells]
    storage.write_arrays(
        output,
        record,
        cells=np.array(json.dumps([key for key, _ in cells])),
        **{name: np.stack([getattr(of_cell, name) for of_cell in replicates]) for name in vars(replicates[0])},
        n_targets=np.array(draws.targets.shape[1]),
        n_examples=np.array(n_examples),
        twin_ranks=ranks.astype(np.float32),
    )


def _utility_cells(logits: np.ndarray, labels: np.ndarray, split: Split, draws: Draws) -> Iterator[Cell]:
    """Train and test accuracy and their gap, (n_replicates + 1, n_targets) each."""
    right = logits.argmax(axis=-1) == labels[split.examples]
    members = split.membership[split.is_target]
    in_pool = right[:, : split.pool.size]
    in_test = right[:, split.pool.size : split.pool.size + split.test.size]
    train = np.stack([draws.pool @ (r & m) / (draws.pool @ m) for r, m in zip(in_pool, members, strict=True)], axis=1)
    test = np.stack([draws.test @ r / draws.test.sum(axis=1) for r in in_test], axis=1)
    for metric, values in {"train_accuracy": train, "test_accuracy": test, "generalisation_gap": train - test}.items():
        yield {"attack": "", "attacker": "", "metric": metric}, values


def _theory_cells(statistic: np.ndarray, split: Split, draws: Draws) -> Iterator[Cell]:
    """The divergence between members' and non-members' log-odds of the true class."""
    guesses = Guesses(statistic, split.candidates[split.is_target], split.membership[split.is_target])
    divergence = np.stack([js_divergence(values, members, draws.pool[:, drawn]) for values, drawn, members in guesses], axis=1)
    yield {"attack": "", "attacker": "", "metric": "js_divergence"}, divergence


@dataclass(frozen=True)
class Guesses:
    """One attack's scores of every target (n_targets, n_pool), which of them count, and the truth."""

    scores: np.ndarray
    unknown: np.ndarray
    membership: np.ndarray

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """For each target: the scores that count, which columns they are (bool), and their membership."""
        for scores, columns, members in zip(self.scores, self.unknown, self.membership, strict=True):
            yield scores[columns], columns, members[columns]

    @property
    def n_others(self) -> list[int]:
        """How many non-members count of each target."""
        return (self.unknown & ~self.membership).sum(axis=1).tolist()


def _privacy_cells(guesses: Guesses, draws: Draws) -> Iterator[Cell]:
    """Each membership metric, (n_replicates + 1, n_targets)."""
    trials = [(scores, members, draws.pool[:, drawn]) for scores, drawn, members in guesses]
    curves = [weighted_roc(*trial) for trial in trials]
    resolved = {metric: fpr for metric, fpr in TPR_AT.items() if resolves(fpr, guesses.n_others)}
    columns = {
        "attack_accuracy": [balanced_accuracy(*trial) for trial in trials],
        "auc": [curve.auc() for curve in curves],
        "gain": [held_out_gain(*trial) for trial in trials],
        **{metric: [curve.tpr_at(fpr) for curve in curves] for metric, fpr in resolved.items()},
    }
    for metric, values in columns.items():
        yield {"metric": metric}, np.stack(values, axis=1)


def strongest_cells(cells: list[Cell], left_out: list[list[int]]) -> tuple[list[Cell], list[dict[str, Any]]]:
    """What an outsider gains who takes, against each target, the attack that gained most on the other targets; and the choices.

    cells: every metric of the attacks to choose from; left_out: for each target the rows of itself and of its twin. What is
    chosen on other models is no maximum over noise. Attackers who are told members of the target are no outsiders. Nothing if
    no target is left.
    """
    found: list[Cell] = []
    choices: list[dict[str, Any]] = []
    outsiders = [(key, values) for key, values in cells if key["attacker"] != "known_members"]
    for metric in dict.fromkeys(key["metric"] for key, _ in outsiders):
        tried = [(key, values) for key, values in outsiders if key["metric"] == metric]
        gains = np.stack([values[0] for _, values in tried])
        others = [np.setdiff1d(np.arange(gains.shape[1]), rows) for rows in left_out]
        if not all(rows.size for rows in others):
            continue
        best = [int(gains[:, rows].mean(axis=1).argmax()) for rows in others]
        found.append(({**STRONGEST, "metric": metric}, np.stack([tried[b][1][:, t] for t, b in enumerate(best)], axis=1)))
        choices += [
            {"metric": metric, "target": target, **{name: tried[b][0][name] for name in ("attack", "attacker")}}
            for target, b in enumerate(best)
        ]
    return found, choices


def _mean_roc(guesses: Guesses) -> list[dict[str, float]]:
    """The ROC averaged over targets at fixed false-positive rates, without interpolation, and its 95 % band over targets."""
    curves = [weighted_roc(scores, members, np.ones((1, members.size), dtype=np.float32)) for scores, _, members in guesses]
    rates = np.array([[curve.tpr_at(fpr)[0] for curve in curves] for fpr in ROC_GRID])
    means, half = rates.mean(axis=1), np.zeros(len(ROC_GRID))
    if len(curves) > 1:
        half = intervals.quantile(len(curves) - 1) * rates.std(axis=1, ddof=1) / np.sqrt(len(curves))
    bands = zip(ROC_GRID, means, np.maximum(means - half, 0.0), np.minimum(means + half, 1.0), strict=True)
    return [dict(zip(("fpr", "tpr", "low", "high"), map(float, row), strict=True)) for row in bands]


def _operating_rows(guesses: Guesses, n_population: int) -> Iterator[dict[str, Any]]:
    """Counts over all targets: of what the attack guesses, and at thresholds of each target's own that keep within a rate.

    n_population: of which the scores are shares; 0 of an attack without a population.
    """
    tried = [(scores, members) for scores, _, members in guesses]
    for fpr in (None, *TPR_AT.values()):
        of_targets = [guessed(*trial) if fpr is None else at_most(fpr, *trial) for trial in tried]
        counts = sum(of_targets[1:], of_targets[0])
        low, high = clopper_pearson(counts.true_positives, counts.members)
        resolved = fpr is None or resolves(fpr, guesses.n_others)
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
    """The precision at each member share, and whether these are lower bounds."""
    found = {column: counts.precision(share) for column, share in MEMBER_SHARES.items()}
    values = {column: precision.value for column, precision in found.items()}
    is_bound = all(precision.is_lower_bound for precision in found.values())
    return {**values, "ppv_is_bound": is_bound}


def _audit_rows(guesses: Guesses, labels: np.ndarray) -> Iterator[dict[str, Any]]:
    """Counts of right guesses for each target and share.

    The highest scores are guessed as members, as many of the lowest as non-members. labels
    (n_pool,). A share that rounds to no guess has no row.
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
    """Each example's exposure by the log-odds (n_targets, n_pool) that models give its label; nothing without two pairs.

    No attack stands between: one that learns from the other half's models would carry their luck into both halves.
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
    """Histograms of the top class's log-odds over all targets, of members and of non-members; the ends hold what lies beyond."""
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
