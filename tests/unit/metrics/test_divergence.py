import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from mia_pruning.metrics.divergence import (
    LOG_2,
    N_BINS,
    accuracy_bound,
    held_out_gain,
    js_divergence,
)


def sample(shift, n, seed=0):
    """n members from N(shift, 1), n non-members from N(0, 1), in random order."""
    rng = np.random.default_rng(seed)
    members = rng.permutation(np.arange(2 * n) < n)
    return rng.normal(size=2 * n) + shift * members, members


def exact_divergence(shift):
    """Of N(shift, 1) and N(0, 1), by integration."""

    def integrand(x):
        p, q = norm.pdf(x, shift), norm.pdf(x)
        return sum(w * math.log(w / ((p + q) / 2)) / 2 for w in (p, q) if w > 0)

    return quad(integrand, -10, 10 + shift)[0]


def ones(n):
    return np.ones((1, n), dtype=np.float32)


@pytest.mark.parametrize("shift", [0.3, 1.0, 2.0])
def test_the_divergence_of_two_gaussians_is_the_integral(shift):
    statistic, members = sample(shift, 200_000)
    found = js_divergence(statistic, members, ones(400_000))[0]
    assert found == pytest.approx(exact_divergence(shift), rel=0.03, abs=2e-4)


def test_equal_distributions_have_no_divergence_on_average_though_they_are_counted():
    """Without the correction the mean would be (N_BINS - 1) / (4 n) = 0.024."""
    found = [js_divergence(*sample(0.0, 200, seed), ones(400))[0] for seed in range(300)]
    assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(300) + 0.001
    assert np.std(found) < 0.02
    assert (N_BINS - 1) / (4 * 200) > 0.02


def test_a_perfect_leak_has_the_largest_divergence():
    statistic, members = sample(100.0, 500)
    assert js_divergence(statistic, members, ones(1000))[0] == pytest.approx(LOG_2, abs=0.02)


def test_a_weight_of_two_is_the_example_twice():
    statistic, members = sample(0.5, 300)
    weights = np.random.default_rng(1).integers(1, 3, (3, 600)).astype(np.float32)
    for row in weights:
        repeated = np.repeat(np.arange(600), row.astype(int))
        edges_free = js_divergence(statistic, members, row[np.newaxis])[0]
        # The same bins for both: quantiles are of the sample, not of the draw.
        slow = slow_divergence(statistic, statistic[repeated], members[repeated])
        assert edges_free == pytest.approx(slow)


def slow_divergence(sample_of_bins, statistic, members):
    edges = [np.quantile(sample_of_bins, k / N_BINS) for k in range(1, N_BINS)]
    bins = [sum(value >= edge for edge in edges) for value in statistic]
    p, q = (
        [
            sum(b == k and m == which for b, m in zip(bins, members, strict=True))
            for k in range(N_BINS)
        ]
        for which in (1, 0)
    )

    def entropy(shares):
        return -sum(share * math.log(share) for share in shares if share)

    shares_p, shares_q = [c / sum(p) for c in p], [c / sum(q) for c in q]
    mixture = [(a + b) / 2 for a, b in zip(shares_p, shares_q, strict=True)]
    corrected = [
        entropy(s) + (sum(x > 0 for x in s) - 1) / (2 * n)
        for s, n in ((shares_p, sum(p)), (shares_q, sum(q)))
    ]
    return (
        entropy(mixture)
        + (sum(x > 0 for x in mixture) - 1) / (2 * (sum(p) + sum(q)))
        - sum(corrected) / 2
    )


@pytest.mark.parametrize("shift", [0.0, 0.5, 1.5])
def test_the_held_out_gain_comes_near_the_theorys_and_not_above_it(shift):
    """T1: the best inference model gains JS - log 2."""
    gains = [held_out_gain(*sample(shift, 2000, seed), ones(4000))[0] for seed in range(30)]
    error = 3 * np.std(gains) / math.sqrt(30)
    assert np.mean(gains) <= exact_divergence(shift) - LOG_2 + error
    assert np.mean(gains) >= exact_divergence(shift) - LOG_2 - error - 0.01


def test_a_statistic_that_tells_nothing_gains_no_more_than_guessing():
    members = np.arange(400) % 2 == 0
    assert held_out_gain(np.zeros(400), members, ones(400))[0] == pytest.approx(-LOG_2)


@given(st.floats(0.0, 3.0))
def test_no_attack_on_two_gaussians_beats_the_bound(shift):
    best = norm.cdf(shift / 2)  # the threshold midway, the likelihood ratio's
    assert best <= accuracy_bound(exact_divergence(shift)) + 1e-9


@given(st.floats(0.5, 1.0))
def test_the_bound_is_met_by_a_channel_that_flips_a_fair_coin(accuracy):
    """A statistic of two values that is right with probability a reaches Fano's inequality."""
    entropy = -sum(x * math.log(x) for x in (accuracy, 1 - accuracy) if x > 0)
    assert accuracy_bound(LOG_2 - entropy) == pytest.approx(accuracy, abs=1e-6)


def test_a_negative_estimate_bounds_the_attack_to_guessing():
    assert accuracy_bound(-0.01) == 0.5


def test_a_draw_that_leaves_one_half_without_members_counts_as_guessing():
    members = np.array([True, True, False, False])
    weights = np.array([[1, 0, 1, 1]], dtype=np.float32)
    assert np.isfinite(held_out_gain(np.arange(4.0), members, weights)).all()
