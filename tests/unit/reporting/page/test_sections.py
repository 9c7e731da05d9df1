"""The page's sections as data, and the figures that name them."""

from types import SimpleNamespace

import pytest

from mia_pruning.registry import catalogue
from mia_pruning.reporting.page import figures
from mia_pruning.reporting.page.parts import noted
from mia_pruning.reporting.page.table import Column, table_of
from mia_pruning.traits import FigureTraits

DRAWN = '{"finding": "It is so.", "caption": "", "interactive": []}'


@pytest.fixture
def drawn(tmp_path, monkeypatch):
    """A function that pretends that these figures were drawn, by their traits, and gives them by section."""

    def draw(**traits):
        known = {
            name: SimpleNamespace(traits=FigureTraits(**stated)) for name, stated in traits.items()
        }
        monkeypatch.setattr(figures, "catalogue", lambda kind: known)
        for name in traits:
            for suffix, text in (("svg", "<svg/>"), ("csv", "a\n1\n"), ("json", DRAWN)):
                (tmp_path / f"{name}.{suffix}").write_text(text, encoding="utf-8")
        return figures.figures_by_section(
            {name: str(tmp_path / f"{name}.svg") for name in traits}, "8 targets"
        )

    return draw


def test_a_figure_is_in_the_section_that_it_names_in_its_order_under_its_heading(drawn):
    found = drawn(
        late={"section": "theory", "order": 1, "heading": "T2"},
        b_plain={},
        a_plain={},
        early={"section": "theory", "heading": "T1", "columns": "what it holds"},
    )
    assert {section: [one.name for one in of_section] for section, of_section in found.items()} == {
        "privacy": ["a_plain", "b_plain"],
        "theory": ["early", "late"],
    }
    first, second = found["theory"]
    assert (first.heading, first.columns, first.finding, second.heading) == (
        "T1",
        "what it holds",
        "It is so.",
        "T2",
    )
    assert found["privacy"][0].heading == "a plain"


def test_built_in_figures_have_a_heading_and_a_place_of_their_own():
    places: dict[tuple[str, int], str] = {}
    for name, plug_in in catalogue("figure").items():
        traits = plug_in.traits
        assert traits.heading, name
        earlier = places.setdefault((traits.section, traits.order), name)
        assert earlier == name, f"{name} and {earlier} have the same section and order"


def test_a_note_is_read_after_what_the_table_says_itself_and_is_escaped_unless_it_is_markup():
    (table,) = noted(table_of("t", "T", [Column("a")], [], note="a < b."), "More.")
    assert table.note == "a &lt; b. More."
    assert noted(None, "More.") == []
