"""The audit: what the attacks prove about epsilon, and whether it contradicts DP-SGD's promise.

The design, fixed before a result is seen:

- One model is audited: the first target of the first seed. Pooling right guesses over targets
  would not be valid. Targets are each other's shadow models, so the attack on target t uses the
  coins of target s and conversely. Given all other coins each count is bounded, but their sum
  need not be.
- Its attack and the number of guesses are chosen by counts on other models, as the pair that is
  expected to prove most: on the other seeds, whose splits are drawn independently; with one seed
  on the other targets, without the twin, whose members are the audited target's non-members. With
  one pair of targets it is the study's first attack of an outsider, with the fewest guesses that
  can contradict the promise. In the pool protocol the other targets' attacks had the audited
  model among their shadow models, so a choice within one seed is not strictly independent of its
  coins; the simulations in the tests find no effect.
- For a defence with a promise, only numbers of guesses count that could contradict it if all were
  right.
- delta is the largest power of ten that is at most 1 / (100 m) for m examples.

A promise of (8, 1e-4) says little at delta 1e-6: a bound at 1e-6 contradicts it only if 8 still
holds there. So both printed numbers belong to the same delta. The bound is the epsilon of the
refuted mu-GDP, the promise that of the accountant for the same steps. A training run need not lie
on a mu-GDP curve, so a larger bound alone is no contradiction. The accountant's (epsilon, delta)
pairs, all at once, must be refuted as well.
"""

from math import floor, log10
from typing import Any

import pandas as pd

from mia_pruning.metrics.audit import one_run_bound
from mia_pruning.metrics.f_dp_audit import (
    approximate,
    expected_mu,
    gaussian_bound,
    gaussian_epsilon,
    refutes,
    without_half_excess,
)
from mia_pruning.reporting.tables import ATTACKER, WHERE, pick

CONTRADICTED, CONSISTENT = "contradicts the promise", "consistent"
POWERLESS, UNPROMISED = "has no power", "no promise"
DESIGN = ["n_canaries", "n_classes", "n_guesses"]


def audit(counts: pd.DataFrame, guarantees: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row a defence: the bound, the largest one if every guess were right, the verdict.

    counts: audit.csv; attackers who know members are left out. guarantees: guarantees.csv.
    A defence that every attack failed on has no row. chosen_on: the models that the attack and
    the number of guesses were chosen on. promised: epsilon at `delta`, None where there is none.
    """
    outsiders = counts[counts["attacker"] != "known_members"]
    rows = []
    for (experiment, defence), part in outsiders.groupby(WHERE, sort=False):
        promised = pick(guarantees, experiment=experiment, defence=defence)
        rows.append(
            {"experiment": experiment, "defence": defence, **_audit_defence(part, promised)}
        )
    return rows


def _audit_defence(counts: pd.DataFrame, guarantees: pd.DataFrame) -> dict[str, Any]:
    seed = counts["seed"].min()
    target = pick(counts, seed=seed)["target"].min()
    own = pick(guarantees, seed=seed)
    curve = _curve(own)
    tried = _able(pick(counts, seed=seed, target=target), curve)
    elsewhere, chosen_on = _elsewhere(counts, seed, target)
    row = _choice(tried, elsewhere)
    design = int(row["n_canaries"]), int(row["n_guesses"])
    n_classes = int(row["n_classes"])
    counted = without_half_excess(int(row["n_correct"]), n_classes)
    most = without_half_excess(design[1], n_classes)
    delta = audited_delta(design[0])
    promises = bool(own["epsilon"].notna().any())
    return {
        **{name: row[name] for name in (*ATTACKER, "n_guesses", "n_correct")},
        "chosen_on": chosen_on,
        "delta": delta,
        "epsilon": proved(*design, counted),
        "largest": proved(*design, most),
        "steinke": one_run_bound(*design, counted, delta),
        "promised": curve.get(delta),
        "verdict": _verdict(design, counted, most, curve) if promises else UNPROMISED,
    }


def audited_delta(n_canaries: int) -> float:
    """Return the largest power of ten that is at most 1 / (100 n_canaries).

    >>> audited_delta(2800), audited_delta(1000)
    (1e-06, 1e-05)
    """
    return float(f"1e{floor(-log10(100 * n_canaries) + 1e-9)}")


def _curve(guarantees: pd.DataFrame) -> dict[float, float]:
    """Return delta -> epsilon, as guarantees.csv says it.

    It is empty without a promise that can be audited.
    """
    written = ";".join(guarantees["curve"].dropna())
    pairs = [pair.split(" at ") for pair in written.split(";") if pair]
    return {float(delta): float(epsilon) for epsilon, delta in pairs}


def _able(tried: pd.DataFrame, curve: dict[float, float]) -> pd.DataFrame:
    """Return the rows that could contradict the promise if all guesses were right.

    All are returned if none could.
    """
    if not curve:
        return tried
    could = []
    for row in tried.itertuples():
        most = without_half_excess(row.n_guesses, row.n_classes)
        could.append(_contradicts(row.n_canaries, row.n_guesses, most, curve))
    return tried[could] if any(could) else tried


def _contradicts(
    n_canaries: int, n_guesses: int, n_correct: int, curve: dict[float, float]
) -> bool:
    """Return whether the curve is refuted and the printed bound exceeds the printed promise."""
    promised = curve.get(audited_delta(n_canaries))
    if promised is None or proved(n_canaries, n_guesses, n_correct) <= promised:
        return False
    return refutes(n_canaries, n_guesses, n_correct, approximate(list(curve.values()), list(curve)))


def proved(n_canaries: int, n_guesses: int, n_correct: int) -> float:
    """Return the epsilon, at the audited delta, of the largest mu-GDP that is refuted."""
    mu = gaussian_bound(n_canaries, n_guesses, n_correct)
    return gaussian_epsilon(mu, audited_delta(n_canaries))


def _verdict(design: tuple[int, int], n_correct: int, most: int, curve: dict[float, float]) -> str:
    if not _contradicts(*design, most, curve):
        return POWERLESS
    return CONTRADICTED if _contradicts(*design, n_correct, curve) else CONSISTENT


def _elsewhere(counts: pd.DataFrame, seed: int, target: int) -> tuple[pd.DataFrame, str]:
    """Return the counts that may be looked at for choosing, and in words where they are from.

    Targets 2k and 2k + 1 are twins.
    """
    of_others = counts[counts["seed"] != seed]
    if len(of_others):
        return of_others, "other seeds"
    of_others = counts[counts["target"] // 2 != target // 2]
    return of_others, "other targets" if len(of_others) else "nothing: the first attack"


def _choice(tried: pd.DataFrame, elsewhere: pd.DataFrame) -> pd.Series:
    """Return the row whose attack and number of guesses should prove most, by counts elsewhere."""
    key = [*ATTACKER, *DESIGN]
    means = elsewhere.groupby(key, sort=False)["n_correct"].mean().rename("mean_correct")
    known = tried.merge(means.reset_index(), on=key)
    if known.empty:
        return tried.iloc[0]
    columns = (
        known[name].to_numpy(dtype=float) for name in ("n_canaries", "n_guesses", "mean_correct")
    )
    return known.iloc[int(expected_mu(*columns).argmax())]
