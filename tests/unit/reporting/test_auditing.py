import pandas as pd
import pytest

from mia_pruning.metrics.audit import one_run_bound
from mia_pruning.metrics.f_dp_audit import gaussian_bound, gaussian_epsilon
from mia_pruning.reporting.auditing import audit

COLUMNS = ["experiment", "defence", "seed", "epsilon", "delta", "curve"]
NONE = pd.DataFrame(columns=COLUMNS)


def counted(n_correct, target=0, attack="a", n_guesses=100, seed=0, attacker="adaptive"):
    """Of 1,000 examples of one class."""
    about = {
        "experiment": "e",
        "seed": seed,
        "defence": "d",
        "attack": attack,
        "attacker": attacker,
    }
    guesses = {"n_canaries": 1000, "n_classes": 1, "n_guesses": n_guesses, "n_correct": n_correct}
    return {**about, "target": target, **guesses}


def promise(mu, seed=0, epsilon=1.0):
    """The promise of a Gaussian mechanism, at a few deltas."""
    deltas = (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-5)
    curve = "; ".join(f"{gaussian_epsilon(mu, delta):.5g} at {delta:g}" for delta in deltas)
    return pd.DataFrame([("e", "d", seed, epsilon, 1e-3, curve)], columns=COLUMNS)


def only(rows, guarantees=NONE):
    (found,) = audit(pd.DataFrame(rows), guarantees)
    return found


def test_one_target_is_audited_by_the_attack_that_is_best_on_others():
    """Attack b guesses best on the audited target and its twin, c knows members: neither is chosen."""
    rows = [counted(n, target, "a") for target, n in enumerate((80, 80, 90, 90))]
    rows += [counted(n, target, "b") for target, n in enumerate((100, 100, 60, 60))]
    rows += [counted(100, target, "c", attacker="known_members") for target in range(4)]
    found = only(rows)
    assert (found["attack"], found["n_correct"], found["chosen_on"]) == ("a", 80, "other targets")
    assert found["delta"] == 1e-5
    assert found["epsilon"] == gaussian_epsilon(gaussian_bound(1000, 100, 79), 1e-5)
    assert found["largest"] == gaussian_epsilon(gaussian_bound(1000, 100, 99), 1e-5)
    assert found["steinke"] == one_run_bound(1000, 100, 79, 1e-5)


def test_the_number_of_guesses_is_chosen_on_others_too():
    rows = [counted(n, target, n_guesses=100) for target, n in enumerate((60, 60, 95, 95))]
    rows += [counted(n, target, n_guesses=400) for target, n in enumerate((400, 400, 210, 210))]
    assert only(rows)["n_guesses"] == 100


def test_other_seeds_choose_alone_where_there_are_any():
    rows = [
        counted(n, target, attack) for attack, n in (("a", 70), ("b", 99)) for target in range(4)
    ]
    rows += [counted(n, 0, attack, seed=1) for attack, n in (("a", 90), ("b", 50))]
    found = only(rows)
    assert (found["attack"], found["n_correct"], found["chosen_on"]) == ("a", 70, "other seeds")


def test_one_pair_of_targets_is_audited_by_the_first_attack():
    rows = [
        counted(n, target, attack) for attack, n in (("a", 70), ("b", 99)) for target in range(2)
    ]
    found = only(rows)
    assert (found["attack"], found["chosen_on"]) == ("a", "nothing: the first attack")


def test_an_attack_that_is_missing_elsewhere_is_not_chosen():
    rows = [counted(70, 0, "a"), counted(99, 0, "b"), counted(80, 2, "a")]
    assert only(rows)["attack"] == "a"


@pytest.mark.parametrize(
    ("n_correct", "mu", "verdict"),
    [
        (95, 0.5, "contradicts the promise"),
        (60, 0.5, "consistent"),
        (100, 3.0, "has no power"),
    ],
)
def test_a_promise_is_contradicted_kept_or_out_of_reach(n_correct, mu, verdict):
    found = only([counted(n_correct)], promise(mu))
    assert found["verdict"] == verdict
    assert found["promised"] == pytest.approx(gaussian_epsilon(mu, 1e-5), rel=1e-4)
    assert (found["epsilon"] > found["promised"]) == (verdict == "contradicts the promise")
    assert (found["largest"] > found["promised"]) == (verdict != "has no power")


def test_guesses_too_few_to_contradict_the_promise_are_no_candidates():
    """By counts elsewhere the 20 guesses prove most, but even all right they cannot reach mu = 1."""
    rows = [counted(20, target, n_guesses=20) for target in range(4)]
    rows += [counted(500, target, n_guesses=1000) for target in range(4)]
    assert only(rows)["n_guesses"] == 20
    found = only(rows, promise(1.0))
    assert (found["n_guesses"], found["verdict"]) == (1000, "consistent")


def test_only_the_promise_of_the_audited_model_counts():
    assert only([counted(95)], promise(0.5, seed=1))["verdict"] == "no promise"
    void = promise(0.5).assign(epsilon=None, curve=None)
    assert only([counted(95)], void)["verdict"] == "no promise"


def test_a_promise_beyond_the_audit_leaves_it_without_power():
    found = only([counted(100)], promise(1.0, epsilon=500.0).assign(curve=""))
    assert (found["verdict"], found["promised"]) == ("has no power", None)


def test_a_study_without_results_has_no_audit():
    assert audit(pd.DataFrame([counted(1)]).iloc[:0], NONE) == []
