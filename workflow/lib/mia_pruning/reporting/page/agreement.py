"""The table of which members attacks find, and whether these are the same ones."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from mia_pruning.reporting.page.table import Cell, Column, Table, named, table_of
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import ATTACKER, WHERE, pick

OTHER = ["other_attack", "other_attacker"]
KEYS = [*WHERE, *ATTACKER]


def agreement_table(agreement: pd.DataFrame) -> Table | None:
    """Tabulate one row an experiment, defence, attack and attacker, the mean over seeds.

    None where nothing was measured.
    """
    if agreement.empty:
        return None
    shares = agreement.astype(dict.fromkeys(OTHER, object)).fillna(dict.fromkeys(OTHER, ""))
    over_seeds = shares.groupby([*KEYS, *OTHER, "metric"], sort=False)
    means = over_seeds[["value", "by_chance"]].mean().reset_index()
    mirrored = dict(zip([*ATTACKER, *OTHER], [*OTHER, *ATTACKER], strict=True))
    pairs = pick(means, metric="jaccard").dropna(subset="value")
    both_ways = pd.concat([pairs, pairs.rename(columns=mirrored)])
    by_attack = dict(iter(both_ways.groupby(KEYS)))
    rows = [
        [*_heads(key), *_shares(part), *_alike(by_attack.get(key))]
        for key, part in means[means["metric"] != "jaccard"].groupby(KEYS, sort=False)
    ]
    labels = ("experiment", "defence", "attack", "attacker")
    columns = [
        *map(Column, labels),
        Column("found on at least one model", "share of examples; in brackets by chance"),
        Column("found on every model", "share of examples; in brackets by chance"),
        Column("most alike", "the attack with the highest Jaccard index; in brackets by chance"),
        Column("least alike", "the attack with the lowest Jaccard index; in brackets by chance"),
    ]
    caption = "Which members attacks find at 1 % FPR"
    return table_of("agreement", caption, columns, rows, n_heads=4)


def _heads(key: tuple[str, ...]) -> Iterator[Cell]:
    experiment, defence, *attacker = key
    yield named(experiment)
    yield Cell(readable(defence), look="defence", hint=defence)
    yield from map(named, attacker)


def _shares(part: pd.DataFrame) -> Iterator[Cell]:
    """Yield coverage and stability."""
    for metric in ("coverage", "stability"):
        row = pick(part, metric=metric).iloc[0]
        yield Cell(_with_chance(row), float(row["value"]))


def _alike(pairs: pd.DataFrame | None) -> Iterator[Cell]:
    """Yield the most and the least alike attack; empty where no other one finds members."""
    for position in (-1, 0):
        if pairs is None:
            yield Cell("", "")
            continue
        row = pairs.sort_values("value", kind="stable").iloc[position]
        name = f"{readable(row['other_attack'])}, {readable(row['other_attacker'])}"
        yield Cell(f"{name} {_with_chance(row)}", float(row["value"]))


def _with_chance(row: Any) -> str:
    return f"{row['value']:.3f} ({row['by_chance']:.3f})"
