"""Simulations: a leak is found; a mechanism that keeps its promise is rarely accused."""

from functools import cache
from itertools import product
from math import comb, exp

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog
from scipy.stats import binom, norm

from mia_pruning.metrics.f_dp_audit import (
    approximate,
    expected_mu,
    gaussian,
    gaussian_bound,
    gaussian_epsilon,
    least_total,
    refutes,
    without_half_excess,
)

N_SIMULATIONS = 1000
#: So many accusations of 1,000 are exceeded with probability 1 % where each has 5 %.
MOST_ACCUSED = int(binom.isf(0.01, N_SIMULATIONS, 0.05))


def critical_count(n_canaries, n_guesses, least):
    """The least number of right guesses that refutes a promise; n_guesses + 1 if none does."""
    accused = range(n_guesses + 2)
    low, high = accused[0], accused[-1]
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (
            (low, middle) if refutes(n_canaries, n_guesses, middle, least) else (middle, high)
        )
    return high


def pure(epsilon):
    return approximate([epsilon], [0.0])


def slow_total(m, r, v, level, least):
    """Solved for the least total mass of p_0 .. p_v, one inequality for each tail, by trying ever more of each."""
    p = [0.0] * (r + 1)
    p[v] = level
    for t in range(v, 0, -1):
        right = sum(s / m * p[s] for s in range(t, r + 1))
        wrong = sum((r - s) / m * p[s] for s in range(t, r + 1))
        missing = float(least(np.array([right]))[0]) - wrong
        p[t - 1] = max(missing, 0.0) * m / (r - t + 1)
    return sum(p)


@given(
    st.integers(1, 12),
    st.data(),
    st.sampled_from([gaussian(0.7), pure(0.5), approximate([0.4, 1.0], [0.05, 0.0])]),
)
def test_the_recursion_equals_the_masses_written_out(n_guesses, data, least):
    n_correct = data.draw(st.integers(0, n_guesses))
    n_canaries = data.draw(st.integers(n_guesses, 40))
    slow = slow_total(n_canaries, n_guesses, n_correct, 0.05, least)
    if slow < n_canaries / n_guesses:  # beyond it a probability would be above 1
        assert least_total(n_canaries, n_guesses, n_correct, 0.05, least)[0] == pytest.approx(slow)


@pytest.mark.parametrize(("n_correct", "mu"), [(5, 0.3), (6, 0.3), (5, 1.0)])
def test_the_recursion_is_the_least_that_any_distribution_needs(n_correct, mu):
    """Convex: g is replaced by its tangents, and the program looks for the most that a tail may have."""
    m, r = 6, 6
    points = np.linspace(1e-4, 1 - 1e-4, 400)
    least = gaussian(mu)
    slopes = np.exp(norm.logpdf(norm.ppf(points) - mu) - norm.logpdf(norm.ppf(points)))
    rows = []
    limits = []
    for t, (point, slope) in product(range(1, r + 1), zip(points, slopes, strict=True)):
        counts = np.arange(r + 1)
        right = np.where(counts >= t, counts / m, 0.0)
        wrong = np.where(counts >= t - 1, (r - counts) / m, 0.0)
        rows.append(slope * right - wrong)
        limits.append(slope * point - float(least(np.array([point]))[0]))
    tail = -(np.arange(r + 1) >= n_correct).astype(float)
    found = linprog(tail, A_ub=rows, b_ub=limits, A_eq=[np.ones(r + 1)], b_eq=[1.0])
    most = -found.fun
    assert (
        least_total(m, r, n_correct, most - 2e-3, least)[0]
        < 1
        < least_total(m, r, n_correct, most + 2e-3, least)[0]
    )


def test_pure_privacy_has_nearly_the_binomials_critical_count():
    """Randomised response attains the binomial tail, so no valid test may accuse earlier; this one needs one more at most."""
    for epsilon, (m, r) in product((0.0, 1.0, 2.0), ((100, 100), (1400, 140), (1400, 1400))):
        exact = binom.isf(0.05, r, 1 / (1 + exp(-epsilon))) + 1
        assert exact <= critical_count(m, r, pure(epsilon)) <= exact + 1


def test_half_right_proves_nothing_and_all_right_most():
    bounds = [gaussian_bound(1000, 200, n_correct) for n_correct in range(0, 201, 10)]
    assert bounds == sorted(bounds)
    assert set(bounds[:11]) == {0.0}
    assert bounds[-1] > bounds[-2] > 0


def test_the_bound_is_the_largest_mu_that_is_refuted():
    bound = gaussian_bound(1000, 200, 150)
    assert refutes(1000, 200, 150, gaussian(bound))
    assert not refutes(1000, 200, 150, gaussian(bound + 2e-4))


@pytest.mark.parametrize("share", [0.2, 1.0])
def test_with_more_examples_the_bound_nears_its_closed_form(share):
    errors = []
    for n in (2000, 20_000, 100_000):
        design = n, round(share * n), round(0.75 * share * n)
        errors.append(abs(gaussian_bound(*design) / float(expected_mu(*design)) - 1))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.03


def test_epsilon_of_a_gaussian_mechanism_is_where_its_delta_is_met():
    for mu, delta in product((0.1, 1.0, 4.0), (1e-2, 1e-6)):
        epsilon = gaussian_epsilon(mu, delta)
        met = norm.cdf(mu / 2 - epsilon / mu) - exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu)
        assert met == pytest.approx(delta, rel=1e-6)
    assert gaussian_epsilon(1e-9, 1e-2) == 0


def test_a_curve_read_off_at_some_deltas_demands_no_more_than_the_mechanism():
    deltas = [0.3, 0.1, 1e-2, 1e-4, 1e-6]
    some = approximate([gaussian_epsilon(1.0, delta) for delta in deltas], deltas)
    probability = np.linspace(0.001, 0.999, 200)
    assert (some(probability) <= gaussian(1.0)(probability) + 1e-9).all()
    assert critical_count(1000, 400, some) <= critical_count(1000, 400, gaussian(1.0)) + 12


def test_counts_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="11 right of 10 guesses on 20 canaries"):
        gaussian_bound(20, 10, 11)
    with pytest.raises(ValueError, match="at least one guess is needed"):
        gaussian_bound(20, 0, 0)


def halves(rng, n_canaries, n_classes):
    """Membership (N_SIMULATIONS, n_canaries) of exactly half of each class."""
    one_class = np.arange(n_canaries // n_classes) % 2 == 0
    members = np.tile(one_class, (N_SIMULATIONS, n_classes, 1))
    return rng.permuted(members, axis=2).reshape(N_SIMULATIONS, n_canaries)


def coins(rng, n_canaries):
    return rng.random((N_SIMULATIONS, n_canaries)) < 0.5


def right_guesses(scores, members, n_guesses):
    """(N_SIMULATIONS,) right guesses of the highest and the lowest scores."""
    ranked = np.take_along_axis(members, np.argsort(scores, axis=1), axis=1)
    half = n_guesses // 2
    return ranked[:, -half:].sum(axis=1) + (~ranked[:, :half]).sum(axis=1)


@pytest.mark.parametrize("membership", ["coins", "halves"])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_randomised_response_is_found_and_not_accused(membership, epsilon):
    """Each example answers rightly with the probability that epsilon allows at most."""
    rng = np.random.default_rng(0)
    members = coins(rng, 600) if membership == "coins" else halves(rng, 600, 10)
    honest = rng.random(members.shape) < 1 / (1 + exp(-epsilon))
    right = honest.sum(axis=1)
    excess = 0 if membership == "coins" else 600 - without_half_excess(600, 10)
    accused = right - excess >= critical_count(600, 600, pure(epsilon))
    assert accused.sum() <= MOST_ACCUSED
    found = right - excess >= critical_count(600, 600, pure(0.5 * epsilon))
    assert found.mean() > 0.8


@pytest.mark.parametrize("membership", ["coins", "halves"])
@pytest.mark.parametrize("n_guesses", [60, 600])
@pytest.mark.parametrize("mu", [0.0, 1.0])
def test_a_gaussian_mechanism_is_not_accused(membership, n_guesses, mu):
    rng = np.random.default_rng(1)
    members = coins(rng, 600) if membership == "coins" else halves(rng, 600, 10)
    right = right_guesses(rng.normal(size=members.shape) + mu * members, members, n_guesses)
    excess = 0 if membership == "coins" else n_guesses - without_half_excess(n_guesses, 10)
    assert (right - excess >= critical_count(600, n_guesses, gaussian(mu))).sum() <= MOST_ACCUSED


def test_a_gaussian_mechanism_that_leaks_more_than_it_promises_is_found():
    rng = np.random.default_rng(2)
    members = halves(rng, 600, 10)
    right = right_guesses(rng.normal(size=members.shape) + 1.0 * members, members, 240)
    bounds = [
        gaussian_bound(600, 240, without_half_excess(int(n), 10))
        for n in np.quantile(right, [0.1, 0.5])
    ]
    assert 0.4 < bounds[0] < bounds[1] < 1.0
    assert without_half_excess(int(np.median(right)), 10) >= critical_count(600, 240, gaussian(0.4))


def test_a_choice_on_other_targets_that_had_this_one_as_shadow_is_not_accused():
    """Nothing leaks. Four pairs of targets; each is attacked by itself and against its six shadow models."""
    rng = np.random.default_rng(3)
    n, shares = 120, (12, 24, 60, 120)
    first = np.stack([halves(rng, n, 2) for _ in range(4)], axis=1)
    members = np.stack([first, ~first], axis=2).reshape(N_SIMULATIONS, 8, n)
    losses = rng.normal(size=members.shape)
    right = np.zeros((N_SIMULATIONS, 8, 2, len(shares)), dtype=int)
    for target in range(8):
        others = np.setdiff1d(np.arange(8), [target, target ^ 1])
        signs = np.where(members[:, others], 1.0, -1.0)
        against = losses[:, target] * (signs * losses[:, others]).sum(axis=1)
        for row, scores in enumerate((losses[:, target], against)):
            counts = [right_guesses(scores, members[:, target], share) for share in shares]
            right[:, target, row] = np.stack(counts, axis=1)
    designs = np.broadcast_to(np.array(shares), right.shape[2:]).ravel()
    expected = expected_mu(
        np.full(designs.shape, n), designs, right[:, 2:].mean(axis=1).reshape(N_SIMULATIONS, -1)
    )
    chosen = expected.argmax(axis=1)
    counted = right[:, 0].reshape(N_SIMULATIONS, -1)[np.arange(N_SIMULATIONS), chosen]
    critical = np.array([critical_count(n, share, gaussian(0.0)) for share in designs])[chosen]
    assert (counted - 1 >= critical).sum() <= MOST_ACCUSED


@cache
def half_program(n, r, epsilon):
    """All mechanisms that guess r of n examples, half of them as members, and are epsilon-private for one example more or less.

    A mechanism may be taken as symmetric in the examples. Then the probability of its guesses depends on how many members there
    are (k), how many of the guessed members are such (x), and how many of the guessed non-members are members (z).
    """
    g = r // 2
    states = [
        (k, x, z)
        for k in range(n + 1)
        for x in range(g + 1)
        for z in range(g + 1)
        if x + z <= k <= n - 2 * g + x + z
    ]
    index = {state: i for i, state in enumerate(states)}
    ways = [
        comb(k, x) * comb(k - x, z) * comb(n - k, g - x) * comb(n - k - g + x, g - z)
        for k, x, z in states
    ]
    rows = []
    for i, (k, x, z) in enumerate(states):
        for more in {(k + 1, x + 1, z), (k + 1, x, z + 1), (k + 1, x, z)} & index.keys():
            if more == (k + 1, x, z) and n - k - (g - x) - (g - z) < 1:
                continue
            ratio = ways[index[more]] / ways[i]
            for one, other in ((i, index[more]), (index[more], i)):
                row = np.zeros(len(states))
                row[one], row[other] = (
                    (ratio, -exp(epsilon)) if one == i else (1.0, -exp(epsilon) * ratio)
                )
                rows.append(row / np.abs(row).max())
    totals = [[float(k == of) for k, _, _ in states] for of in range(n + 1)]
    return states, np.array(rows), np.array(totals)


def most_at_half(n, r, epsilon, value):
    """The largest expectation of value(right guesses) where exactly half of the examples are members."""
    states, rows, totals = half_program(n, r, epsilon)
    gain = [-float(value(x + r // 2 - z)) if k == n // 2 else 0.0 for k, x, z in states]
    found = linprog(gain, A_ub=rows, b_ub=np.zeros(len(rows)), A_eq=totals, b_eq=np.ones(n + 1))
    return -found.fun


@pytest.mark.parametrize(
    ("n", "r", "epsilon"), [(12, 12, 0.5), (20, 20, 1.0), (20, 20, 2.0), (16, 8, 1.0)]
)
def test_exact_halves_add_less_than_half_a_right_guess_and_one_covers_their_tail(n, r, epsilon):
    honest = 1 / (1 + exp(-epsilon))
    excess = most_at_half(n, r, epsilon, lambda right: right) - r * honest
    assert 0 < excess < 0.5
    for count in range(r // 2 + 1, r + 1):
        worst = most_at_half(n, r, epsilon, lambda right, c=count: right >= c)
        assert worst <= binom.sf(count - 2, r, honest) + 1e-7
