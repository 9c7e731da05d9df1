"""The picture of the first screen: on the documented studies and on planted points."""

from itertools import combinations
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.page.picture import CHANCE, RADIUS, families, pictures
from mia_pruning.reporting.page.placing import MOST_NAMED, Box, Named, meet, place
from mia_pruning.study.completion import complete
from mia_pruning.study.reading import read_yaml

ROOT = Path(__file__).parents[4]
FILES = {"fashion": "config.yaml", "frontier_fashion": "studies/frontier-fashion.yaml"}
SCREENS = (0, 1)


def documented(study):
    """A documented study's pictures."""
    configured = complete(read_yaml(ROOT / FILES[study]))
    results = pd.read_csv(
        ROOT / "docs" / "findings" / study / "results.csv", keep_default_na=False, na_values=[""]
    )
    results[["attack", "attacker"]] = results[["attack", "attacker"]].astype(object).fillna("")
    whole = pd.concat([results, rates(configured, results["experiment"][0])], ignore_index=True)
    whole["frontier"] = whole["defence"].isin(configured["frontier"])
    return pictures(results["experiment"][0], whole, configured, STRONGEST)


def rates(configured, experiment):
    """The compression that each defence was asked for, which the documents do not keep."""
    constraints = {
        name: configured["constraints"][pair["constraint"]]
        for name, pair in configured["defences"].items()
    }
    values = {name: constraint.get("compression", 1.0) for name, constraint in constraints.items()}
    table = pd.DataFrame({"defence": [*values], "value": [*values.values()]})
    named = {"experiment": experiment, "attack": "", "attacker": "", "metric": "compression"}
    return table.assign(low=table["value"], high=table["value"], **named)


def dots(picture):
    return [
        Box(one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS)
        for one in picture.points
    ]


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("study", FILES)
def test_every_defence_is_named_in_its_place_and_no_name_is_over_another_or_over_a_point(
    study, screen
):
    picture = documented(study)[screen]
    boxes = [point.box for point in picture.points]
    assert picture.unnamed == []
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert not any(box.overlaps(dot) for box in boxes for dot in dots(picture))
    assert all(box.within(Box(0, 0, picture.width, picture.height)) for box in boxes)


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("study", FILES)
def test_no_line_to_a_name_crosses_another(study, screen):
    leaders = [point.leader for point in documented(study)[screen].points if point.leader]
    assert not any(meet(one, other) for one, other in combinations(leaders, 2))


def test_the_default_study_joins_what_was_pruned_at_several_rates_and_what_was_trained_for_longer():
    wide, _ = documented("fashion")
    places = {point.name: (point.x, point.y) for point in wide.points}
    joined = [
        (look, [next(name for name, at in places.items() if at == corner) for corner in line])
        for look, line in wide.joins
    ]
    assert joined == [
        ("dense", ["stopped 5", "stopped 10", "baseline", "baseline continued"]),
        ("pruned", ["mia pruning 5x", "mia pruning", "mia pruning 40x"]),
    ]


SETTINGS = {
    "defences": {
        **{f"p{rate}": {"objective": "erm", "constraint": f"admm_{rate}"} for rate in (5, 40)},
        "other": {"objective": "erm", "constraint": "at_once"},
        "game": {"objective": "min_max", "constraint": "admm_5"},
    },
    "constraints": {
        **{f"admm_{rate}": {"use": "cardinality", "solver": "admm"} for rate in (5, 40)},
        "at_once": {"use": "cardinality", "solver": "magnitude"},
    },
}


def test_a_family_differs_in_the_rate_alone():
    rates = {"p40": 40.0, "p5": 5.0, "other": 5.0, "game": 5.0}
    shown = pd.DataFrame({"defence": [*rates], "compression": [*rates.values()]}).assign(
        frontier=False, test_accuracy=0.8
    )
    assert families(shown, SETTINGS) == [("pruned", ["p5", "p40"])]


def planted(*points):
    """defence, test accuracy, attack accuracy"""
    rows = [
        {
            "experiment": "e",
            "defence": name,
            "metric": metric,
            "value": value,
            "low": value,
            "high": value,
            **attack,
        }
        for name, accuracy, attacked in points
        for metric, value, attack in [
            ("test_accuracy", accuracy, {"attack": "", "attacker": ""}),
            ("attack_accuracy", attacked, STRONGEST),
            ("compression", 1.0, {"attack": "", "attacker": ""}),
        ]
    ]
    columns = ["experiment", "defence", "metric", "value", "low", "high", "attack", "attacker"]
    return pd.DataFrame(rows, columns=columns).assign(frontier=False)


def test_one_defence_alone_is_drawn_within_the_frame_with_the_line_of_chance():
    for picture in pictures("e", planted(("baseline", 0.8, 0.7)), SETTINGS, STRONGEST):
        (point,) = picture.points
        assert point.name == "baseline"
        assert picture.frame.left < point.x < picture.frame.right
        assert picture.frame.top < point.y < picture.chance < picture.frame.bottom
        assert len(picture.up) > 1


def test_without_an_attack_there_is_no_picture():
    results = planted(("baseline", 0.8, CHANCE))
    assert pictures("e", results[results["attack"] == ""], SETTINGS, STRONGEST) == []


def test_of_hundreds_of_defences_the_claims_are_named_and_the_others_counted():
    crowd = [
        (f"copy_{number}", 0.8 + 0.0002 * number, 0.6 + 0.0001 * number) for number in range(300)
    ]
    results = planted(*crowd, ("p5", 0.81, 0.6), ("baseline", 0.8, 0.65))
    for picture in pictures("e", results, SETTINGS, STRONGEST, first=["p5"]):
        named = [point.name for point in picture.points if point.box]
        assert named[:2] == ["baseline", "p5"]
        assert len(named) <= MOST_NAMED
        assert len(picture.unnamed) + len(named) == 302


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0, 500), st.floats(0, 400), st.floats(10, 120)), min_size=1, max_size=14
    )
)
def test_whatever_the_points_names_that_are_placed_overlap_nothing(points):
    frame = Box(0, 0, 500, 400)
    asked = [Named(x, y, width, 14) for x, y, width in points]
    boxes = [box for box in place(asked, frame, RADIUS) if box]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert all(box.within(frame) for box in boxes)
    around = [Box(one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS) for one in asked]
    assert not any(box.overlaps(dot) for box in boxes for dot in around)
