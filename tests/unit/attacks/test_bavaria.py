"""BaVarIA: conjugacy by numerical integration, both limits in the number of shadows, tails."""

import itertools
import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import invgamma, norm, t

from mia_pruning.attacks.bavaria import (
    MOST_FREEDOM,
    Predictive,
    Prior,
    bavaria_offline,
    bavaria_online,
    fit_prior,
    log_tail,
    predict_next,
)
from mia_pruning.attacks.lira import answers, lira_offline, lira_online
from mia_pruning.attacks.references import Moments


def moments_of(values):
    """Of answers (n_models, n_examples), all chosen."""
    return Moments.of(np.asarray(values), np.ones(np.shape(values), dtype=bool))


def evidence(data, prior):
    """The probability of the data, summed over a grid of means and variances."""
    variances = np.exp(np.linspace(-6, 8, 400))[:, np.newaxis]
    means = np.linspace(-40, 40, 4001)
    density = invgamma.pdf(variances, prior.freedom / 2, scale=prior.freedom * prior.variance / 2)
    density = density * norm.pdf(means, prior.mean, np.sqrt(variances / prior.strength))
    for value in data:
        density = density * norm.pdf(value, means, np.sqrt(variances))
    variances = variances[:, 0]
    return np.trapezoid(np.trapezoid(density, means, axis=1) * variances, np.log(variances))


@pytest.mark.parametrize("data", [[1.0], [0.5, 2.5, 3.0]])
def test_the_predictive_density_is_the_ratio_of_evidences(data):
    prior, at = Prior(mean=-0.5, strength=0.6, variance=1.7, freedom=5.0), [-2.0, 1.0, 6.0]
    predictive = predict_next(moments_of(np.array(data)[:, np.newaxis]), prior)
    found = np.array([predictive.log_density(np.array([y]))[0] for y in at])
    wanted = np.log([evidence([*data, y], prior) / evidence(data, prior) for y in at])
    np.testing.assert_allclose(found - found[0], wanted - wanted[0], atol=1e-4)
    distribution = t(predictive.freedom[0], predictive.location[0], predictive.scale[0])
    np.testing.assert_allclose(distribution.logpdf(at), wanted, atol=1e-4)


def slow(shadows, *, online):
    """One example at a time, with scipy's t distribution; the prior is that of all shadows."""
    values = answers(shadows.logits, shadows.labels)
    inside, outside = shadows.membership, ~shadows.membership
    sides = [(of, fit_prior(Moments.of(values, of), "here")) for of in (inside, outside)]

    def distribution(others, x, side):
        chosen, prior = sides[side]
        known = [values[s, x] for s in others if chosen[s, x]]
        if not known:
            return None
        n, mean = len(known), np.mean(known)
        k, f = prior.strength + n, prior.freedom + n
        total = prior.freedom * prior.variance + sum((y - mean) ** 2 for y in known)
        total += prior.strength * n / k * (mean - prior.mean) ** 2
        location = (prior.strength * prior.mean + n * mean) / k
        return t(f, location, math.sqrt(total / f * (1 + 1 / k)))

    def score(others, logits, x):
        answer = answers(logits[x], shadows.labels[x])
        outside = distribution(others, x, 1)
        if online:
            inside = distribution(others, x, 0)
            return math.nan if inside is None else inside.logpdf(answer) - outside.logpdf(answer)
        above = answer > outside.mean()
        return -math.log(2 * outside.sf(answer)) if above else math.log(2 * outside.cdf(answer))

    return score


@pytest.mark.parametrize("n_shadows", [4, 6, 10])
@pytest.mark.parametrize("seed", range(3))
def test_online_equals_the_slow_loop(made_up, assert_follows, seed, n_shadows):
    targets, shadows, _ = made_up(seed, n_shadows)
    found = bavaria_online(targets, shadows, None)
    assert_follows(found, targets, shadows, slow(shadows, online=True))


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
@pytest.mark.parametrize("seed", range(3))
def test_offline_equals_the_slow_loop_in_both_protocols(made_up, assert_follows, seed, protocol):
    targets, shadows, _ = made_up(seed, protocol=protocol)
    found = bavaria_offline(targets, shadows, None)
    assert_follows(found, targets, shadows, slow(shadows, online=False))


def test_the_prior_that_made_the_examples_is_found_again():
    wanted = Prior(mean=3.0, strength=0.25, variance=2.0, freedom=8.0)
    rng, n = np.random.default_rng(0), 40_000
    variances = wanted.freedom * wanted.variance / rng.chisquare(wanted.freedom, n)
    means = wanted.mean + np.sqrt(variances / wanted.strength) * rng.normal(size=n)
    found = fit_prior(moments_of(means + np.sqrt(variances) * rng.normal(size=(6, n))), "here")
    for name in ("mean", "strength", "variance", "freedom"):
        assert getattr(found, name) == pytest.approx(getattr(wanted, name), rel=0.1), name


def test_equal_variances_leave_next_to_nothing_to_learn_from_one_example():
    rng, n = np.random.default_rng(0), 20_000
    values = 5 * rng.normal(size=n) + rng.normal(size=(3, n))
    prior = fit_prior(moments_of(values), "here")
    assert prior.variance == pytest.approx(1.0, rel=0.05)
    assert prior.freedom > 50


def normal_answers(shift, spread_of_deviations):
    """Log-odds N(difficulty, deviation^2) outside, `shift` deviations higher inside."""

    def made(rng, membership):
        n = membership.shape[1]
        difficulty = 4 * rng.normal(size=n)
        deviation = np.exp(spread_of_deviations * rng.normal(size=n))
        return difficulty + deviation * (shift * membership + rng.normal(size=membership.shape))

    return made


def ranks(scores):
    return np.argsort(np.argsort(scores.ravel()))


def correlations(bayesian, lira, targets, shadows):
    """Of ranks: with LiRA by each example's variance, and with LiRA by the pooled one."""
    found = ranks(bayesian(targets, shadows, None))
    by_lira = [lira(targets, shadows, None, variance=v) for v in ("per_example", "pooled")]
    return [np.corrcoef(found, ranks(scores))[0, 1] for scores in by_lira]


PAIRS = [(bavaria_online, lira_online), (bavaria_offline, lira_offline)]


@pytest.mark.parametrize(("bayesian", "lira"), PAIRS)
def test_many_shadows_give_lira_with_each_examples_own_variance(made_up, bayesian, lira):
    made = normal_answers(1.0, spread_of_deviations=1.0)
    targets, shadows, _ = made_up(1, n_shadows=400, n=150, n_classes=2, answers=made)
    own, pooled = correlations(bayesian, lira, targets, shadows)
    assert own > 0.985
    assert pooled < 0.95


@pytest.mark.parametrize(("bayesian", "lira"), PAIRS)
def test_few_shadows_of_equal_variances_give_lira_with_pooled_variance(made_up, bayesian, lira):
    made = normal_answers(1.0, spread_of_deviations=0.0)
    targets, shadows, _ = made_up(2, n_shadows=6, n=3000, n_classes=2, answers=made)
    own, pooled = correlations(bayesian, lira, targets, shadows)
    assert pooled > 0.985
    assert own < 0.95


@pytest.mark.parametrize("attack", [bavaria_online, bavaria_offline])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_two_normals_give_the_power_of_the_likelihood_ratio(made_up, attack, shift):
    """TPR = Phi(Phi^-1(FPR) + shift), up to the error of what 32 models on a side say."""
    made = normal_answers(shift, spread_of_deviations=0.0)
    targets, shadows, members = made_up(3, n_shadows=64, n=8000, n_classes=2, answers=made)
    scores = attack(targets, shadows, None)
    for fpr in (0.01, 0.1, 0.5):
        tpr = (scores[members] > np.quantile(scores[~members], 1 - fpr)).mean()
        assert tpr == pytest.approx(norm.cdf(norm.ppf(fpr) + shift), abs=0.03)
    accuracy = ((scores > 0)[members].mean() + (scores <= 0)[~members].mean()) / 2
    assert accuracy == pytest.approx(norm.cdf(shift / 2), abs=0.02)


@pytest.mark.parametrize("freedom", [3.5, 40.0, 600.0, MOST_FREEDOM])
@pytest.mark.parametrize("z", [0.0, 2.0, 30.0, 60.0, 1e4])
def test_the_log_of_a_tail_is_that_of_the_integral_however_far(freedom, z):
    def relative(distance):
        return math.exp(t.logpdf(z + distance, freedom) - t.logpdf(z, freedom))

    step = max(z, 1.0) / 10  # pieces, so that quad does not overlook where the mass is
    edges = [0.0, *(step * 2.0**k for k in range(30))]
    area = sum(quad(relative, *piece)[0] for piece in itertools.pairwise(edges))
    (found,) = log_tail(np.array([z]), np.array([freedom]))
    assert found == pytest.approx(t.logpdf(z, freedom) + math.log(area), rel=1e-4, abs=1e-4)


def test_the_signed_tail_rises_strictly_from_far_below_to_far_above():
    z = np.concatenate([-np.logspace(5, -3, 400), [0.0], np.logspace(-3, 5, 400)])
    for freedom in (3.0, 200.0, MOST_FREEDOM):
        known = Predictive(np.full(z.size, 1.0), np.full(z.size, 2.0), np.full(z.size, freedom))
        found = known.signed_tail(1.0 + 2.0 * z)
        assert (np.diff(found) > 0).all()
        assert np.isfinite(found).all()
        above = (z > 0) & (z < 5)
        wanted = -np.log(2 * t.sf(z[above], freedom))
        np.testing.assert_allclose(found[above], wanted, atol=1e-8)


SIDES = [(bavaria_online, "inside"), (bavaria_offline, "outside")]


@pytest.mark.parametrize(("attack", "side"), SIDES)
def test_shadows_too_few_for_a_variance_are_refused_with_a_remedy(made_up, attack, side):
    targets, shadows, _ = made_up(n_shadows=2)
    sentence = f"bavaria, shadow models {side}: no example has two of them, .*at least 4"
    with pytest.raises(ValueError, match=sentence):
        attack(targets, shadows, None)
