import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.metrics.intervals import quantile
from mia_pruning.reporting.claims import combine, headline_of, judge, side
from mia_pruning.study.schema import SCHEMA

HEADLINE = {"attack": "net", "attacker": "adaptive"}
ATTACKERS = [("net", "adaptive"), ("net", "dense_shadows"), ("loss", "adaptive")]
LOWER = {"metric": "attack_accuracy", "minus": "baseline", "below": 0.0}
ACCURATE = {"metric": "test_accuracy", "minus": "baseline", "at_least": -0.01}
COMPRESSED = {"metric": "compression", "at_least": 10}
SIZES = {"n_targets": 8, "n_examples": 2800, "seeds": "0 1"}
PRESENT = ("baseline", "pruned", "pruned_5x")
CLAIMS = yaml.safe_load((SCHEMA.parents[1] / "report" / "claims.yaml").read_text(encoding="utf-8"))


def claim(*conditions, defences=("pruned",), name="C"):
    return {"id": name, "defences": list(defences), "conditions": list(conditions)}


def row(defence, metric, low, high, attack=np.nan, attacker=np.nan, **more):
    """A row as pandas reads it from CSV: empty cells are NaN."""
    value = (low + high) / 2
    named = {
        "experiment": "e",
        "defence": defence,
        "metric": metric,
        "attack": attack,
        "attacker": attacker,
    }
    return {
        **named,
        "value": value,
        "low": low,
        "high": high,
        **error_of(low, high),
        **SIZES,
        **more,
    }


def error_of(low, high):
    """The standard error that makes this interval, with many degrees of freedom."""
    return {"standard_error": (high - low) / 2 / quantile(np.inf), "degrees_of_freedom": np.inf}


def difference(
    metric, low, high, attack=np.nan, attacker=np.nan, defence="pruned", minus="baseline", **more
):
    return row(defence, metric, low, high, attack, attacker, minus=minus, **more)


def verdicts(claims, differences=(), results=(), missing=None):
    """judge on planted rows; every present defence has some result."""
    there = [row(defence, "auc", 0.5, 0.6, "net", "adaptive") for defence in PRESENT]
    return judge(
        {"headline": HEADLINE, "claims": claims},
        pd.DataFrame([*there, *results]),
        pd.DataFrame([difference("auc", 0, 0, "net", "adaptive"), *differences]),
        missing or {},
    )


def verdict(claims, differences=(), results=()):
    (only,) = set(verdicts(claims, differences, results)["verdict"])
    return only


@pytest.mark.parametrize(
    ("low", "high", "below", "at_least"),
    [
        (-0.05, -0.01, "supported", "refuted"),
        (-0.05, 0.01, "inconclusive", "inconclusive"),
        (0.01, 0.05, "refuted", "supported"),
        (
            0.0,
            0.0,
            "refuted",
            "supported",
        ),  # no difference at all is not "lower", and is "not lower"
        (0.0, 0.01, "refuted", "supported"),
        (-0.01, 0.0, "inconclusive", "inconclusive"),
    ],
)
def test_the_side_of_an_interval(low, high, below, at_least):
    assert side(low, high, below=0.0) == below
    assert side(low, high, at_least=0.0) == at_least


@given(low=st.floats(-1, 1), width=st.floats(0, 1), threshold=st.floats(-1, 1))
def test_below_and_at_least_are_opposite(low, width, threshold):
    opposite = {"supported": "refuted", "refuted": "supported", "inconclusive": "inconclusive"}
    assert (
        side(low, low + width, below=threshold)
        == opposite[side(low, low + width, at_least=threshold)]
    )


@pytest.mark.parametrize(("low", "high"), [(np.nan, 0.1), (0.1, np.nan), (-np.inf, 0.1)])
def test_an_interval_that_is_not_finite_has_no_side(low, high):
    with pytest.raises(ValueError, match="finite interval"):
        side(low, high, below=0.0)


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(-0.05, -0.01, "supported"), (-0.05, 0.01, "inconclusive"), (0.01, 0.05, "refuted")],
)
def test_planted_differences_flip_the_verdict(low, high, wanted):
    planted = [difference("attack_accuracy", low, high, "net", "adaptive")]
    table = verdicts([claim(LOWER)], planted)
    assert table["verdict"].tolist() == [wanted]
    found = table.iloc[0]
    assert (found["value"], found["low"], found["high"]) == ((low + high) / 2, low, high)
    assert (found["metric"], found["minus"], found["direction"], found["threshold"]) == (
        "attack_accuracy",
        "baseline",
        "below",
        0,
    )
    assert (found["claim"], found["experiment"], found["defence"]) == ("C", "e", "pruned")


@pytest.mark.parametrize(
    ("lower", "accurate", "wanted"),
    [
        ((-0.05, -0.01), (0.0, 0.01), "supported"),
        ((-0.05, -0.01), (-0.02, 0.01), "inconclusive"),
        ((-0.05, 0.01), (0.0, 0.01), "inconclusive"),
        ((-0.05, -0.01), (-0.03, -0.02), "refuted"),
        ((0.01, 0.02), (0.0, 0.01), "refuted"),
        ((-0.01, 0.02), (-0.03, -0.02), "refuted"),
    ],
)
def test_conditions_combine_over_the_attackers_utility_is_shared(lower, accurate, wanted):
    planted = [
        difference("attack_accuracy", *lower, "net", "adaptive"),
        difference("test_accuracy", *accurate),
    ]
    table = verdicts([claim(LOWER, ACCURATE)], planted)
    assert table["verdict"].tolist() == [wanted] * 2
    assert table["metric"].tolist() == ["attack_accuracy", "test_accuracy"]
    assert table["attack"].tolist() == ["net", "net"]


@given(
    sides=st.lists(
        st.sampled_from(["supported", "refuted", "inconclusive", "not tested"]),
        min_size=1,
        max_size=4,
    )
)
def test_a_claim_is_supported_by_all_and_refuted_by_one(sides):
    if "refuted" in sides:
        assert combine(sides) == "refuted"
    elif "not tested" in sides:
        assert combine(sides) == "not tested"
    else:
        assert combine(sides) == ("inconclusive" if "inconclusive" in sides else "supported")


@pytest.mark.parametrize(
    ("claimed", "absent"),
    [
        (claim(LOWER, defences=["min_max"]), "min_max"),
        (claim({**LOWER, "minus": "dp_sgd"}), "dp_sgd"),
        (claim(ACCURATE, {**LOWER, "minus": "dp_sgd"}), "dp_sgd"),
    ],
)
def test_a_claim_on_an_absent_defence_is_not_tested_and_says_why(claimed, absent):
    planted = [difference("test_accuracy", 0.0, 0.1)]
    table = verdicts([claimed], planted)
    assert table["verdict"].tolist() == ["not tested"]
    assert absent in table["reason"][0]
    assert table["headline"].tolist() == [True]
    assert table[["value", "low", "high"]].isna().all(axis=None)


def test_a_verdict_says_what_its_own_numbers_rest_on():
    judged = verdicts(
        [claim(LOWER)],
        [difference("attack_accuracy", -0.05, -0.01, "net", "adaptive", n_targets=4, seeds="1")],
    )
    assert judged[["n_targets", "n_examples", "seeds"]].to_numpy().tolist() == [[4, 2800, "1"]]


def test_each_attacker_has_a_verdict_of_its_own():
    planted = [
        difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[0]),
        difference("attack_accuracy", -0.05, 0.01, *ATTACKERS[1]),
        difference("attack_accuracy", 0.01, 0.05, *ATTACKERS[2]),
    ]
    table = verdicts([claim(LOWER)], planted).set_index(["attack", "attacker"])
    assert [table.loc[key, "verdict"] for key in ATTACKERS] == [
        "supported",
        "inconclusive",
        "refuted",
    ]


def test_the_headline_is_the_first_defence_under_the_headline_attack():
    planted = [
        difference("attack_accuracy", -0.05, -0.01, *key, defence=defence)
        for key in ATTACKERS
        for defence in ("pruned", "pruned_5x")
    ]
    table = verdicts([claim(LOWER, defences=["pruned", "pruned_5x"])], planted)
    assert len(table) == 6
    marked = table[table["headline"]]
    assert marked[["defence", "attack", "attacker"]].to_numpy().tolist() == [
        ["pruned", "net", "adaptive"]
    ]


def test_a_claim_on_utility_alone_has_one_verdict_a_defence_and_the_first_is_the_headline():
    planted = [
        difference("test_accuracy", 0.0, 0.1, defence=defence)
        for defence in ("pruned", "pruned_5x")
    ]
    table = verdicts([claim(ACCURATE, defences=["pruned", "pruned_5x"])], planted)
    assert table["verdict"].tolist() == ["supported", "supported"]
    assert table["headline"].tolist() == [True, False]
    assert table["attack"].tolist() == ["", ""]


@pytest.mark.parametrize(
    ("value", "wanted"), [(9.99, "refuted"), (10.0, "supported"), (15.78, "supported")]
)
def test_a_counted_metric_is_judged_by_its_value(value, wanted):
    counted = {**row("pruned", "compression", value, value), "low": np.nan, "high": np.nan}
    table = verdicts([claim(COMPRESSED)], results=[counted])
    assert table["verdict"].tolist() == [wanted]
    assert table[["value", "low", "high"]].to_numpy().tolist() == [[value] * 3]


def test_a_counted_and_a_measured_condition_combine():
    counted = {**row("pruned", "compression", 16, 16), "low": np.nan, "high": np.nan}
    for low, wanted in ((-0.005, "supported"), (-0.02, "inconclusive")):
        assert (
            verdict(
                [claim(COMPRESSED, ACCURATE)], [difference("test_accuracy", low, 0.1)], [counted]
            )
            == wanted
        )


def test_an_attacker_missing_for_one_condition_leaves_its_claim_untested_and_the_others_judged():
    other = {**LOWER, "minus": "pruned_5x"}
    planted = [
        difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[0]),
        difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[0], minus="pruned_5x"),
        difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[1]),
    ]
    table = verdicts([claim(LOWER, other)], planted)
    of_first = table[table["attacker"] == "adaptive"]
    of_second = table[table["attacker"] == "dense_shadows"]
    assert of_first["verdict"].tolist() == ["supported"] * 2
    assert of_second["verdict"].tolist() == ["not tested"] * 2
    assert of_second["value"].notna().tolist() == [True, False]


def test_a_metric_that_the_study_lacks_is_not_tested_and_says_why():
    table = verdicts([claim({"metric": "no_such_metric", "below": 0.5})])
    assert table["verdict"].tolist() == ["not tested"]
    assert "no_such_metric" in table["reason"][0]


def test_experiments_are_judged_apart():
    differences = [
        difference("test_accuracy", 0.0, 0.1),
        {**difference("test_accuracy", -0.3, -0.2), "experiment": "f"},
    ]
    table = verdicts(
        [claim(ACCURATE)],
        differences,
        [{**row("pruned", "train_accuracy", 0.8, 0.9), "experiment": "f"}],
    )
    assert table.set_index("experiment")["verdict"].to_dict() == {"e": "supported", "f": "refuted"}


def test_a_condition_takes_the_rows_of_its_own_metric_defence_and_subtrahend_only():
    decoys = [
        difference("auc", 0.1, 0.2, *ATTACKERS[0]),
        difference("attack_accuracy", 0.1, 0.2, *ATTACKERS[0], defence="pruned_5x"),
        difference("attack_accuracy", 0.1, 0.2, *ATTACKERS[0], minus="pruned_5x"),
    ]
    results = [row("pruned", "attack_accuracy", 0.6, 0.7, *ATTACKERS[0])]
    planted = [difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[0])]
    assert verdict([claim(LOWER)], [*decoys, *planted, *decoys], results) == "supported"
    assert (
        verdict([claim({"metric": "attack_accuracy", "below": 0.55})], planted, results)
        == "refuted"
    )


LOWER_THAN, NOT_LOWER_THAN = -1, 1
#: what each claim says, read from its words: (metric, defence that it is compared with, on which side, of what)
SAYS = {
    "C1": [("attack_accuracy", "baseline", LOWER_THAN, 0.0)],
    "C1-size": [("attack_accuracy", "baseline", LOWER_THAN, -0.03)],
    "C1-budget": [("attack_accuracy", "baseline_continued", LOWER_THAN, 0.0)],
    "C1-accuracy": [("attack_accuracy", "matched_accuracy", LOWER_THAN, 0.0)],
    "C1-solver": [("attack_accuracy", "magnitude", LOWER_THAN, 0.0)],
    "C1-opposite": [("attack_accuracy", "baseline", NOT_LOWER_THAN, 0.0)],
    "C2": [("attack_accuracy", "min_max", LOWER_THAN, 0.0)],
    "C3": [("test_accuracy", "baseline", NOT_LOWER_THAN, -0.01)],
    "C4": [
        ("compression", "", NOT_LOWER_THAN, 10.0),
        ("test_accuracy", "baseline", NOT_LOWER_THAN, -0.01),
    ],
    "C5": [
        ("attack_accuracy", "dp_sgd", LOWER_THAN, 0.0),
        ("test_accuracy", "dp_sgd", NOT_LOWER_THAN, 0.0),
    ],
    "C6": [
        ("attack_accuracy", "mia_pruning", LOWER_THAN, 0.0),
        ("attack_accuracy", "min_max", LOWER_THAN, 0.0),
    ],
}


def verdict_on(claim, shifts):
    """The claim's headline verdict where each number lies so far on the claimed side of its threshold, give or take 0.01."""
    headline = tuple(CLAIMS["headline"].values())
    defence, planted = claim["defences"][0], {"results": [], "differences": []}
    for (metric, minus, direction, threshold), shift in zip(SAYS[claim["id"]], shifts, strict=True):
        centre = threshold + direction * shift
        by = headline if metric == "attack_accuracy" else (np.nan, np.nan)
        line = row(defence, metric, centre - 0.01, centre + 0.01, *by, minus=minus)
        if metric == "compression":
            line |= {
                "value": centre,
                **dict.fromkeys(("low", "high", "standard_error", "degrees_of_freedom"), np.nan),
            }
        planted["differences" if minus else "results"].append(line)
    there = (
        "baseline",
        "baseline_continued",
        "mia_pruning",
        "magnitude",
        "min_max",
        "mia_pruning_min_max",
        "dp_sgd",
    )
    results = [*(row(name, "auc", 0.5, 0.6, *headline) for name in there), *planted["results"]]
    table = judge(
        {**CLAIMS, "claims": [claim]},
        pd.DataFrame(results),
        pd.DataFrame(planted["differences"]),
        {},
    )
    (only,) = set(table[table["headline"]]["verdict"])
    return only


@pytest.mark.parametrize("claim", CLAIMS["claims"], ids=lambda claim: claim["id"])
def test_planted_numbers_flip_the_verdict_on_every_claim_of_the_report(claim):
    n = len(SAYS[claim["id"]])
    assert verdict_on(claim, [0.05] * n) == "supported"
    for condition, (metric, *_) in enumerate(SAYS[claim["id"]]):
        wrong, unclear = (
            [0.05 if other != condition else shift for other in range(n)] for shift in (-0.05, 0.0)
        )
        assert verdict_on(claim, wrong) == "refuted"
        if metric != "compression":  # counted: on one side or on the other
            assert verdict_on(claim, unclear) == "inconclusive"


def test_a_verdict_on_one_interval_needs_no_correction():
    found = verdicts(
        [claim(LOWER)], [difference("attack_accuracy", -0.05, -0.001, "net", "adaptive")]
    )
    assert found[["verdict", "corrected"]].to_numpy().tolist() == [["supported", "supported"]]


def test_who_looks_at_many_attackers_needs_wider_intervals():
    """Of twenty attackers one is barely on the claimed side, one far, and eighteen on neither."""
    barely, far, neither = (-0.05, -0.001), (-0.15, -0.10), (-0.05, 0.05)
    bounds = {"a": barely, "b": far, **{f"c{n}": neither for n in range(18)}}
    found = verdicts(
        [claim(LOWER)],
        [difference("attack_accuracy", *b, name, "adaptive") for name, b in bounds.items()],
    )
    by_attack = found.set_index("attack")
    assert by_attack.loc["a", ["verdict", "corrected"]].tolist() == ["supported", "inconclusive"]
    assert by_attack.loc["b", ["verdict", "corrected"]].tolist() == ["supported", "supported"]


def test_correction_counts_every_interval_of_the_claim_and_no_counted_number():
    rows = [difference("test_accuracy", -0.009, 0.02)]
    counted = [
        row(
            "pruned",
            "compression",
            16,
            16,
            **dict.fromkeys(("standard_error", "degrees_of_freedom"), np.nan),
        )
    ]
    counted[0]["low"] = counted[0]["high"] = np.nan
    found = verdicts([claim(COMPRESSED, ACCURATE)], rows, counted)
    assert set(found["corrected"]) == set(found["verdict"]) == {"supported"}


def test_a_condition_that_all_attackers_share_is_counted_once():
    """Two attackers and one accuracy are three intervals; one that is barely wide enough for three would not be for four."""
    half = 0.02
    three, four = (half * quantile(np.inf, 1 - 0.05 / n) / quantile(np.inf) for n in (3, 4))
    centre = -(three + four) / 2
    planted = [
        difference("attack_accuracy", centre - half, centre + half, *ATTACKERS[0]),
        difference("attack_accuracy", -0.09, -0.06, *ATTACKERS[2]),
        difference("test_accuracy", 0.01, 0.02),
    ]
    assert set(verdicts([claim(LOWER, ACCURATE)], planted)["corrected"]) == {"supported"}


def test_matched_accuracy_is_no_defence_and_its_absence_is_explained():
    matched = {"metric": "attack_accuracy", "minus": "matched_accuracy", "below": 0.0}
    found = verdicts(
        [claim(matched)],
        [difference("attack_accuracy", -0.02, -0.01, "net", "adaptive", minus="matched_accuracy")],
    )
    assert found["verdict"].tolist() == ["supported"]
    (without,) = verdicts([claim(matched)]).to_dict("records")
    assert without["verdict"] == "not tested"
    assert without["reason"] == "the study has no dense networks around its test accuracy"


@pytest.mark.parametrize(
    ("tried", "wanted"),
    [
        (ATTACKERS, HEADLINE),
        ([("loss", "adaptive"), ("rmia", "adaptive")], {"attack": "loss", "attacker": "adaptive"}),
        ([("net", "dense_shadows")], {"attack": "net", "attacker": "dense_shadows"}),
        ([], HEADLINE),
    ],
)
def test_a_study_without_the_headline_attack_has_its_first_one_as_headline(tried, wanted):
    rows = [
        row("baseline", "test_accuracy", 0.8, 0.9),
        *(row("baseline", "auc", 0.5, 0.6, *by) for by in tried),
    ]
    assert headline_of({"headline": HEADLINE}, pd.DataFrame(rows)) == wanted


def test_what_failed_is_not_said_to_be_no_part_of_the_study():
    """pruned_40x: wholly missing; unknown: of no such study; matched accuracy: of a frontier that is missing."""
    matched = {"metric": "attack_accuracy", "minus": "matched_accuracy", "below": 0.0}
    lost = {"e": ["pruned_40x", "matched_accuracy"]}
    table = verdicts(
        [claim(LOWER, defences=("pruned_40x", "unknown")), claim(matched, name="D")], missing=lost
    )
    assert table["verdict"].tolist() == ["not tested"] * 3
    assert table["reason"].tolist() == [
        "pruned_40x is missing from the results of e, wholly or in part, because jobs failed",
        "the study has no defence named unknown",
        "matched_accuracy is missing from the results of e, wholly or in part, because jobs failed",
    ]


def test_a_defence_that_shares_no_seed_with_the_one_it_is_compared_with_is_missing_in_part():
    """Both have results, and no difference."""
    (reason,) = set(verdicts([claim(LOWER)], missing={"e": ["baseline"]})["reason"])
    assert reason.startswith("baseline is missing from the results of e")


def test_a_claim_is_judged_where_seeds_are_left_and_not_tested_in_an_experiment_that_is_missing():
    table = verdicts(
        [claim(COMPRESSED)],
        results=[row("pruned", "compression", 12, 12)],
        missing={"e": ["pruned"], "f": ["pruned"]},
    )
    assert table.set_index("experiment")["verdict"].to_dict() == {
        "e": "supported",
        "f": "not tested",
    }


def test_where_the_headline_attack_gave_no_result_its_verdict_is_not_tested_and_the_others_stand():
    table = verdicts([claim(LOWER)], [difference("attack_accuracy", -0.05, -0.01, *ATTACKERS[1])])
    headline = table[table["headline"]]
    assert headline[["attack", "attacker", "verdict"]].to_numpy().tolist() == [
        ["net", "adaptive", "not tested"]
    ]
    assert headline["reason"].tolist() == ["the attack net (adaptive) gave no result on it"]
    assert table[~table["headline"]][["attack", "attacker", "verdict"]].to_numpy().tolist() == [
        [*ATTACKERS[1], "supported"]
    ]
