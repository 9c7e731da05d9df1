import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.metrics.operating import Counts, at_most, guessed, population_needed, resolves


@given(seed=st.integers(0, 1000), n=st.integers(4, 30), fpr=st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 1.0]))
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
    scores, members = np.array([-1.0, 0.0, 1.0, 2.0, 3.0]), np.array([True, True, True, False, True])
    assert guessed(scores, members) == Counts(true_positives=2, members=4, false_positives=1, others=1)


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
