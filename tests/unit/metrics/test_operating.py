import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.metrics.operating import (
    MEMBER_SHARES,
    Counts,
    at_most,
    guessed,
    population_needed,
    resolves,
)


@given(
    seed=st.integers(0, 1000),
    n=st.integers(4, 30),
    fpr=st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]),
)
def test_no_threshold_within_the_rate_finds_more_members(seed, n, fpr):
    rng = np.random.default_rng(seed)
    scores, members = rng.integers(0, 8, n) / 2, rng.random(n) < 0.5
    members[:2] = True, False
    found = at_most(fpr, scores, members)
    assert found.fpr <= fpr
    within = [
        (scores > threshold)[members].sum()
        for threshold in [-np.inf, *scores]
        if (scores > threshold)[~members].mean() <= fpr + 1e-12
    ]
    assert found.true_positives == max(within)
    assert (found.members, found.others) == (members.sum(), (~members).sum())


def test_guesses_are_the_scores_above_0():
    scores, members = (
        np.array([-1.0, 0.0, 1.0, 2.0, 3.0]),
        np.array([True, True, True, False, True]),
    )
    assert guessed(scores, members) == Counts(
        true_positives=2, members=4, false_positives=1, others=1
    )


def test_counts_of_targets_add_up():
    total = Counts(1, 10, 2, 20) + Counts(3, 10, 0, 30)
    assert total == Counts(4, 20, 2, 50)
    assert (total.tpr, total.fpr) == (0.2, 0.04)


@pytest.mark.parametrize(
    ("others", "fpr", "resolved"),
    [
        ([1000], 0.01, True),
        ([999], 0.01, False),
        ([1400] * 8, 0.001, True),
        ([1400] * 7, 0.001, False),
        ([1400] * 100, 0.0001, False),
    ],
)
def test_a_rate_needs_ten_expected_false_positives_and_one_of_each_target(others, fpr, resolved):
    assert resolves(fpr, others) == resolved


@pytest.mark.parametrize("fpr", [0.1, 0.01, 0.001, 0.0001])
@pytest.mark.parametrize("n_targets", [1, 8, 12, 100])
def test_the_population_needed_is_the_least_that_would_resolve_the_rate(fpr, n_targets):
    """As if each target had so many non-members."""
    needed = population_needed(fpr, n_targets, 0)
    assert resolves(fpr, [needed + 1] * n_targets)
    assert not resolves(fpr, [needed - 1] * n_targets)
    assert population_needed(fpr, n_targets, needed - 1) == needed
    assert population_needed(fpr, n_targets, needed) is None


@pytest.mark.parametrize("share", MEMBER_SHARES.values())
def test_the_precision_is_the_share_of_members_among_the_guesses_in_a_population(share):
    """Known answer: a population of 100,000 that is guessed at the counted rates."""
    counts = Counts(true_positives=300, members=1000, false_positives=20, others=1000)
    right, wrong = 100_000 * share * 0.3, 100_000 * (1 - share) * 0.02
    found = counts.precision(share)
    assert found.value == pytest.approx(right / (right + wrong))
    assert not found.is_lower_bound


def test_precision_at_equal_shares_and_sizes_is_the_plain_ratio():
    assert Counts(300, 1000, 20, 1000).precision(0.5).value == pytest.approx(300 / 320)


def test_without_false_positives_the_precision_is_a_lower_bound_and_not_1():
    """Known answer: the 95 % upper bound of 0 of 100 is 1 - 0.025^(1/100)."""
    found = Counts(50, 100, 0, 100).precision(0.01)
    upper = 1 - 0.025 ** (1 / 100)
    assert found.value == pytest.approx(0.01 * 0.5 / (0.01 * 0.5 + 0.99 * upper))
    assert found.is_lower_bound
    assert Counts(50, 100, 0, 10_000).precision(0.01).value > found.value


def test_an_attack_that_takes_nobody_for_a_member_has_no_precision():
    assert Counts(0, 100, 0, 100).precision(0.5) == (None, False)
    assert Counts(0, 100, 1, 100).precision(0.5) == (0.0, False)
