"""The answer and the verdict table from planted verdicts."""

import pandas as pd
import pytest

from mia_pruning.reporting.page.verdicts import OURS, by_attacker, conclusion, headline_verdicts, tally

CLAIM = {"id": "C1", "statement": "Pruning lowers it.", "defences": ["pruned", "more_pruned"], "number": "up to 13.6 %"}
CLAIMS = {"claims": [CLAIM]}


def verdict(attack, attacker, value, said, corrected, *, headline=False, defence="pruned", **more):
    about = {"claim": "C1", "experiment": "lenet5", "defence": defence, "reason": "", "metric": "attack_accuracy"}
    interval = {"value": value, "low": value - 0.01, "high": value + 0.01, "direction": "below", "threshold": 0.0}
    interval |= {"n_intervals": 61, "corrected_low": value - 0.02, "corrected_high": value + 0.02}
    named = {"attack": attack, "attacker": attacker, "verdict": said, "corrected": corrected, "headline": headline}
    sizes = {"n_targets": 8.0, "n_examples": 2800.0, "seeds": "0"}
    return {**about, "minus": "baseline", **interval, **sizes, **named, **more}


def utility(row):
    """The same verdict's condition on test accuracy, which is the same interval under every attack."""
    return {**row, "metric": "test_accuracy", "direction": "at_least", "value": -0.004, "low": -0.006, "high": -0.002}


def results(**values):
    rows = [
        {"experiment": "lenet5", "defence": defence, "metric": metric, "value": value, "n_targets": 8.0, "n_examples": 2800.0}
        for defence, of_defence in values.items()
        for metric, value in of_defence.items()
    ]
    return pd.DataFrame(rows).assign(seeds="0")


RESULTS = results(
    baseline={"train_accuracy": 0.9, "test_accuracy": 0.85, "compression": 1.0},
    pruned={"train_accuracy": 0.88, "test_accuracy": 0.846, "compression": 15.78},
)


#: as paired: not the difference of the means above
DIFFERENCES = pd.DataFrame(
    [{"experiment": "lenet5", "defence": "pruned", "minus": "baseline", "metric": "test_accuracy", "value": -0.002}]
).assign(low=-0.004, high=0.0)


@pytest.mark.parametrize(
    ("said", "words"),
    [("supported", "lowered"), ("refuted", "did not lower"), ("inconclusive", "was not shown to lower")],
)
def test_the_answer_says_what_the_verdicts_say(said, words):
    rows = [
        verdict("net", "adaptive", -0.03, said, said, headline=True),
        verdict("strongest", "any", 0.011, "refuted", "inconclusive"),
    ]
    effect, by_headline, by_strongest = conclusion(CLAIMS, pd.DataFrame(rows), RESULTS, DIFFERENCES)
    assert effect == (
        f"On lenet5, pruned at 15.78x compression {words} the accuracy of the net attack (-3.0 points, -4.0 to -2.0) and was not "
        "shown to lower that of the strongest attack (+1.1 points, -0.9 to +3.1, corrected for 61 comparisons), "
        "with -0.2 points (-0.4 to +0.0) of test accuracy, against the baseline."
    )
    assert by_headline == f"Of the paper's claims, by the headline attack: 1 {said}."
    assert by_strongest == "By the strongest attack, corrected for all comparisons of a claim: 1 inconclusive."


def test_the_answer_says_what_other_rates_did():
    rows = [
        verdict("net", "adaptive", -0.03, "supported", "supported", headline=True),
        verdict("net", "adaptive", 0.014, "refuted", "refuted", defence="more_pruned"),
        verdict("strongest", "any", -0.03, "supported", "supported"),
        verdict("strongest", "any", -0.004, "inconclusive", "inconclusive", defence="more_pruned"),
    ]
    assert conclusion(CLAIMS, pd.DataFrame(rows), RESULTS, DIFFERENCES)[1] == (
        "On lenet5, more pruned was not shown to lower the accuracy of the strongest attack "
        "(-0.4 points, -2.4 to +1.6, corrected for 61 comparisons)."
    )


def test_where_nothing_was_tested_the_answer_gives_the_reason():
    row = verdict("", "", float("nan"), "not tested", "not tested", headline=True, reason="the study has no defence named pruned")
    first, second = conclusion(CLAIMS, pd.DataFrame([row]), RESULTS, DIFFERENCES)
    assert first == "On lenet5 nothing can be said of pruned: the study has no defence named pruned."
    assert second == "Of the paper's claims, by the headline attack: 1 not tested."


def test_the_papers_claims_are_counted_once_each_and_ours_not():
    claims = {"claims": [{**CLAIM, "id": "A"}, {**CLAIM, "id": "B"}, {**CLAIM, "id": "ours", "number": OURS}]}
    by_net = [verdict("net", "adaptive", 0.0, "refuted", "refuted", headline=True, claim=claim) for claim in ("A", "A", "ours")]
    of_accuracy = verdict("", "", 0.0, "supported", "inconclusive", headline=True, claim="B")
    by_strongest = verdict("strongest", "any", 0.0, "supported", "supported", claim="A")
    assert tally(claims, pd.DataFrame([*by_net, of_accuracy, by_strongest])) == [
        "Of the paper's claims, by the headline attack: 1 supported, 1 refuted.",
        "By the strongest attack, corrected for all comparisons of a claim: 1 supported, 1 inconclusive.",
    ]


def test_the_table_gives_the_sizes_and_what_the_strongest_attack_alone_measured():
    by_net = verdict("net", "adaptive", -0.03, "supported", "supported", headline=True)
    by_strongest = verdict("strongest", "any", -0.02, "supported", "inconclusive")
    rows = [by_net, utility(by_net), by_strongest, utility(by_strongest)]
    ((entry,),) = (claim["judged"] for claim in headline_verdicts(CLAIMS, pd.DataFrame(rows)))
    assert entry["sizes"] == "8 targets, 2,800 examples, seed 0"
    assert [condition["measured"] for condition in entry["conditions"]] == [
        "attack accuracy minus that of baseline: -3.0 points (-4.0 to -2.0)",
        "test accuracy minus that of baseline: -0.4 points (-0.6 to -0.2)",
    ]
    assert [condition["measured"] for condition in entry["strongest"]["conditions"]] == [
        "attack accuracy minus that of baseline: -2.0 points (-3.0 to -1.0)"
    ]
    assert entry["strongest"]["conditions"][0]["corrected"] == "-4.0 to +0.0, corrected for 61 comparisons"
    assert (entry["verdict"], entry["strongest"]["verdict"]) == ("supported", "inconclusive")


def test_a_claim_of_no_attack_has_its_verdict_under_every_attacker():
    row = verdict("", "", 0.0, "supported", "inconclusive", headline=True)
    (cells,) = by_attacker(CLAIMS, pd.DataFrame([row]), [("strongest", "any"), ("net", "adaptive")]).rows
    assert [cell.text for cell in cells] == ["C1", "lenet5", "supported (inconclusive)", "supported (inconclusive)"]
