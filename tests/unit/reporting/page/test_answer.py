"""The answer from planted verdicts, to the letter."""

import pandas as pd
import pytest

from mia_pruning.reporting.page.answer import OURS, conclusion, tally

CLAIM = {
    "id": "C1",
    "defences": ["pruned", "more_pruned"],
    "number": "up to 13.6 %",
    "conditions": [{"metric": "attack_accuracy", "minus": "baseline", "below": 0.0}],
}
MATCHED = {
    **CLAIM,
    "id": "M",
    "number": OURS,
    "conditions": [{**CLAIM["conditions"][0], "minus": "matched_accuracy"}],
}
HEADLINE = {"attack": "net", "attacker": "adaptive"}
STRONGEST = {"attack": "strongest", "attacker": "any"}
NO_ATTACK = {"attack": "", "attacker": ""}
RESULTS = pd.DataFrame(
    [
        {"experiment": "lenet5", "defence": defence, "metric": metric, "value": value, **attack}
        for defence, metric, value, attack in [
            ("baseline", "compression", 1.0, NO_ATTACK),
            ("pruned", "compression", 15.78, NO_ATTACK),
            ("baseline", "attack_accuracy", 0.6, HEADLINE),
            ("baseline", "attack_accuracy", 0.64, STRONGEST),
            ("pruned", "attack_accuracy", 0.5, HEADLINE),
        ]
    ]
)
#: as paired: not the difference of any means
DIFFERENCES = pd.DataFrame(
    [
        {
            "experiment": "lenet5",
            "defence": "pruned",
            "minus": "baseline",
            "metric": "test_accuracy",
            "value": -0.002,
        }
    ]
).assign(low=-0.004, high=0.0)


def answer(*rows, claims=(CLAIM,)):
    return conclusion({"claims": claims}, pd.DataFrame(rows), RESULTS, DIFFERENCES, HEADLINE)


@pytest.mark.parametrize(
    ("value", "said", "words"),
    [
        (-0.03, "supported", "lowered"),
        (0.03, "refuted", "raised"),
        (0.02, "refuted", "did not lower"),
        (-0.01, "inconclusive", "was not shown to lower"),
    ],
)
def test_the_answer_says_what_the_corrected_verdicts_say(verdict, value, said, words):
    effect, fared = answer(
        verdict("net", "adaptive", value, "supported", said, headline=True),
        verdict("strongest", "any", 0.011, "refuted", "inconclusive"),
    )
    points = f"{100 * value:+.1f} points, {100 * (value - 0.02):+.1f} to {100 * (value + 0.02):+.1f}, from 0.600"
    assert effect == (
        f"For lenet5, pruned at 15.78x compression {words} the accuracy of the net attack ({points}) and was not shown to lower "
        "the accuracy of the strongest attack (+1.1 points, -0.9 to +3.1, from 0.640), "
        "with -0.2 points (-0.4 to +0.0) of test accuracy, against the baseline."
    )
    assert fared == (
        f"The paper's claims, each on its first defence and corrected, by the headline attack: {said} C1. "
        "Those by the strongest attack: inconclusive C1."
    )


def test_the_answer_says_what_other_rates_did(verdict):
    said = answer(
        verdict("net", "adaptive", -0.03, "supported", "supported", headline=True),
        verdict("net", "adaptive", 0.034, "refuted", "refuted", defence="more_pruned"),
        verdict("strongest", "any", -0.004, "inconclusive", "inconclusive", defence="more_pruned"),
    )
    assert said[1] == (
        "For lenet5, more pruned raised the accuracy of the net attack (+3.4 points, +1.4 to +5.4, from 0.600) and was not shown "
        "to lower the accuracy of the strongest attack (-0.4 points, -2.4 to +1.6, from 0.640), against the baseline."
    )


def test_the_answer_says_whether_pruning_beats_stopping_at_its_accuracy(verdict):
    of_matched = {"claim": "M", "minus": "matched_accuracy"}
    said = answer(
        verdict("net", "adaptive", -0.03, "supported", "supported", headline=True),
        verdict("net", "adaptive", -0.9, "supported", "supported", **of_matched),
        verdict("strongest", "any", -0.03, "supported", "supported", **of_matched),
        verdict(
            "strongest",
            "any",
            0.0,
            "inconclusive",
            "inconclusive",
            **of_matched,
            defence="more_pruned",
        ),
        verdict("net", "adaptive", 0.04, "refuted", "refuted", **of_matched, experiment="vgg16"),
        claims=(CLAIM, MATCHED),
    )
    assert said[1:3] == [
        "For lenet5, beside dense networks of the same test accuracy and by the strongest attack: "
        "pruned lowered it (-3.0 points, -5.0 to -1.0); more pruned was not shown to lower it (+0.0 points, -2.0 to +2.0).",
        "For vgg16, beside dense networks of the same test accuracy and by the net attack: "
        "pruned raised it (+4.0 points, +2.0 to +6.0).",
    ]


def test_only_an_effect_on_attacks_is_told_of_a_claim_with_other_conditions(verdict):
    by_net = verdict("net", "adaptive", -0.03, "supported", "supported", headline=True)
    counted = {**by_net, "metric": "compression", "minus": "", "value": 15.78}
    (effect, _) = answer(counted, by_net)
    assert (
        "lowered the accuracy of the net attack (-3.0 points, -5.0 to -1.0, from 0.600), with"
        in effect
    )


def test_where_nothing_was_tested_the_answer_gives_the_reason(verdict):
    reason = "the study has no defence named pruned"
    none = {"verdict": "not tested", "corrected": "not tested"}
    rows = [
        verdict("", "", float("nan"), *none.values(), defence=name, reason=reason)
        for name in CLAIM["defences"]
    ]
    first, second = answer({**rows[0], "headline": True}, rows[1])
    assert (
        first == "For lenet5 nothing can be said of pruned: the study has no defence named pruned."
    )
    assert second == "The paper's claims that were not tested: C1."


def test_the_papers_claims_are_named_once_each_and_ours_not(verdict):
    claims = {
        "claims": [
            {**CLAIM, "id": "A"},
            {**CLAIM, "id": "B"},
            {**CLAIM, "id": "ours", "number": OURS},
        ]
    }
    by_net = [
        verdict("net", "adaptive", 0.0, "supported", "refuted", headline=True, claim=claim)
        for claim in ("A", "A", "ours")
    ]
    of_accuracy = verdict("", "", 0.0, "supported", "inconclusive", headline=True, claim="B")
    by_strongest = verdict("strongest", "any", 0.0, "supported", "supported", claim="A")
    assert tally(claims, pd.DataFrame([*by_net, of_accuracy, by_strongest])) == [
        "The paper's claims, each on its first defence and corrected, by the headline attack: refuted A. "
        "Those by the strongest attack: supported A. Those that involve no attack: inconclusive B."
    ]


def test_claims_of_several_experiments_say_which(verdict):
    rows = [
        verdict("net", "adaptive", 0.0, "refuted", "refuted", headline=True, experiment=name)
        for name in ("one", "two")
    ]
    assert tally({"claims": [CLAIM]}, pd.DataFrame(rows)) == [
        "The paper's claims, each on its first defence and corrected, by the headline attack: refuted C1 for one, C1 for two."
    ]
