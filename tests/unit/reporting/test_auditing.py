import pandas as pd
import pytest

from mia_pruning.metrics.audit import one_run_bound, rates_bound
from mia_pruning.reporting.auditing import DELTA, audit

GUARANTEES = pd.DataFrame(columns=["experiment", "defence", "seed", "epsilon", "delta"])
NONE_CHOSEN = pd.DataFrame(columns=["experiment", "seed", "defence", "metric", "target", "attack", "attacker"])


def counts(defence, n_correct, rates, attack="a", attacker="adaptive", target=0):
    """Of 1,000 examples 100 are guessed; rates: true positives and false positives of 500 each."""
    guesses = {"n_canaries": 1000, "n_guesses": 100, "n_correct": n_correct}
    of_rates = {"true_positives": rates[0], "members": 500, "false_positives": rates[1], "others": 500}
    about = {"experiment": "e", "seed": 0, "defence": defence, "attack": attack, "attacker": attacker, "target": target}
    return {**about, **guesses, **of_rates}


def promise(defence, epsilon, delta):
    return pd.DataFrame([{"experiment": "e", "defence": defence, "seed": 0, "epsilon": epsilon, "delta": delta}])


def test_the_largest_of_all_bounds_is_reported_at_a_confidence_for_all():
    rows = [counts("d", n, (r, 100), attack, target=t) for t, (n, r, attack) in enumerate([(60, 150, "a"), (90, 130, "b")])]
    (found,) = audit(pd.DataFrame(rows), GUARANTEES, NONE_CHOSEN)
    confidence = 1 - 0.05 / 2
    assert found["one_run"]["epsilon"] == pytest.approx(one_run_bound(1000, 100, 90, DELTA, confidence))
    assert found["one_run"]["attack"] == "b"
    assert found["rates"]["epsilon"] == pytest.approx(rates_bound(150, 500, 100, 500, DELTA, confidence))
    assert found["rates"]["attack"] == "a"
    assert found["n_bounds"] == 2
    assert found["promised"] is None
    assert not found["contradicted"]


def test_only_the_attack_that_was_chosen_on_other_targets_counts():
    """The other has more right guesses on this target, by luck or not; who takes it has looked."""
    rows = [counts("d", n, (150, 100), attack, target=t) for t in (0, 1) for attack, n in (("a", 80), ("b", 99))]
    chosen = [
        {"experiment": "e", "seed": 0, "defence": "d", "metric": "auc", "target": t, "attack": "a", "attacker": "adaptive"}
        for t in (0, 1)
    ]
    decoy = {**chosen[0], "metric": "gain", "attack": "b"}
    (found,) = audit(pd.DataFrame(rows), GUARANTEES, pd.DataFrame([*chosen, decoy]))
    assert found["n_bounds"] == 2
    assert found["one_run"] == {
        "attack": "a",
        "attacker": "adaptive",
        "epsilon": pytest.approx(one_run_bound(1000, 100, 80, DELTA, 0.975)),
    }


PROVED = one_run_bound(1000, 100, 95, 1e-5, 0.95)


@pytest.mark.parametrize(("epsilon", "contradicted"), [(0.49 * PROVED, True), (0.51 * PROVED, False), (8.0, False)])
def test_one_run_that_proves_more_than_a_replacement_may_cost_is_a_contradiction(epsilon, contradicted):
    (found,) = audit(pd.DataFrame([counts("d", 95, (250, 250))]), promise("d", epsilon, 1e-5), NONE_CHOSEN)
    assert found["promised"] == epsilon
    assert found["contradicted"] == contradicted


def test_rates_contradict_no_promise():
    """One model may reveal a hundred examples at once, seldom enough for delta: its trials are not independent."""
    (found,) = audit(pd.DataFrame([counts("d", 50, (400, 20))]), promise("d", 0.1, 1e-4), NONE_CHOSEN)
    assert found["rates"]["epsilon"] > 1
    assert not found["contradicted"]


def test_every_defence_is_measured_at_the_guarantees_delta():
    rows = pd.DataFrame([counts("plain", 100, (250, 250)), counts("private", 50, (250, 250))])
    plain, private = audit(rows, promise("private", 3.0, 1e-4), NONE_CHOSEN)
    assert plain["delta"] == private["delta"] == 1e-4
    assert plain["promised"] is None
    assert plain["one_run"]["epsilon"] > 0 == private["one_run"]["epsilon"]


def test_who_is_told_members_proves_nothing_here():
    (found,) = audit(
        pd.DataFrame([counts("d", 50, (250, 250)), counts("d", 100, (500, 0), attacker="known_members")]), GUARANTEES, NONE_CHOSEN
    )
    assert found["one_run"]["epsilon"] == found["rates"]["epsilon"] == 0
