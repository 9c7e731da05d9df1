import numpy as np
import pandas as pd

from mia_pruning.reporting.sentences import console_summary, measured

CLAIMS = {"C1": "Pruning lowers the attack accuracy."}


def row(attack, attacker, value, verdict, corrected, *, headline=False):
    about = {"claim": "C1", "experiment": "lenet5", "defence": "pruned", "metric": "attack_accuracy", "minus": "baseline"}
    interval = {"value": value, "low": value - 0.01, "high": value + 0.01, "direction": "below", "threshold": 0.0}
    named = {"attack": attack, "attacker": attacker, "verdict": verdict, "corrected": corrected, "headline": headline}
    return {**about, **interval, **named}


def test_the_answer_gives_the_headlines_verdict_and_the_corrected_one_of_the_strongest_attack():
    rows = [
        row("net", "adaptive", -0.03, "supported", "supported", headline=True),
        row("loss", "adaptive", 0.2, "refuted", "refuted"),
    ]
    strongest = row("strongest", "any", 0.011, "refuted", "inconclusive")
    (sentence,) = console_summary(pd.DataFrame([*rows, strongest]), CLAIMS)
    assert sentence == (
        "C1 supported: Pruning lowers the attack accuracy (pruned on lenet5): attack accuracy minus that of baseline: "
        "-3.0 points (-4.0 to -2.0), required below 0 points. "
        "Under the strongest attack, corrected for all comparisons of the claim, inconclusive: "
        "attack accuracy minus that of baseline: +1.1 points (+0.1 to +2.1), required below 0 points."
    )


def test_without_a_strongest_attack_the_answer_says_nothing_of_it():
    (sentence,) = console_summary(pd.DataFrame([row("net", "adaptive", -0.03, "supported", "supported", headline=True)]), CLAIMS)
    assert sentence.endswith("required below 0 points.")
    assert "strongest" not in sentence


def test_what_has_no_number_is_said_to_be_not_measured():
    row = pd.Series({"metric": "test_accuracy", "minus": "baseline", "value": np.nan, "low": np.nan, "high": np.nan})
    assert measured(row) == "test accuracy minus that of baseline: not measured"
