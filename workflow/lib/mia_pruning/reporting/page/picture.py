"""The picture of the first screen: each defence as a named point, families joined by lines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import dist
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from mia_pruning.reporting.page.placing import Box, Line, Named, place, text_width
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick, wide
from mia_pruning.types import BASELINE

CHANCE = 0.5
#: Text has this size, its lines are this many times as high, and points have this radius.
TEXT, LINE, RADIUS = 12.0, 1.2, 4.5
#: This much is left free on each side of the picture, on the right as a share of its width.
LEFT, TOP, RIGHT, BOTTOM = 46.0, 14.0, 0.16, 42.0
#: The picture has these widths and heights on a wide and on a narrow screen.
SIZES = {"wide": (580.0, 430.0), "narrow": (350.0, 390.0)}
#: An axis has this share of what it shows free at either end, and at least this range.
MARGIN, LEAST = 0.08, 0.02
#: A name farther than this from its point is joined to it by a line.
APART = 10.0


@dataclass(frozen=True)
class Point:
    """A defence in the picture.

    look: `pruned` or `dense`; about: its numbers; box: that of its name, None where there is no
    room for it.
    """

    x: float
    y: float
    name: str
    look: str
    about: str
    whiskers: list[Line]
    box: Box | None
    leader: Line | None


@dataclass(frozen=True)
class Tick:
    at: float
    label: str


@dataclass(frozen=True)
class Picture:
    """The trade-off of an experiment as drawn for one kind of screen.

    look: the screen it is for; joins: lines through families, each with the family's look.
    """

    look: str
    width: float
    height: float
    frame: Box
    across: list[Tick]
    up: list[Tick]
    chance: float
    points: list[Point]
    joins: list[tuple[str, list[tuple[float, float]]]]

    @property
    def looks(self) -> set[str]:
        """Return the looks of its points, and `joined pruned` or `joined dense` for its lines."""
        return {
            *(point.look for point in self.points),
            *(f"joined {look}" for look, _ in self.joins),
        }

    @property
    def unnamed(self) -> list[str]:
        return [point.name for point in self.points if point.box is None]


def pictures(
    experiment: str,
    results: pd.DataFrame,
    settings: Mapping[str, Any],
    attack: Mapping[str, str],
    first: Sequence[str] = (),
) -> list[Picture]:
    """Return the trade-off of an experiment for each screen; none without results of the attack.

    first: defences whose names are placed before others, after the baseline.
    """
    shown = trade_off(results, experiment, attack)
    if shown.empty:
        return []
    rank = {name: number for number, name in enumerate(dict.fromkeys((BASELINE, *first)))}
    ordered = shown.iloc[
        np.argsort([rank.get(name, len(rank)) for name in shown["defence"]], kind="stable")
    ]
    joined = families(ordered, settings)
    return [_picture(look, *size, ordered, joined) for look, size in SIZES.items()]


def trade_off(results: pd.DataFrame, experiment: str, attack: Mapping[str, str]) -> pd.DataFrame:
    """Return one row a defence: test accuracy, attack accuracy, compression and `frontier`.

    `frontier` tells whether it is one of the dense networks that defences are matched with.
    """
    chosen = {
        "test_accuracy": {"metric": "test_accuracy"},
        "attack_accuracy": {"metric": "attack_accuracy", **attack},
        "compression": {"metric": "compression"},
    }
    table = wide(results, experiment, chosen).dropna(subset=["test_accuracy", "attack_accuracy"])
    dense = set(pick(results, experiment=experiment, frontier=[True])["defence"])
    return table.assign(
        frontier=table["defence"].isin(dense), compression=table["compression"].fillna(1.0)
    )


def families(shown: pd.DataFrame, settings: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """Group defences that differ in one respect, in its order.

    These are networks pruned at several rates, and dense ones of several accuracies. Each family
    is the look of its line and its defences.
    """
    dense = shown[shown["frontier"]].sort_values("test_accuracy")["defence"].tolist()
    by_kind: dict[tuple[str, ...], list[str]] = {}
    for row in shown[shown["compression"] > 1].sort_values("compression").to_dict("records"):
        by_kind.setdefault(_kind(row["defence"], settings), []).append(row["defence"])
    found = [("dense", dense), *(("pruned", names) for names in by_kind.values())]
    return [(look, names) for look, names in found if len(names) > 1]


def _kind(defence: str, settings: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a pruned defence shares with its family.

    That is what is minimised, the set of networks and the way into it.
    """
    pair = settings["defences"][defence]
    constraint = settings["constraints"][pair["constraint"]]
    return pair["objective"], constraint["use"], constraint.get("solver", "")


def _picture(
    look: str, width: float, height: float, shown: pd.DataFrame, joined: list[tuple[str, list[str]]]
) -> Picture:
    frame = Box(LEFT, TOP, width * (1 - RIGHT), height - BOTTOM)
    across = _ends(shown["test_accuracy_low"], shown["test_accuracy_high"])
    up = _ends([*shown["attack_accuracy_low"], CHANCE], [*shown["attack_accuracy_high"], CHANCE])

    def at(x: float, y: float) -> tuple[float, float]:
        right = (x - across[0]) / (across[1] - across[0])
        above = (y - up[0]) / (up[1] - up[0])
        return _rounded(
            frame.left + right * (frame.right - frame.left),
            frame.bottom - above * (frame.bottom - frame.top),
        )

    rows = shown.to_dict("records")
    centres = {row["defence"]: at(row["test_accuracy"], row["attack_accuracy"]) for row in rows}
    joins = [(family, [centres[name] for name in names]) for family, names in joined]
    whiskers = {row["defence"]: _whiskers(row, at) for row in rows}
    behind = [*(line for _, joint in joins for line in pairwise(joint))]
    behind += [line for lines in whiskers.values() for line in lines]
    behind.append((at(across[0], CHANCE), at(across[1], CHANCE)))
    asked = [Named(*centres[row["defence"]], *_size(row)) for row in rows]
    boxes = place(asked, Box(LEFT, 0.0, width, frame.bottom), RADIUS, behind)
    points = [
        _point(row, centres[row["defence"]], whiskers[row["defence"]], box)
        for row, box in zip(rows, boxes, strict=True)
    ]
    ticks_across = [Tick(at(value, up[0])[0], f"{100 * value:g}") for value in _ticks(*across)]
    ticks_up = [Tick(at(across[0], value)[1], f"{100 * value:g}") for value in _ticks(*up)]
    return Picture(
        look, width, height, frame, ticks_across, ticks_up, at(across[0], CHANCE)[1], points, joins
    )


def _size(row: Mapping[str, Any]) -> tuple[float, float]:
    """Return width and height of a defence's name; those of pruned networks are bold."""
    weight = "bold" if row["compression"] > 1 else "normal"
    return text_width(readable(row["defence"]), TEXT, weight), LINE * TEXT


def _rounded(*values: float) -> tuple[float, ...]:
    return tuple(round(value, 1) for value in values)


def _ends(low: Sequence[float], high: Sequence[float]) -> tuple[float, float]:
    """Return the ends of an axis, which hold all of the intervals with a margin."""
    least, most = min(low), max(high)
    room = max(MARGIN * (most - least), LEAST / 2)
    return least - room, most + room


def _ticks(low: float, high: float) -> list[float]:
    """Return round percentages between the ends, as fractions.

    >>> _ticks(0.49, 0.66)
    [0.5, 0.55, 0.6, 0.65]
    """
    found = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(100 * low, 100 * high)
    return [round(tick / 100, 6) for tick in found.tolist() if 100 * low <= tick <= 100 * high]


def _whiskers(row: Mapping[str, Any], at: Any) -> list[Line]:
    x, y = row["test_accuracy"], row["attack_accuracy"]
    return [
        (at(row["test_accuracy_low"], y), at(row["test_accuracy_high"], y)),
        (at(x, row["attack_accuracy_low"]), at(x, row["attack_accuracy_high"])),
    ]


def _point(
    row: Mapping[str, Any], centre: tuple[float, float], whiskers: list[Line], box: Box | None
) -> Point:
    look = "pruned" if row["compression"] > 1 else "dense"
    return Point(
        *centre, readable(row["defence"]), look, _about(row), whiskers, box, _leader(centre, box)
    )


def _leader(centre: tuple[float, float], box: Box | None) -> Line | None:
    """Return the line from a point to a name that is not right beside it, else None."""
    end = box.nearest(*centre) if box else centre
    return (centre, _rounded(*end)) if dist(centre, end) > APART else None


def _about(row: Mapping[str, Any]) -> str:
    return "; ".join(
        [readable(row["defence"]), *_measured(row), f"compression {row['compression']:.4g}"]
    )


def _measured(row: Mapping[str, Any]) -> Iterator[str]:
    for name in ("test_accuracy", "attack_accuracy"):
        value, low, high = (100 * row[key] for key in (name, f"{name}_low", f"{name}_high"))
        yield f"{readable(name)} {value:.1f} % ({low:.1f} to {high:.1f})"
