"""The answer in brief from planted verdicts, to the letter."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.reporting.page.brief import brief, effect

CLAIM = {
    "id": "C1",
    "defences": ["pruned", "more_pruned"],
    "conditions": [{"metric": "attack_accuracy", "minus": "baseline", "below": 0.0}],
}
MATCHED = {
    **CLAIM,
    "id": "M",
    "conditions": [{**CLAIM["conditions"][0], "minus": "matched_accuracy"}],
}
HEADLINE = {"attack": "net", "attacker": "adaptive"}
STRONGEST = ("strongest", "any")
RATES = {"pruned": 15.78, "more_pruned": 40.0}


def results(experiment="lenet5", rates=None):
    """The compression of each defence, and what the strongest attack reaches on the baseline."""
    about = {"experiment": experiment, "attack": "", "attacker": "", "metric": "compression"}
    rows = [{**about, "defence": name, "value": rate} for name, rate in (rates or RATES).items()]
    attacked = {
        "experiment": experiment,
        "defence": "baseline",
        "attack": "strongest",
        "attacker": "any",
    }
    measured = {"metric": "attack_accuracy", "value": 0.64, "low": 0.63, "high": 0.65}
    return pd.DataFrame([*rows, {**attacked, **measured}])


def differences(**changes):
    """defence -> the change of its test accuracy."""
    about = {"experiment": "lenet5", "minus": "baseline", "metric": "test_accuracy"}
    rows = [{**about, "defence": name, "value": value} for name, value in changes.items()]
    table = pd.DataFrame(rows, columns=[*about, "defence", "value"])
    return table.assign(low=table["value"] - 0.002, high=table["value"] + 0.002)


def said(*rows, claims=(CLAIM,), measured=None, changes=None):
    changed = differences() if changes is None else changes
    return brief(
        {"claims": claims},
        pd.DataFrame(rows),
        results() if measured is None else measured,
        changed,
        HEADLINE,
    )


@given(st.floats(-1, 1), st.floats(0, 1))
def test_nothing_is_said_to_have_happened_where_the_interval_holds_zero(low, width):
    found = effect(low, low + width)
    assert (found == "was not shown to lower") == (low <= 0 <= low + width)
    assert (found == "lowered") == (low + width < 0)


def test_the_corrected_interval_of_the_strongest_attack_decides(verdict):
    """Uncorrected, and by the headline attack, the first network lowers it; the wider interval of the strongest holds zero."""
    answer = said(
        verdict("net", "adaptive", -0.09, "supported", "supported", headline=True),
        verdict(*STRONGEST, -0.015, "supported", "inconclusive"),
        verdict(*STRONGEST, -0.05, "supported", "supported", defence="more_pruned"),
    )
    assert answer.sentences == [
        "Pruning was not shown to lower the accuracy of the strongest attack where it kept one weight in 15.8, "
        "and lowered it where it kept one weight in 40."
    ]


def test_without_a_strongest_attack_the_headline_attack_is_named(verdict):
    rows = [
        verdict("net", "adaptive", value, "", "", defence=name)
        for name, value in zip(RATES, (0.05, 0.06), strict=True)
    ]
    (sentence,) = said(*rows).sentences
    assert sentence == (
        "Pruning raised the accuracy of the net attack where it kept one weight in 15.8 or in 40."
    )


def test_the_second_sentence_sets_it_beside_networks_of_the_same_accuracy(verdict):
    matched = {"claim": "M", "minus": "matched_accuracy"}
    rows = [verdict(*STRONGEST, -0.05, "", "", defence=name) for name in RATES]
    beside = [verdict(*STRONGEST, -0.01, "", "", **matched, defence=name) for name in RATES]
    _, second = said(*rows, *beside, claims=(CLAIM, MATCHED)).sentences
    assert second == (
        "Against networks of the same test accuracy that were not pruned, it was not shown to lower it at any of these rates."
    )
    beside[1] |= {"corrected_low": -0.04, "corrected_high": -0.03}
    _, second = said(*rows, *beside, claims=(CLAIM, MATCHED)).sentences
    assert second == (
        "Against networks of the same test accuracy that were not pruned, it was not shown to lower it where it kept one "
        "weight in 15.8, and lowered it where it kept one weight in 40."
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"pruned": -0.001}, "Test accuracy changed by -0.1 points (-0.3 to +0.1)"),
        (
            {"pruned": -0.001, "more_pruned": 0.003},
            "Test accuracy changed by between -0.1 points and +0.3 points",
        ),
    ],
)
def test_where_nothing_is_matched_the_second_sentence_is_the_cost(verdict, changes, sentence):
    rows = [verdict(*STRONGEST, -0.05, "", "", defence=name) for name in RATES]
    assert said(*rows, changes=differences(**changes)).sentences[1] == (
        f"{sentence}; it was not compared with unpruned networks of the same test accuracy."
    )


def test_several_experiments_are_counted(verdict):
    values = {"one": (-0.05, 0.0), "two": (-0.05, 0.05)}
    rows = [
        verdict(*STRONGEST, value, "", "", experiment=experiment, defence=name)
        for experiment, of_experiment in values.items()
        for name, value in zip(RATES, of_experiment, strict=True)
    ]
    answer = said(*rows, measured=pd.concat([results("one"), results("two")]))
    assert answer.sentences == [
        "Pruning lowered the accuracy of the strongest attack in 2 of 4 cases, was not shown to lower it in 1 of 4 cases, "
        "and raised it in 1 of 4 cases."
    ]
    assert (
        answer.numbers[0].about
        == "of guesses by the strongest attack are right without pruning for one; 50 % is chance"
    )


def test_networks_of_the_same_rate_are_told_apart_by_their_names(verdict):
    rows = [
        verdict(*STRONGEST, value, "", "", defence=name)
        for name, value in zip(RATES, (-0.05, 0.0), strict=True)
    ]
    (sentence,) = said(*rows, measured=results(rates=dict.fromkeys(RATES, 5.0))).sentences
    assert sentence == (
        "Pruning lowered the accuracy of the strongest attack under pruned, and was not shown to lower it under more pruned."
    )


def test_the_three_numbers_are_of_the_claims_first_network(verdict):
    rows = [verdict(*STRONGEST, -0.03, "", "", defence=name) for name in RATES]
    numbers = said(*rows, changes=differences(pruned=-0.004, more_pruned=-0.1)).numbers
    assert [(one.value, one.interval) for one in numbers] == [
        ("64.0 %", "63.0 to 65.0"),
        ("-3.0 points", "-5.0 to -1.0, corrected"),
        ("-0.4 points", "-0.6 to -0.2"),
    ]


def test_where_nothing_was_tested_the_answer_is_that_it_cannot_be_told(verdict):
    reason = "the study has no defence named pruned"
    row = verdict(
        "",
        "",
        float("nan"),
        "not tested",
        "not tested",
        headline=True,
        reason=reason,
        metric="",
        minus="",
    )
    answer = said(row)
    assert answer.sentences == [
        f"This study cannot say whether pruning lowers the accuracy of attacks: {reason}."
    ]
    assert answer.numbers == []


def test_without_verdicts_the_answer_says_so(verdict):
    columns = pd.DataFrame([verdict(*STRONGEST, 0.0, "", "")]).iloc[:0]
    answer = brief({"claims": [CLAIM]}, columns, results(), differences(), HEADLINE)
    assert answer.sentences == [
        "This study cannot say whether pruning lowers the accuracy of attacks: it has no verdicts."
    ]
