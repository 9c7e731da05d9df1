import math

import numpy as np
import pytest
from scipy.stats import binom

from mia_pruning.metrics.audit import (
    clopper_pearson,
    most_accuracy,
    most_true_positives,
    one_run_bound,
    one_run_p_value,
)


def test_guesses_that_are_all_right_have_a_closed_form():
    """q^r = 5 %, and q = 1 / (1 + exp(-epsilon))."""
    for n_guesses in (10, 100, 1000):
        q = 0.05 ** (1 / n_guesses)
        assert one_run_bound(2000, n_guesses, n_guesses, delta=0.0) == pytest.approx(
            math.log(q / (1 - q)), abs=1e-6
        )


def test_the_p_value_equals_the_formula_term_by_term():
    m, r, v, epsilon, delta = 200, 40, 33, 1.0, 1e-4
    q = 1 / (1 + math.exp(-epsilon))
    pmf = [math.comb(r, k) * q**k * (1 - q) ** (r - k) for k in range(r + 1)]
    near = max(sum(pmf[v - i : v]) / i for i in range(1, v + 1))
    assert one_run_p_value(m, r, v, epsilon, delta) == pytest.approx(
        sum(pmf[v:]) + 2 * m * delta * near
    )


def test_more_right_guesses_prove_more_and_a_larger_delta_less():
    bounds = [one_run_bound(1000, 200, right, 1e-5) for right in (100, 130, 160, 190)]
    assert bounds == sorted(bounds)
    assert bounds[0] == 0 < bounds[1]
    assert one_run_bound(1000, 200, 190, 1e-3) < bounds[-1]


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_randomised_response_is_rarely_said_to_leak_more_than_it_does(epsilon):
    """Each answer is right with probability exp(epsilon) / (1 + exp(epsilon)): the most that epsilon allows."""
    rng = np.random.default_rng(0)
    right = rng.binomial(300, 1 / (1 + math.exp(-epsilon)), 400)
    bounds = np.array([one_run_bound(300, 300, int(v), delta=0.0) for v in right])
    assert (bounds > epsilon).mean() <= 0.07
    assert bounds.mean() > epsilon - 0.4


def test_clopper_pearson_ends_where_the_tail_is_half_the_rest():
    low, high = clopper_pearson(7, 40)
    assert binom.sf(6, 40, low) == pytest.approx(0.025)
    assert binom.cdf(7, 40, high) == pytest.approx(0.025)


def test_the_region_is_met_by_randomised_response():
    for epsilon in (0.1, 1.0, 3.0):
        honest = 1 / (1 + math.exp(-epsilon))
        assert most_true_positives(np.array([1 - honest]), epsilon, 0.0)[0] == pytest.approx(honest)
        assert most_accuracy(epsilon, 0.0) == pytest.approx(honest)
    curve = most_true_positives(np.linspace(0, 1, 50), 1.0, 1e-3)
    assert (np.diff(curve) >= 0).all()
    assert curve[0] == pytest.approx(1e-3)
    assert curve[-1] == 1


def test_more_right_than_guessed_is_refused():
    with pytest.raises(ValueError, match="11 right of 10 guesses on 20 canaries"):
        one_run_bound(20, 10, 11, 0.0)
