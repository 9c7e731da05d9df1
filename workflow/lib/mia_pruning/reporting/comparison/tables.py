"""The tables of the page that compares study A with study B."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from mia_pruning.metrics.intervals import Interval
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.comparison.outcomes import (
    DIFFERS,
    ONLY_A,
    ONLY_B,
    OUTCOMES,
    SAME_BITS,
    WITHIN,
    Compared,
)
from mia_pruning.reporting.comparison.verdicts import VERDICT, Judged, reached
from mia_pruning.reporting.page.table import Cell, Column, Table, named, table_of
from mia_pruning.reporting.page.verdicts import verdict_cell
from mia_pruning.reporting.sentences import POINTS, judged_by, with_interval
from mia_pruning.reporting.style import readable
from mia_pruning.types import BASELINE

#: Each outcome has this style of the page.
LOOKS = {
    SAME_BITS: "supported",
    WITHIN: "",
    DIFFERS: "refuted",
    ONLY_A: "unpublished",
    ONLY_B: "unpublished",
}
A, B = Column("A"), Column("B")
MEASURE = Column("measure", "attack accuracy of the attack that is named, or the test accuracy")
DIFFERENCE = Column("B less A", "with the interval of a difference of two independent studies")
OUTCOME = Column(
    "outcome", "same within intervals: the difference's interval holds zero; differs: it does not"
)


def measures(headline: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return what the first tables are about: label -> the names of the number."""
    return {
        f"{readable(headline['attack'])}, {readable(headline['attacker'])}": {
            "metric": "attack_accuracy",
            **headline,
        },
        "strongest attack": {"metric": "attack_accuracy", **STRONGEST},
        "test accuracy": {"metric": "test_accuracy"},
    }


def every_defence(numbers: list[Compared], headline: Mapping[str, str]) -> Table:
    """Tabulate what A and B measured of each defence of both studies.

    Shown are the headline attack, the strongest and the test accuracy.
    """
    caption = "Every defence of both studies"
    return _by_measure("defences", caption, numbers, headline, signed=False)


def effects(differences: list[Compared], headline: Mapping[str, str]) -> Table:
    """Tabulate the same minus the baseline of each study.

    There both sides share their targets' examples.
    """
    against = [each for each in differences if each.names["minus"] == BASELINE]
    return _by_measure(
        "effects",
        "What each defence changes against the baseline of its study",
        against,
        headline,
        signed=True,
    )


def _by_measure(
    name: str, caption: str, compared: list[Compared], headline: Mapping[str, str], *, signed: bool
) -> Table:
    in_both = [each for each in compared if each.difference is not None]
    shown = {
        (label, each.names["experiment"], each.names["defence"]): each
        for label, wanted in measures(headline).items()
        for each in in_both
        if {"attack": "", "attacker": "", **wanted}.items() <= each.names.items()
    }
    places = dict.fromkeys((each.names["experiment"], each.names["defence"]) for each in in_both)
    rows = [
        [named(place[0]), _defence(place[1]), label, *_sides(shown[label, *place], signed=signed)]
        for place in places
        for label in measures(headline)
        if (label, *place) in shown
    ]
    columns = [Column("experiment"), Column("defence"), MEASURE, OUTCOME, A, B, DIFFERENCE]
    return table_of(name, caption, columns, rows, n_heads=3)


def every_number(numbers: list[Compared]) -> Table:
    """Tabulate all numbers of either study, those that differ first."""
    rows = [
        [
            named(each.names["experiment"]),
            _defence(each.names["defence"]),
            *(named(each.names[name]) for name in ("attack", "attacker", "metric")),
            *_sides(each, signed=False),
            _errors(each),
        ]
        for each in sorted(numbers, key=lambda each: OUTCOMES.index(each.outcome))
    ]
    labels = ("experiment", "defence", "attack", "attacker", "measure")
    errors = Column("standard errors", "the difference in units of its standard error")
    return table_of(
        "numbers",
        "Every number",
        [*map(Column, labels), OUTCOME, A, B, DIFFERENCE, errors],
        rows,
        n_heads=5,
    )


def _defence(name: str) -> Cell:
    return Cell(readable(name), look="defence", hint=name)


def _sides(each: Compared, *, signed: bool) -> list[Cell]:
    """Return the cells of the outcome, A, B, and B minus A."""
    metric = each.names["metric"]
    outcome = Cell(each.outcome, OUTCOMES.index(each.outcome), look=LOOKS[each.outcome])
    return [
        outcome,
        *(_interval(side, metric, signed=signed) for side in (each.a, each.b)),
        _less(each),
    ]


def _interval(interval: Interval | None, metric: str, *, signed: bool) -> Cell:
    if interval is None:
        return Cell("", "")
    row = pd.Series(
        {"metric": metric, "value": interval.estimate, "low": interval.low, "high": interval.high}
    )
    return Cell(
        with_interval(row, signed=signed),
        "" if math.isnan(interval.estimate) else interval.estimate,
    )


def _less(each: Compared) -> Cell:
    if each.difference is None or math.isnan(each.difference.estimate):
        return Cell("", "")
    if each.outcome == SAME_BITS:
        return Cell("0", 0.0)
    return Cell(difference(each.difference, each.names["metric"]), each.difference.estimate)


def difference(interval: Interval, metric: str) -> str:
    """Return the text of a difference that is not zero, which is never rounded to it.

    >>> difference(Interval(0.012, -0.001, 0.025, 0.0066, 99.0), "auc"), difference(Interval(-2.0, *[math.nan] * 4), "n_nonzero")
    ('+1.2 points (-0.1 to +2.5)', '-2')
    """
    scale, unit = (100, " points") if metric in POINTS else (1, "")
    value, low, high = (
        _signed(scale * bound, metric) for bound in (interval.estimate, interval.low, interval.high)
    )
    return f"{value}{unit}" + (f" ({low} to {high})" if math.isfinite(interval.low) else "")


def _signed(value: float, metric: str) -> str:
    if value.is_integer():
        return f"{value:+,.0f}"
    return f"{value:+.1f}" if metric in POINTS and abs(value) >= 0.05 else f"{value:+.2g}"


def _errors(each: Compared) -> Cell:
    if not each.has_interval or each.outcome == SAME_BITS:
        return Cell("", "")
    ratio = each.difference.estimate / each.difference.standard_error
    return Cell(f"{ratio:+.1f}", abs(ratio))


def changed_verdicts(verdicts: list[Judged]) -> Table:
    """Tabulate the verdicts that are not the same in both, as they stand or corrected.

    Headline verdicts come first.
    """
    changed = sorted(
        (each for each in verdicts if each.changed("verdict", "corrected")),
        key=lambda each: not each.headline,
    )
    rows = [
        [
            each.names["claim"],
            *(named(each.names[name]) for name in VERDICT[1:]),
            "yes" if each.headline else "",
            *(
                verdict_cell(side[column].iloc[0])
                for side in (each.a, each.b)
                for column in ("verdict", "corrected")
            ),
            *(
                "; ".join(judged_by(row) for _, row in side.iterrows() if row["metric"])
                for side in (each.a, each.b)
            ),
        ]
        for each in changed
    ]
    labels = (
        "headline",
        "A's verdict",
        "A's, corrected",
        "B's verdict",
        "B's, corrected",
        "A measured",
        "B measured",
    )
    return table_of("changed", "Verdicts that changed", map(Column, (*VERDICT, *labels)), rows)


def judged_once(a: pd.DataFrame, b: pd.DataFrame) -> Table:
    """Tabulate the verdicts that only one study reached, and why the other did not.

    They are counted by claim, experiment and defence.
    """
    rows = []
    for study, mine, theirs in (("A", a, b), ("B", b, a)):
        others = reached(theirs)
        left = pd.DataFrame([key for key in reached(mine) if key not in others], columns=VERDICT)
        for key, part in left.groupby(VERDICT[:3], sort=False):
            attackers = "; ".join(
                f"{readable(row.attack)}, {readable(row.attacker)}"
                for row in part.itertuples()
                if row.attack
            )
            rows.append(
                [key[0], *map(named, key[1:]), study, len(part), attackers, _why_not(theirs, key)]
            )
    labels = (*VERDICT[:3], "judged in", "verdicts", "attackers", "in the other study")
    return table_of("judged-once", "Claims judged in only one study", map(Column, labels), rows)


def _why_not(verdicts: pd.DataFrame, key: tuple[str, ...]) -> str:
    """Return what the verdicts of the other study say of this claim, experiment and defence."""
    rows = verdicts[(verdicts[VERDICT[:3]] == list(key)).all(axis=1)]
    if rows.empty:
        return "not in it"
    return "; ".join(dict.fromkeys(rows["reason"])) or "not under this attacker"


def side_by_side(
    name: str, caption: str, a: Mapping[str, Any], b: Mapping[str, Any], *, what: str
) -> Table:
    """Tabulate one row a name of either, with A's value and B's; what differs comes first.

    what: the head of the first column.
    """
    rows = []
    for key in sorted(dict.fromkeys([*a, *b]), key=lambda key: a.get(key) == b.get(key)):
        same = key in a and key in b and a[key] == b[key]
        values = [str(side[key]) if key in side else "none" for side in (a, b)]
        rows.append(
            [key, *values, Cell("same" if same else "differs", look="" if same else LOOKS[DIFFERS])]
        )
    return table_of(name, caption, [Column(what), A, B, Column("compared")], rows)


def changed_settings(a: Mapping[str, Any], b: Mapping[str, Any]) -> Table:
    """Tabulate the keys of the configuration whose values are not the same."""
    keys = [
        key for key in dict.fromkeys([*a, *b]) if key not in a or key not in b or a[key] != b[key]
    ]
    only = [{key: side[key] for key in keys if key in side} for side in (a, b)]
    return side_by_side("settings", "Where their configurations differ", *only, what="key")
