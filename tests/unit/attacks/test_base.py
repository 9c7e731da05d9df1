"""BASE against plain probabilities, and at losses where a probability rounds to 0."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from mia_pruning.attacks.base import base_offline, base_online, log_mean_exp


def probability(logits, label, temperature):
    powers = [math.exp(logit / temperature) for logit in logits]
    return powers[label] / sum(powers)


def slow(shadows, *, online, scale=1.0, temperature=1.0):
    """Plain probabilities, one shadow at a time."""

    def score(others, logits, x):
        label, sides = shadows.labels[x], {True: [], False: []}
        for s in others:
            side = sides[bool(shadows.membership[s, x])]
            side.append(probability(shadows.logits[s, x], label, temperature))
        if not sides[False] or (online and not sides[True]):
            return math.nan
        mean = np.mean(sides[False])
        if online:
            mean = (mean + np.mean(sides[True])) / 2
        return math.log(probability(logits[x], label, temperature)) - scale * math.log(mean)

    return score


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_online_equals_the_log_ratio_of_probabilities(made_up, assert_follows, seed, temperature):
    targets, shadows, _ = made_up(seed)
    found = base_online(targets, shadows, None, temperature=temperature)
    wanted = slow(shadows, online=True, temperature=temperature)
    assert_follows(found, targets, shadows, wanted)


@pytest.mark.parametrize("protocol", ["pool", "disjoint"])
@pytest.mark.parametrize("scale", [0.0, 0.33, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_offline_equals_the_slow_loop(made_up, assert_follows, seed, scale, protocol):
    targets, shadows, _ = made_up(seed, protocol=protocol)
    found = base_offline(targets, shadows, None, scale=scale)
    assert_follows(found, targets, shadows, slow(shadows, online=False, scale=scale))


def test_both_sides_count_one_half_where_more_shadows_are_inside(made_up, assert_follows):
    """Shadows without twins, so that counts differ between the sides and between the examples."""
    targets, shadows, _ = made_up(n_shadows=8)
    kept = shadows.of_models([0, 1, 2, 4, 6], shadows.membership[[0, 1, 2, 4, 6]])
    inside = kept.membership.sum(axis=0)
    enough = (inside > 0) & (inside < 5)
    asked = np.broadcast_to(enough, targets.candidates.shape)
    targets = dataclasses.replace(targets, candidates=asked)
    assert np.unique(inside[enough]).size > 2
    assert_follows(base_online(targets, kept, None), targets, kept, slow(kept, online=True))


@pytest.mark.parametrize("attack", [base_online, base_offline])
def test_a_pair_that_dominates_the_sum_is_left_out_exactly(made_up, assert_follows, attack):
    """One pair of shadows is certain of every label; the others give losses of hundreds."""
    targets, shadows, _ = made_up(n_shadows=6)
    logits = 300 * shadows.logits
    rows = np.arange(len(shadows.labels))
    logits[:2, rows, shadows.labels] += 1e5
    shadows = dataclasses.replace(shadows, logits=logits)
    log_p = log_softmax(logits, axis=-1)[:, rows, shadows.labels]

    def mean(others, x, side):
        values = [log_p[s, x] for s in others if shadows.membership[s, x] == side]
        return logsumexp(values) - math.log(len(values))

    def score(others, logits, x):
        own = log_softmax(logits[x])[shadows.labels[x]]
        outside = mean(others, x, False)
        if attack is base_offline:
            return own - 0.33 * outside
        return own - logsumexp([outside, mean(others, x, True)]) + math.log(2)

    assert log_p.min() < -745  # of which exp is 0
    assert_follows(attack(targets, shadows, None), targets, shadows, score)


def test_the_log_of_a_mean_of_two_hand_made_probabilities(made_up):
    values = np.log([[0.9, 0.2], [0.7, 0.4]])
    found = np.exp(log_mean_exp(values, np.ones((2, 2), dtype=bool)))
    assert found == pytest.approx([0.8, 0.3])
    assert np.isnan(log_mean_exp(values, np.zeros((2, 2), dtype=bool))).all()


def test_online_needs_shadows_on_both_sides_of_every_example(made_up):
    targets, shadows, _ = made_up()
    membership = shadows.membership.copy()
    membership[:, :6] = False
    shadows = dataclasses.replace(shadows, membership=membership)
    with pytest.raises(ValueError, match=r"6 shadow models are too few: 25\.0% of the"):
        base_online(targets, shadows, None)
