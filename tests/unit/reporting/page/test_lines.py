"""The verdicts as lines, from planted verdicts."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.reporting.claims import INCONCLUSIVE, REFUTED, SUPPORTED, combine, side
from mia_pruning.reporting.page.answer import OURS
from mia_pruning.reporting.page.lines import SCALES, WIDTH, at, board, scale

CLAIM = {"id": "C1", "statement": "Pruning lowers it.", "defences": ["pruned"], "number": "13.6 %"}
CONTROL = {**CLAIM, "id": "O", "number": OURS}
HEADLINE = {"attack": "net", "attacker": "adaptive"}
STRONGEST = ("strongest", "any")


def made(*rows, claims=(CLAIM,)):
    return board({"claims": claims}, pd.DataFrame(rows), HEADLINE)


def only_line(*rows):
    ((_, (group,)),) = made(*rows).experiments
    (line,) = group.lines
    return line


def test_a_line_has_the_corrected_verdict_of_the_strongest_attack_with_its_interval(verdict):
    line = only_line(
        verdict("net", "adaptive", -0.09, SUPPORTED, SUPPORTED, headline=True),
        verdict(*STRONGEST, -0.015, SUPPORTED, INCONCLUSIVE),
    )
    assert (line.verdict, line.by) == (INCONCLUSIVE, "the strongest attack")
    (measured,) = line.measured
    assert (measured.value, measured.interval, measured.of) == ("-1.5", "-3.5 to +0.5", "")
    assert measured.bar.low < measured.bar.value < WIDTH / 2 < measured.bar.high


def test_a_claim_on_another_measure_has_the_verdict_of_its_strongest_attack_too(verdict):
    rows = [
        verdict("net", "adaptive", -0.09, SUPPORTED, SUPPORTED, headline=True, metric="auc"),
        verdict(*STRONGEST, -0.015, SUPPORTED, INCONCLUSIVE, metric="auc"),
    ]
    assert only_line(*rows).by == "the strongest attack"


def test_without_a_strongest_attack_a_line_has_the_corrected_verdict_of_the_headline_attack(
    verdict,
):
    line = only_line(verdict("net", "adaptive", -0.015, SUPPORTED, INCONCLUSIVE, headline=True))
    assert (line.verdict, line.by) == (INCONCLUSIVE, "the net attack")


@given(st.floats(-0.3, 0.3), st.floats(0, 0.3), st.floats(-0.1, 0.1), st.booleans())
def test_the_bar_shows_what_the_verdict_says(low, width, threshold, below):
    """A claim is supported only where all of its bar lies in the shaded part, and refuted only where none does."""
    direction = "below" if below else "at_least"
    outcome = side(low, low + width, **{direction: threshold})
    ends = {
        "corrected_low": low,
        "corrected_high": low + width,
        "value": low,
        "low": low,
        "high": low + width,
    }
    about = {
        "claim": "C1",
        "experiment": "e",
        "defence": "pruned",
        "reason": "",
        "metric": "auc",
        "minus": "baseline",
    }
    judged = dict.fromkeys(("verdict", "corrected", "outcome", "corrected_outcome"), outcome)
    sizes = {"n_targets": 8.0, "n_examples": 10.0, "seeds": "0", "n_intervals": 2}
    rest = {
        "attack": "net",
        "attacker": "adaptive",
        "headline": True,
        "threshold": threshold,
        "direction": direction,
    }
    (measured,) = only_line({**about, **ends, **judged, **sizes, **rest}).measured
    bar, rounded = measured.bar, 0.2
    if outcome == SUPPORTED:
        assert bar.holds_from - rounded <= bar.low <= bar.high <= bar.holds_to + rounded
    if outcome == REFUTED:
        assert bar.high <= bar.holds_from + rounded or bar.low >= bar.holds_to - rounded
    if outcome == INCONCLUSIVE:
        assert (
            bar.low - rounded <= bar.holds_from <= bar.high + rounded
            or bar.low - rounded <= bar.holds_to <= bar.high + rounded
        )


def test_conditions_of_a_claim_are_told_apart_and_what_is_counted_has_no_bar(verdict):
    """Known answer: the claim is inconclusive for one of its three conditions is."""
    by_strongest = verdict(*STRONGEST, -0.05, SUPPORTED, INCONCLUSIVE)
    rival = {
        **by_strongest,
        "minus": "min_max",
        "value": -0.01,
        "corrected_low": -0.03,
        "corrected_high": 0.01,
    }
    counted = dict.fromkeys(("value", "low", "high", "corrected_low", "corrected_high"), 15.78)
    rate = {
        **by_strongest,
        **counted,
        "metric": "compression",
        "minus": "",
        "direction": "at_least",
        "threshold": 10.0,
    }
    rows = [
        {**by_strongest, "corrected_outcome": SUPPORTED},
        {**rival, "corrected_outcome": INCONCLUSIVE},
        {**rate, "corrected_outcome": SUPPORTED},
    ]
    line = only_line(
        *[verdict("net", "adaptive", -0.05, SUPPORTED, SUPPORTED, headline=True), *rows]
    )
    assert [(one.value, one.interval, one.of, one.bar is None) for one in line.measured] == [
        ("-5.0", "-7.0 to -3.0", "attack accuracy, to baseline", False),
        ("-1.0", "-3.0 to +1.0", "attack accuracy, to min max", False),
        ("15.78", "", "compression", True),
    ]
    assert line.verdict == combine([one.outcome for one in line.measured])


def test_what_was_not_tested_gives_its_reason_and_no_number(verdict):
    reason = "the study has no defence named pruned"
    line = only_line(
        verdict("", "", float("nan"), "not tested", "not tested", headline=True, reason=reason)
    )
    assert (line.verdict, line.reason, line.measured) == ("not tested", reason, [])


def test_the_papers_claims_are_apart_from_ours_in_each_experiment(verdict):
    rows = [
        verdict(
            "net",
            "adaptive",
            -0.05,
            SUPPORTED,
            said,
            headline=True,
            experiment=experiment,
            claim=claim,
        )
        for experiment, said in (("one", SUPPORTED), ("two", REFUTED))
        for claim in ("C1", "O")
    ]
    shown = made(*rows, claims=(CLAIM, CONTROL)).experiments
    assert [
        (name, [(group.heading, group.tally) for group in groups]) for name, groups in shown
    ] == [
        ("one", [("The paper's claims", "1 supported"), ("Our controls", "1 supported")]),
        ("two", [("The paper's claims", "1 refuted"), ("Our controls", "1 refuted")]),
    ]


def test_without_verdicts_there_are_no_lines(verdict):
    empty = pd.DataFrame([verdict("", "", 0.0, "", "")]).iloc[:0]
    assert board({"claims": [CLAIM]}, empty, HEADLINE).experiments == []


@given(st.lists(st.floats(0.01, 100), min_size=1, max_size=30))
def test_the_scale_is_round_and_holds_half_of_the_intervals(ends):
    length = scale(ends)
    assert length in SCALES
    assert sum(end <= length for end in ends) >= len(ends) / 2


@pytest.mark.parametrize("points", [-30.0, -3.0, 0.0, 7.5, 30.0])
def test_a_bar_stays_in_its_drawing_and_zero_in_its_middle(points):
    assert 0 <= at(points, 10) <= WIDTH
    assert (at(points, 10) < WIDTH / 2) == (points < 0)
