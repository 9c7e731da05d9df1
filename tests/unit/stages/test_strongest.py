"""The strongest attack on planted scores whose true strengths are known."""

import numpy as np
import pytest
from scipy.special import ndtr

from mia_pruning.metrics import intervals
from mia_pruning.metrics.membership import balanced_accuracy
from mia_pruning.stages import strongest as module
from mia_pruning.stages.privacy import Guesses, privacy_values, resolved_rates
from mia_pruning.stages.strongest import (
    choice_rows,
    choose,
    example_halves,
    half_estimates,
    strongest_cells,
)
from mia_pruning.tables import STRONGEST


def planted(strengths, rng, n_targets=4, n_pool=200, own=0.0):
    """Guesses of an attack for each strength: scores are normal, members' means are the strength.

    own: standard deviation of a strength between targets, for each attack and target independently.
    Targets are twins, as in the pool protocol.
    """
    halves = rng.permuted(np.tile(np.arange(n_pool) % 2 == 0, (n_targets // 2, 1)), axis=1)
    membership = np.stack([halves, ~halves], axis=1).reshape(n_targets, n_pool)
    attacks = {}
    for number, strength in enumerate(strengths):
        of_targets = strength + own * rng.normal(size=(n_targets, 1))
        scores = rng.normal(size=membership.shape) + of_targets * (membership - 0.5)
        attacks[f"a{number}", "adaptive"] = Guesses(scores, np.ones_like(membership), membership)
    return attacks


def strongest(attacks, rng, values=privacy_values):
    """Replicates of the strongest attack by metric, of each attack by attacker, and the choice."""
    first = example_halves(np.arange(next(iter(attacks.values())).scores.shape[1]) % 5, rng)
    draws = intervals.draw(*next(iter(attacks.values())).scores.shape, 10, 100, rng)
    listed = {
        who: values(guesses, draws.pool, resolved_rates(guesses))
        for who, guesses in attacks.items()
    }
    estimates = {who: half_estimates(guesses, first) for who, guesses in attacks.items()}
    cells = strongest_cells(
        estimates, lambda who, metric: listed[who][metric], attacks.__getitem__, first, draws.pool
    )
    found = {cell.about["metric"]: cell.values for cell in cells}
    return found, listed, estimates, draws


def test_an_attack_that_is_clearly_best_is_the_strongest_to_the_last_bit():
    found, listed, _, _ = strongest(
        planted([0.2, 2.0, 0.5], np.random.default_rng(0)), np.random.default_rng(1)
    )
    for metric, values in found.items():
        np.testing.assert_array_equal(values, listed["a1", "adaptive"][metric])


def test_an_attack_is_measured_where_it_was_not_chosen():
    """Attack a tells on the first half of the examples alone, b on the second: neither is found elsewhere."""
    rng = np.random.default_rng(0)
    attacks = planted([0.0, 0.0], rng, n_pool=2000)
    first = example_halves(np.arange(2000) % 5, np.random.default_rng(1))
    for (who, guesses), columns in zip(attacks.items(), (first, ~first), strict=True):
        attacks[who] = Guesses(
            guesses.scores + 9 * guesses.membership * columns, guesses.unknown, guesses.membership
        )
    found, listed, estimates, _ = strongest(attacks, np.random.default_rng(1))
    assert choose(estimates)["auc"] == (("a0", "adaptive"), ("a1", "adaptive"))
    assert found["auc"][0].mean() == pytest.approx(0.5, abs=0.03)
    assert min(of["auc"][0].mean() for of in listed.values()) > 0.7


def test_crossed_values_equal_a_slow_mean_over_both_halves():
    rng = np.random.default_rng(3)
    attacks = planted([0.5, 0.5, 0.5], rng)
    found, _, estimates, draws = strongest(attacks, np.random.default_rng(5))
    first = example_halves(np.arange(200) % 5, np.random.default_rng(5))
    crossed = {metric: who for metric, who in choose(estimates).items() if who[0] != who[1]}
    assert crossed
    for metric, (on_first, on_second) in crossed.items():
        for replicate in (0, 17):
            slow = []
            for who, columns in ((on_first, ~first), (on_second, first)):
                weights = (draws.pool * columns)[[replicate]]
                guesses = attacks[who]
                slow.append(privacy_values(guesses, weights, resolved_rates(guesses))[metric][0])
            np.testing.assert_allclose(found[metric][replicate], np.mean(slow, axis=0), rtol=1e-6)


@pytest.fixture
def accuracy_only(monkeypatch):
    """Simulations of many studies measure attack accuracy alone."""

    def values(guesses, weights, rates):
        trials = [(scores, members, weights[:, drawn]) for scores, drawn, members in guesses]
        return {
            "attack_accuracy": np.stack([balanced_accuracy(*trial) for trial in trials], axis=1)
        }

    monkeypatch.setattr(module, "privacy_values", values)
    return values


def simulate(strengths, n_studies, values, own=0.0):
    """Estimates of each study, the coverage of the 95 % interval, the best listed values, the truth.

    Studies have eight targets and 400 examples.
    """
    estimates, held, best_listed, truth = [], [], [], _accuracy(max(strengths), own)
    for seed in range(n_studies):
        rng = np.random.default_rng([7, seed])
        attacks = planted(strengths, rng, n_targets=8, n_pool=400, own=own)
        found, listed, _, draws = strongest(attacks, rng, values)
        of_study = intervals.interval(
            [intervals.replicates(found["attack_accuracy"], draws)], (0.0, 1.0)
        )
        estimates.append(of_study.estimate)
        held.append(of_study.low <= truth <= of_study.high)
        best_listed.append(max(values["attack_accuracy"][0].mean() for values in listed.values()))
    return np.array(estimates), np.mean(held), np.array(best_listed), truth


def _accuracy(strength, own):
    """Expected balanced accuracy of normal scores at the threshold 0."""
    return float(ndtr(strength / 2 / np.sqrt(1 + (own / 2) ** 2)))


def test_at_a_null_the_strongest_of_six_attacks_guesses_and_its_intervals_hold_95_percent(
    accuracy_only,
):
    """1,000 studies: the coverage is known to within 0.7 points. The best of all listed is no guess."""
    estimates, coverage, best_listed, _ = simulate([0.0] * 6, 1000, accuracy_only)
    assert estimates.mean() == pytest.approx(0.5, abs=4 * estimates.std() / np.sqrt(1000))
    assert 0.93 <= coverage <= 0.97
    assert best_listed.mean() > 0.508


def test_of_attacks_near_a_tie_it_is_as_good_as_the_best_within_noise(accuracy_only):
    estimates, coverage, _, truth = simulate([0.40, 0.42, 0.44], 300, accuracy_only)
    error = estimates.std()
    assert estimates.mean() == pytest.approx(truth, abs=0.3 * error)
    assert coverage > 0.92


def test_luck_on_these_targets_biases_it_by_less_than_a_quarter_of_a_standard_error(accuracy_only):
    """Attacks of equal strength that differ on each target: the choice shares the targets it measures."""
    estimates, _, _, truth = simulate([0.4] * 10, 300, accuracy_only, own=0.033)
    assert abs(estimates.mean() - truth) < 0.25 * estimates.std()


def test_the_choice_of_each_half_is_recorded_with_its_value_there_and_elsewhere():
    estimates = {
        ("a", "adaptive"): {"auc": (0.7, 0.6)},
        ("b", "adaptive"): {"auc": (0.65, 0.64)},
    }
    rows = list(choice_rows(estimates))
    assert [tuple(row.values()) for row in rows] == [
        ("auc", "first", "a", "adaptive", 0.7, 0.6),
        ("auc", "second", "b", "adaptive", 0.64, 0.65),
    ]
    assert all(tuple(row) == STRONGEST for row in rows)


def test_without_attacks_or_without_members_in_a_half_there_is_no_strongest():
    assert choose({}) == {}
    membership = np.array([[True, False, False, False]])
    guesses = Guesses(np.zeros((1, 4)), np.ones_like(membership), membership)
    assert half_estimates(guesses, np.array([True, True, False, False])) == {}


def test_halves_hold_half_of_each_class():
    labels = np.repeat(np.arange(7), 11)
    first = example_halves(labels, np.random.default_rng(0))
    counts = np.bincount(labels[first], minlength=7)
    assert set(counts) <= {5, 6}
    assert abs(first.sum() - len(labels) / 2) <= 1
