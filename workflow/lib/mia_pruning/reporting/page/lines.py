"""The verdicts, one line each: the claim, its verdict, and the deciding interval as a bar."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import pandas as pd

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.claims import INCONCLUSIVE, NOT_TESTED, REFUTED, SUPPORTED
from mia_pruning.reporting.page.answer import OURS, whose
from mia_pruning.reporting.page.verdicts import headline_verdicts
from mia_pruning.reporting.sentences import POINTS, number
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick

#: The drawing of a bar is this wide, in its own units.
WIDTH = 136.0
#: The scale of all bars has one of these lengths on either side of zero, in points.
SCALES = (1, 2, 3, 5, 10, 15, 20, 30, 50, 100)
#: The scale holds intervals up to this multiple of their median. Longer ones end at the frame with
#: an arrow.
LONGEST = 2.0
ORDER = (SUPPORTED, REFUTED, INCONCLUSIVE, NOT_TESTED)
PAPERS, CONTROLS = "The paper's claims", "Our controls"


@dataclass(frozen=True)
class Bar:
    """An interval of a difference, in units from the drawing's left.

    holds_from, holds_to: where the claim holds; value: None where it lies beyond the scale.
    """

    low: float
    high: float
    value: float | None
    holds_from: float
    holds_to: float
    cut_left: bool
    cut_right: bool


@dataclass(frozen=True)
class Measured:
    """One condition of a claim.

    of: what tells it from the claim's other conditions; bar: None where the condition is not on a
    difference in points.
    """

    value: str
    interval: str
    of: str
    outcome: str
    bar: Bar | None


@dataclass(frozen=True)
class Line:
    """A claim in one experiment.

    verdict: the corrected one by `by`; more: what else the page says of it.
    """

    claim: Mapping[str, Any]
    experiment: str
    verdict: str
    by: str
    measured: list[Measured]
    reason: str
    more: Mapping[str, Any]


@dataclass(frozen=True)
class Group:
    heading: str
    lines: list[Line]

    @property
    def tally(self) -> str:
        """Return in words how many lines have which verdict."""
        return tally([line.verdict for line in self.lines])


@dataclass(frozen=True)
class Board:
    """The lines of each experiment in groups. scale: points from zero to either end of a bar."""

    scale: float
    experiments: list[tuple[str, list[Group]]]


def board(claims: Mapping[str, Any], verdicts: pd.DataFrame, headline: Mapping[str, str]) -> Board:
    """Return every claim's verdict by the strongest attack, all corrected.

    Where there is none by the strongest attack, the verdict is by the headline attack.
    """
    views = headline_verdicts(claims, verdicts, headline)
    chosen = [
        (view, entry, _deciding(verdicts, view, entry))
        for view in views
        for entry in view["judged"]
    ]
    length = scale([_longest(row) for _, _, rows in chosen for row in rows if _has_bar(row)])
    lines = [_line(view, entry, rows, length) for view, entry, rows in chosen]
    return Board(
        length,
        [(name, _groups(name, lines)) for name in dict.fromkeys(line.experiment for line in lines)],
    )


def scale(ends: Sequence[float]) -> float:
    """Return how many points a bar has on either side of zero.

    Most intervals are then long enough to see.

    >>> scale([3.0, 5.5, 4.0, 60.0]), scale([]), scale([0.4])
    (10, 1, 1)
    """
    if not ends:
        return SCALES[0]
    wanted = min(max(ends), LONGEST * median(ends))
    return next((length for length in SCALES if length >= wanted), SCALES[-1])


def tally(verdicts: Sequence[str]) -> str:
    """Count verdicts of each kind, in words.

    >>> tally(["refuted", "supported", "refuted"])
    '1 supported, 2 refuted'
    """
    return ", ".join(
        f"{verdicts.count(verdict)} {verdict}" for verdict in ORDER if verdict in verdicts
    )


def _deciding(
    verdicts: pd.DataFrame, view: Mapping[str, Any], entry: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the rows of the verdict that a line shows, one a condition."""
    about = {"claim": view["id"], "experiment": entry["experiment"], "defence": entry["defence"]}
    rows = pick(verdicts, **about)
    found = pick(rows, **STRONGEST)
    return (found if len(found) else pick(rows, headline=[True])).to_dict("records")


def _groups(experiment: str, lines: Sequence[Line]) -> list[Group]:
    own = [line for line in lines if line.experiment == experiment]
    parts = {PAPERS: [], CONTROLS: []}
    for line in own:
        parts[CONTROLS if line.claim["number"] == OURS else PAPERS].append(line)
    return [Group(heading, part) for heading, part in parts.items() if part]


def _line(
    view: Mapping[str, Any], entry: Mapping[str, Any], rows: list[dict[str, Any]], length: float
) -> Line:
    first = rows[0]
    shown = [] if first["verdict"] == NOT_TESTED else [_measured(row, rows, length) for row in rows]
    by = whose(first) if first["attack"] else ""
    reason = first["reason"] if first["verdict"] == NOT_TESTED else ""
    return Line(view, entry["experiment"], first["corrected"], by, shown, reason, entry)


def _measured(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], length: float) -> Measured:
    value = number(row["value"], row["metric"], signed=bool(row["minus"])).removesuffix(" points")
    bar = _bar(row, length) if _has_bar(row) else None
    return Measured(
        value, _ends(row), ", ".join(_telling(row, rows)), row["corrected_outcome"], bar
    )


def _ends(row: Mapping[str, Any]) -> str:
    if _has_bar(row):
        return f"{100 * row['corrected_low']:+.1f} to {100 * row['corrected_high']:+.1f}"
    ends = [
        number(row[f"corrected_{end}"], row["metric"], signed=bool(row["minus"]))
        for end in ("low", "high")
    ]
    return " to ".join(ends) if ends[0] != ends[1] else ""


def _telling(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what tells a condition from the claim's others, or that it is no difference."""
    if len({other["metric"] for other in rows}) > 1 or not row["minus"]:
        yield readable(row["metric"])
    if len({other["minus"] for other in rows if other["metric"] == row["metric"]}) > 1:
        yield f"to {readable(row['minus'])}"


def _has_bar(row: Mapping[str, Any]) -> bool:
    return bool(row["minus"]) and row["metric"] in POINTS and pd.notna(row["corrected_low"])


def _longest(row: Mapping[str, Any]) -> float:
    return 100 * max(abs(row[name]) for name in ("corrected_low", "corrected_high", "threshold"))


def _bar(row: Mapping[str, Any], length: float) -> Bar:
    """Return the bar of a condition; length: points from zero to either end of the scale.

    >>> row = {"direction": "below", "threshold": 0.0, "value": -0.05, "corrected_low": -0.2, "corrected_high": 0.0}
    >>> bar = _bar(row, 10)
    >>> bar.low, bar.value, bar.high, bar.holds_to, bar.cut_left, bar.cut_right
    (0.0, 34.0, 68.0, 68.0, True, False)
    """
    low, high, value, threshold = (
        100 * row[name] for name in ("corrected_low", "corrected_high", "value", "threshold")
    )
    below = row["direction"] == "below"
    return Bar(
        at(low, length),
        at(high, length),
        at(value, length) if abs(value) <= length else None,
        0.0 if below else at(threshold, length),
        at(threshold, length) if below else WIDTH,
        low < -length,
        high > length,
    )


def at(points: float, length: float) -> float:
    """Return where a difference is in a bar's drawing, at its end if it is beyond.

    >>> at(0.0, 10), at(-99.0, 10), at(10.0, 10)
    (68.0, 0.0, 136.0)
    """
    within = min(max(points, -length), length)
    return round(WIDTH * (0.5 + within / (2 * length)), 1)
