"""The first screen: the answer in brief and in full, pictures, and the verdicts as lines."""

from collections.abc import Mapping
from dataclasses import dataclass

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.page.answer import ATTACKED, conclusion, whose
from mia_pruning.reporting.page.brief import Brief, brief
from mia_pruning.reporting.page.lines import Board, board
from mia_pruning.reporting.page.picture import Picture, pictures
from mia_pruning.reporting.page.source import Source
from mia_pruning.reporting.style import in_order
from mia_pruning.reporting.tables import pick


@dataclass(frozen=True)
class FirstScreen:
    """The contents of the first screen.

    whole: the answer with every number; attack: the one that the pictures show; pictures: by
    experiment, one for each kind of screen.
    """

    brief: Brief
    whole: list[str]
    attack: str
    pictures: dict[str, list[Picture]]
    board: Board


def first_screen(source: Source) -> FirstScreen:
    judged, results, differences = (
        source.tables[name] for name in ("verdicts", "results", "differences")
    )
    said = (source.claims, judged, results, differences, source.headline)
    attack = _attack(source)
    foremost = source.claims["claims"][0]["defences"]
    drawn = {
        experiment: pictures(experiment, results, source.settings, attack, foremost)
        for experiment in in_order(results, "experiment")
    }
    shown = {experiment: found for experiment, found in drawn.items() if found}
    lines = board(source.claims, judged, source.headline)
    return FirstScreen(brief(*said), conclusion(*said), whose(attack), shown, lines)


def _attack(source: Source) -> Mapping[str, str]:
    """Return the strongest attack, or the headline attack of a study that has no strongest."""
    by_strongest = pick(source.tables["results"], metric=ATTACKED, **STRONGEST)
    return STRONGEST if len(by_strongest) else source.headline
