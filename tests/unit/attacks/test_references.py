"""Attacks that compare models example by example, against slow loops written from their formulas, and on known distributions."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from mia_pruning.attacks.calibrated_loss import calibrated_loss
from mia_pruning.attacks.lira import lira_offline, lira_online
from mia_pruning.attacks.references import Moments, pairs
from mia_pruning.attacks.rmia import rmia_offline, rmia_online
from mia_pruning.types import Signals


def made_up(seed, n_shadows=6, n_targets=2, n=12, n_population=10, n_classes=3):
    """Twins 2k and 2k + 1; everybody's candidates are all examples."""
    rng = np.random.default_rng(seed)
    n_models = n_targets + n_shadows
    halves = np.argsort(rng.random((n_models // 2, n)), axis=1) % 2 == 0
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n)
    labels, population_labels = (
        rng.integers(0, n_classes, n),
        rng.integers(0, n_classes, n_population),
    )
    logits = rng.normal(size=(n_models, n, n_classes))
    logits[:, np.arange(n), labels] += 2 * membership
    population = rng.normal(size=(n_models, n_population, n_classes))
    both = Signals(
        logits,
        labels,
        np.ones((n_models, n), dtype=bool),
        membership,
        population,
        population_labels,
    )
    return rows(both, slice(None, n_targets), None), rows(
        both, slice(n_targets, None), membership[n_targets:]
    )


def rows(signals, chosen, membership):
    return dataclasses.replace(
        signals,
        logits=signals.logits[chosen],
        candidates=signals.candidates[chosen],
        membership=membership,
        population=signals.population[chosen],
    )


# --- the slow way: one model, one example and one shadow at a time --------------------------------------------------------


def probability(logits, label):
    return math.exp(logits[label]) / sum(math.exp(logit) for logit in logits)


def log_odds(logits, label):
    p = probability(logits, label)
    return math.log(p) - math.log(1 - p)


def split_by_membership(shadows, others, x, statistic):
    inside = [
        statistic(shadows.logits[s, x], shadows.labels[x])
        for s in others
        if shadows.membership[s, x]
    ]
    outside = [
        statistic(shadows.logits[s, x], shadows.labels[x])
        for s in others
        if not shadows.membership[s, x]
    ]
    return inside, outside


def pooled_deviation(shadows, kind):
    squares, degrees = 0.0, 0
    for x in range(len(shadows.labels)):
        values = split_by_membership(shadows, range(len(shadows.logits)), x, log_odds)[kind]
        squares += sum((value - np.mean(values)) ** 2 for value in values)
        degrees += len(values) - 1
    return math.sqrt(squares / degrees)


def slow_lira(shadows, others, logits, x, *, online, variance):
    answer = log_odds(logits[x], shadows.labels[x])
    values = split_by_membership(shadows, others, x, log_odds)
    spread = [
        np.std(v, ddof=1) if variance == "per_example" else pooled_deviation(shadows, k)
        for k, v in enumerate(values)
    ]
    if online:
        return norm.logpdf(answer, np.mean(values[0]), spread[0]) - norm.logpdf(
            answer, np.mean(values[1]), spread[1]
        )
    return (answer - np.mean(values[1])) / spread[1]


def slow_scores(targets, shadows, score):
    """Of the targets by all shadows; thresholds as the attacks set them: each shadow by all but itself and its twin."""
    n_shadows, n = shadows.membership.shape
    every = range(n_shadows)
    scores = np.array(
        [
            [score(every, t, p, x) for x in range(n)]
            for t, p in zip(targets.logits, targets.population, strict=True)
        ]
    )
    own = []
    for s in every:
        others = [r for r in every if r // 2 != s // 2]
        own += [
            (score(others, shadows.logits[s], shadows.population[s], x), shadows.membership[s, x])
            for x in range(n)
        ]
    return scores, own


def assert_same(found, wanted, own):
    """The same scores, and a threshold that no other beats in balanced accuracy on the shadows."""
    thresholds = (wanted - found).ravel()
    assert np.ptp(thresholds) < 1e-6
    values, members = (np.array(column) for column in zip(*own, strict=True))

    def accuracy(threshold):
        return ((values > threshold)[members].mean() + (values <= threshold)[~members].mean()) / 2

    best = max(accuracy(threshold) for threshold in [-np.inf, *values])
    assert max(accuracy(thresholds[0] + shift) for shift in (-1e-9, 0, 1e-9)) == pytest.approx(best)


@given(
    seed=st.integers(0, 500),
    online=st.booleans(),
    variance=st.sampled_from(["pooled", "per_example"]),
    n_shadows=st.sampled_from([6, 8, 10]),
    n_classes=st.integers(2, 5),
)
def test_lira_equals_the_slow_loop(seed, online, variance, n_shadows, n_classes):
    targets, shadows = made_up(seed, n_shadows, n_classes=n_classes)
    attack = lira_online if online else lira_offline
    found = attack(targets, shadows, np.random.default_rng(0), variance=variance)
    wanted, own = slow_scores(
        targets,
        shadows,
        lambda others, t, p, x: slow_lira(shadows, others, t, x, online=online, variance=variance),
    )
    assert_same(found, wanted, own)


def test_calibrated_loss_equals_the_slow_loop():
    targets, shadows = made_up(3)

    def score(others, logits, population, x):
        outside = split_by_membership(shadows, others, x, probability)[1]
        return math.log(probability(logits[x], shadows.labels[x])) - np.mean(np.log(outside))

    assert_same(
        calibrated_loss(targets, shadows, np.random.default_rng(0)),
        *slow_scores(targets, shadows, score),
    )


# --- known distributions ----------------------------------------------------------------------------------------------


def normal_signals(shift, n_shadows=64, n_targets=8, n=4000, seed=0):
    """Log-odds N(mu_x, 1) outside and N(mu_x + shift, 1) inside; two classes, so log-odds are the difference of the logits."""
    targets, shadows = made_up(seed, n_shadows, n_targets, n, n_population=10, n_classes=2)
    rng = np.random.default_rng(seed)
    difficulty = 3 * rng.normal(size=n)
    halves = np.argsort(rng.random((n_targets // 2, n)), axis=1) % 2 == 0
    members = np.stack([halves, ~halves], axis=1).reshape(n_targets, n)

    def logits(membership):
        answers = difficulty + shift * membership + rng.normal(size=membership.shape)
        sign = np.where(shadows.labels == 1, 1, -1)
        return np.stack([np.zeros_like(answers), answers * sign], axis=-1)

    known = dataclasses.replace(shadows, logits=logits(shadows.membership))
    return dataclasses.replace(targets, logits=logits(members)), known, members


def tpr_at(scores, members, fpr):
    return (scores[members] > np.quantile(scores[~members], 1 - fpr)).mean()


@pytest.mark.parametrize("attack", [lira_online, lira_offline])
@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0])
def test_two_normals_give_the_power_of_the_likelihood_ratio_at_every_rate(attack, shift):
    """TPR = Phi(Phi^-1(FPR) + shift), and accuracy Phi(shift / 2), up to the error of 32 models' means."""
    targets, shadows, members = normal_signals(shift)
    scores = attack(targets, shadows, np.random.default_rng(0))
    for fpr in (0.001, 0.01, 0.1, 0.5):
        assert tpr_at(scores, members, fpr) == pytest.approx(
            norm.cdf(norm.ppf(fpr) + shift), abs=0.03
        )
    accuracy = ((scores > 0)[members].mean() + (scores <= 0)[~members].mean()) / 2
    assert accuracy == pytest.approx(norm.cdf(shift / 2), abs=0.02)


def test_where_examples_differ_in_difficulty_a_global_threshold_sees_less():
    targets, shadows, members = normal_signals(2.0)
    answers = np.where(shadows.labels == 1, 1, -1) * (
        targets.logits[..., 1] - targets.logits[..., 0]
    )
    assert (
        tpr_at(answers, members, 0.01)
        < 0.1
        < 0.3
        < tpr_at(lira_online(targets, shadows, None), members, 0.01)
    )


def test_a_target_that_is_a_copy_of_the_inside_shadows_is_seen_through():
    targets, shadows, members = normal_signals(50.0)
    for attack in (lira_online, lira_offline):
        scores = attack(targets, shadows, np.random.default_rng(0))
        assert ((scores > 0) == members).all()


# --- bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("attack", "side"),
    [
        (lira_online, False),
        (rmia_online, False),
        *(
            (attack, True)
            for attack in (lira_online, lira_offline, rmia_online, rmia_offline, calibrated_loss)
        ),
    ],
)
def test_examples_that_are_never_in_or_never_out_are_counted(attack, side):
    """A quarter of the examples is outside of all shadows, or inside of all."""
    targets, shadows = made_up(0)
    membership = shadows.membership.copy()
    membership[:, :3] = side
    with pytest.raises(
        ValueError, match=r"6 shadow models are too few: 25\.0% of the targets' examples"
    ):
        attack(
            targets, dataclasses.replace(shadows, membership=membership), np.random.default_rng(0)
        )


def test_one_pair_of_shadows_cannot_set_a_threshold():
    targets, shadows = made_up(0, n_shadows=2)
    with pytest.raises(
        ValueError, match="2 shadow models are too few: without one of them and its twin"
    ):
        calibrated_loss(targets, shadows, np.random.default_rng(0))


def test_moments_of_a_difference_are_those_of_the_rest():
    rng = np.random.default_rng(0)
    values, chosen = rng.normal(size=(5, 7)), rng.random((5, 7)) < 0.6
    rest = Moments.of(values, chosen) - Moments.of(values[:2], chosen[:2])
    for column in range(7):
        kept = values[2:, column][chosen[2:, column]]
        assert rest.count[column] == kept.size
        if kept.size:
            assert rest.mean[column] == pytest.approx(kept.mean())
            assert rest.deviations[column] == pytest.approx(
                ((kept - kept.mean()) ** 2).sum(), abs=1e-12
            )


def test_twins_are_found_among_candidates_only():
    candidates = np.array([[True, True, False], [True, True, False], [True, True, True]])
    membership = np.array([[True, False, False], [False, True, False], [False, True, False]])
    assert pairs(membership, candidates) == [[0, 1], [1, 0], [2]]
