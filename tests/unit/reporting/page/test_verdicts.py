"""The verdict tables from planted verdicts."""

import pandas as pd
import pytest

from mia_pruning.reporting.page.verdicts import by_attacker, headline_verdicts

CLAIM = {
    "id": "C1",
    "statement": "Pruning lowers it.",
    "defences": ["pruned", "more_pruned", "unseen"],
    "number": "13.6 %",
}
CLAIMS = {"claims": [CLAIM]}
HEADLINE = {"attack": "net", "attacker": "adaptive"}


def utility(row):
    """The same verdict's condition on test accuracy, which is the same interval under every attack."""
    own = {"value": -0.004, "low": -0.006, "high": -0.002, "outcome": "refuted"}
    return {**row, "metric": "test_accuracy", "direction": "at_least", **own}


def judged(*rows):
    ((entry,),) = (
        claim["judged"] for claim in headline_verdicts(CLAIMS, pd.DataFrame(rows), HEADLINE)
    )
    return entry


def test_the_table_gives_the_sizes_and_what_the_strongest_attack_alone_measured(verdict):
    by_net = verdict("net", "adaptive", -0.03, "supported", "supported", headline=True)
    by_strongest = verdict("strongest", "any", -0.02, "supported", "inconclusive")
    entry = judged(by_net, utility(by_net), by_strongest, utility(by_strongest))
    assert entry["sizes"] == "8 targets, 2,800 examples, seed 0"
    assert [(condition["measured"], condition["outcome"]) for condition in entry["conditions"]] == [
        ("attack accuracy minus that of baseline: -3.0 points (-4.0 to -2.0)", "supported"),
        ("test accuracy minus that of baseline: -0.4 points (-0.6 to -0.2)", "refuted"),
    ]
    (own,) = entry["strongest"]["conditions"]
    assert own["measured"] == "attack accuracy minus that of baseline: -2.0 points (-3.0 to -1.0)"
    assert (own["corrected"], own["outcome"]) == (
        "-4.0 to +0.0, corrected for 61 comparisons",
        "inconclusive",
    )
    assert (entry["verdict"], entry["strongest"]["verdict"]) == ("supported", "inconclusive")


def test_a_number_that_the_strongest_attack_shares_with_the_headline_attack_is_given_for_both(
    verdict,
):
    by_net = verdict("net", "adaptive", -0.03, "supported", "supported", headline=True)
    entry = judged(by_net, verdict("strongest", "any", -0.03, "supported", "supported"))
    (own,), (strongest) = entry["conditions"], entry["strongest"]["conditions"]
    assert [own["measured"]] == [condition["measured"] for condition in strongest]


@pytest.mark.parametrize(
    ("metric", "minus", "corrected"),
    [
        ("tpr_at_1_percent_fpr", "baseline", "-0.040 to 0"),
        ("auc", "baseline", "-4.0 to +0.0"),
        ("auc", "", "-0.040 to 0.000"),
    ],
)
def test_a_corrected_interval_is_in_the_unit_of_its_number(verdict, metric, minus, corrected):
    by_net = verdict("net", "adaptive", -0.03, "supported", "supported", headline=True)
    by_strongest = verdict(
        "strongest", "any", -0.02, "supported", "inconclusive", metric=metric, minus=minus
    )
    (own,) = judged(by_net, by_strongest)["strongest"]["conditions"]
    assert own["corrected"] == f"{corrected}, corrected for 61 comparisons"


def test_a_verdict_rests_on_its_own_seeds(verdict):
    assert judged(
        verdict(
            "net", "adaptive", 0.0, "refuted", "refuted", headline=True, seeds="1", n_targets=4.0
        )
    )["sizes"] == ("4 targets, 2,800 examples, seed 1")


def test_other_defences_are_judged_beside_it_where_they_were_tested(verdict):
    entry = judged(
        verdict("net", "adaptive", -0.03, "supported", "supported", headline=True),
        verdict("net", "adaptive", 0.03, "refuted", "inconclusive", defence="more_pruned"),
        verdict("loss", "adaptive", 0.03, "supported", "supported", defence="more_pruned"),
        verdict("strongest", "any", 0.03, "refuted", "inconclusive", defence="more_pruned"),
        verdict("", "", float("nan"), "not tested", "not tested", defence="unseen"),
    )
    assert entry["others"] == [
        {"defence": "more_pruned", "verdict": "refuted", "strongest": "inconclusive"}
    ]


def test_other_defences_are_told_of_where_the_first_was_not_tested(verdict):
    entry = judged(
        verdict(
            "", "", float("nan"), "not tested", "not tested", headline=True, reason="it failed"
        ),
        verdict("net", "adaptive", 0.03, "refuted", "inconclusive", defence="more_pruned"),
        verdict("strongest", "any", 0.03, "refuted", "supported", defence="unseen"),
    )
    assert entry["others"] == [
        {"defence": "more_pruned", "verdict": "refuted", "strongest": ""},
        {"defence": "unseen", "verdict": "", "strongest": "supported"},
    ]


def test_a_claim_of_no_attack_has_its_verdict_under_every_attacker(verdict):
    row = verdict("", "", 0.0, "supported", "inconclusive", headline=True)
    (cells,) = by_attacker(
        CLAIMS, pd.DataFrame([row]), [("strongest", "any"), ("net", "adaptive")]
    ).rows
    assert [cell.text for cell in cells] == [
        "lenet5",
        "C1",
        "supported (inconclusive)",
        "supported (inconclusive)",
    ]
