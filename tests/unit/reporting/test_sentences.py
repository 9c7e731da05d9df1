import numpy as np
import pandas as pd

from mia_pruning.reporting.sentences import console_summary, measured

CLAIMS = {"C1": "Pruning lowers the attack accuracy."}


def row(attack, attacker, value, verdict, corrected, *, headline=False):
    about = {
        "claim": "C1",
        "experiment": "lenet5",
        "defence": "pruned",
        "metric": "attack_accuracy",
        "minus": "baseline",
    }
    interval = {
        "value": value,
        "low": value - 0.01,
        "high": value + 0.01,
        "direction": "below",
        "threshold": 0.0,
    }
    named = {
        "attack": attack,
        "attacker": attacker,
        "verdict": verdict,
        "corrected": corrected,
        "headline": headline,
    }
    wider = {"corrected_low": value - 0.02, "corrected_high": value + 0.02, "n_intervals": 61}
    return {**about, **interval, **wider, **named}


def test_the_answer_gives_the_headlines_verdict_and_the_corrected_one_of_the_strongest_attack():
    rows = [
        row("net", "adaptive", -0.03, "supported", "supported", headline=True),
        row("loss", "adaptive", 0.2, "refuted", "refuted"),
    ]
    strongest = row("strongest", "any", 0.011, "refuted", "inconclusive")
    accurate = {"metric": "test_accuracy", "direction": "at_least", "threshold": -0.01}
    both = [
        {**found, **accurate}
        for found in (rows[0], {**strongest, "value": -0.03, "low": -0.04, "high": -0.02})
    ]
    assert console_summary(
        pd.DataFrame([rows[0], both[0], rows[1], strongest, both[1]]), CLAIMS
    ) == [
        "C1 supported; by the strongest attack, corrected: inconclusive",
        "    Pruning lowers the attack accuracy (pruned, lenet5)",
        "    attack accuracy minus that of baseline: -3.0 points (-4.0 to -2.0) (required: below 0 points)",
        "    test accuracy minus that of baseline: -3.0 points (-4.0 to -2.0) (required: at least -1 points)",
        "    strongest: attack accuracy minus that of baseline: +1.1 points (+0.1 to +2.1); "
        "-0.9 to +3.1, corrected for 61 comparisons (required: below 0 points)",
    ]


def test_without_a_strongest_attack_the_answer_says_nothing_of_it():
    lines = console_summary(
        pd.DataFrame([row("net", "adaptive", -0.03, "supported", "supported", headline=True)]),
        CLAIMS,
    )
    assert lines[0] == "C1 supported"
    assert not any("strongest" in line for line in lines)


def test_what_has_no_number_is_said_to_be_not_measured():
    row = pd.Series(
        {
            "metric": "test_accuracy",
            "minus": "baseline",
            "value": np.nan,
            "low": np.nan,
            "high": np.nan,
        }
    )
    assert measured(row) == "test accuracy minus that of baseline: not measured"
