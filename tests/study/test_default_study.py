"""Checks on the tables of the finished default study (results/fashion): what its verdicts rest on.

They run where `make reproduce` has made them, as .ci/run does, and fail where it has not.
"""

import csv
from pathlib import Path

import numpy as np
import pytest

RESULTS = Path(__file__).parents[2] / "results" / "fashion"
PRIVACY = ("attack_accuracy", "auc", "tpr_at_1_percent_fpr", "tpr_at_0.1_percent_fpr")
STRONGEST = ("strongest", "any")


@pytest.fixture(scope="module")
def values():
    """(defence, metric) -> (attack, attacker) -> (value, standard error)."""
    found = {}
    with (RESULTS / "results.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["attack"]:
                of_attacks = found.setdefault((row["defence"], row["metric"]), {})
                numbers = (float(row["value"]), float(row["standard_error"]))
                of_attacks[row["attack"], row["attacker"]] = numbers
    return found


@pytest.fixture(scope="module")
def per_target():
    """(defence, attack, attacker) -> attack accuracy of each target."""
    found = {}
    with (RESULTS / "targets.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["metric"] == "attack_accuracy":
                key = (row["defence"], row["attack"], row["attacker"])
                found.setdefault(key, []).append(float(row["value"]))
    return {key: np.array(of_targets) for key, of_targets in found.items()}


@pytest.mark.parametrize("metric", PRIVACY)
def test_the_strongest_attack_is_no_weaker_than_any_listed_one(values, metric):
    """By more than two standard errors of the listed attack, on any defence."""
    for (defence, of_metric), attacks in values.items():
        if of_metric != metric:
            continue
        strongest, _ = attacks[STRONGEST]
        for (attack, attacker), (value, error) in attacks.items():
            if attacker != "known_members":
                assert strongest >= value - 2 * error, (defence, attack, attacker, strongest, value)


@pytest.mark.parametrize(
    ("attack", "attacker"),
    [("shadow_network", "adaptive"), ("known_member_network", "known_members")],
)
def test_the_papers_network_does_not_lose_to_correctness(per_target, attack, attacker):
    """By more than two standard errors of the paired difference over targets, on any defence.

    Correctness learns nothing, so that both attackers are compared with it on all examples.
    """
    for (defence, of_attack, of_attacker), accuracies in per_target.items():
        if (of_attack, of_attacker) != (attack, attacker):
            continue
        difference = accuracies - per_target[defence, "correctness", "adaptive"]
        error = difference.std(ddof=1) / np.sqrt(difference.size)
        assert difference.mean() > -2 * error, (defence, difference.mean(), error)
