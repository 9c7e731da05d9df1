"""BASE against plain probabilities, and at losses where a probability rounds to 0."""

import dataclasses
import math

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp
from sklearn.metrics import roc_auc_score

from mia_pruning.attacks import base
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
    found = base_offline(targets, shadows, None, scale=scale, temperature=2.0)
    wanted = slow(shadows, online=False, scale=scale, temperature=2.0)
    assert_follows(found, targets, shadows, wanted)


def test_auto_scale_and_temperature_are_the_best_of_the_grid_by_a_slow_count(made_up):
    """Each shadow is attacked by the others without its twin."""
    _, shadows, _ = made_up(1, n=40)

    def slow_quality(scale, temperature):
        score = slow(shadows, online=False, scale=scale, temperature=temperature)
        found = []
        for s in range(6):
            others = [r for r in range(6) if r // 2 != s // 2]
            scores = np.array([score(others, shadows.logits[s], x) for x in range(40)])
            known = ~np.isnan(scores)
            found.append(roc_auc_score(shadows.membership[s][known], scores[known]))
        return np.mean(found)

    grid = [(scale / 10, t) for t in (1, 2) for scale in range(11)]
    qualities = {setting: slow_quality(*setting) for setting in grid}
    best = base.choose(shadows, base.expected_offline, "auto", "auto")
    assert max(qualities.values()) > min(qualities.values()) + 0.01
    assert qualities[best.scale, best.temperature] == pytest.approx(max(qualities.values()))


@pytest.mark.parametrize(
    ("attack", "protocol"),
    [(base_online, "pool"), (base_offline, "pool"), (base_offline, "disjoint")],
)
def test_auto_equals_the_attack_with_the_numbers_that_it_chose(made_up, attack, protocol, caplog):
    targets, shadows, _ = made_up(2, n=60, protocol=protocol)
    online = attack is base_online
    expect = base.expected_online if online else base.expected_offline
    best = base.choose(shadows, expect, 1.0 if online else "auto", "auto")
    fixed = {"temperature": best.temperature} | ({} if online else {"scale": best.scale})
    other = fixed | {"temperature": 3.0 - best.temperature}
    with caplog.at_level("INFO", logger="mia_pruning"):
        found = attack(targets, shadows, None)
    assert f"chosen: {best}" in caplog.text
    np.testing.assert_array_equal(found, attack(targets, shadows, None, **fixed))
    assert (found != attack(targets, shadows, None, **other)).any()


def test_a_number_is_taken_as_it_is(made_up):
    best = base.choose(made_up(2)[1], base.expected_offline, 0.33, 3)
    assert (best.scale, best.temperature) == (0.33, 3.0)


@pytest.mark.parametrize(("leak", "low", "high"), [(8.0, 0.0, 0.6), (0.3, 0.8, 1.0)])
def test_the_scale_is_higher_where_networks_hardly_memorise(made_up, leak, low, high):
    def answers(rng, membership):
        difficulty = 3 * rng.normal(size=membership.shape[1])
        return difficulty + leak * membership + rng.normal(size=membership.shape)

    _, shadows, _ = made_up(0, n_shadows=8, n=2000, n_classes=2, answers=answers)
    assert low <= base.choose(shadows, base.expected_offline, "auto", 1.0).scale <= high


def test_both_sides_count_one_half_where_more_shadows_are_inside(made_up, assert_follows):
    """Shadows without twins, so that counts differ between the sides and between the examples."""
    targets, shadows, _ = made_up(n_shadows=8)
    kept = shadows.of_models([0, 1, 2, 4, 6], shadows.membership[[0, 1, 2, 4, 6]])
    inside = kept.membership.sum(axis=0)
    enough = (inside > 0) & (inside < 5)
    asked = np.broadcast_to(enough, targets.candidates.shape)
    targets = dataclasses.replace(targets, candidates=asked)
    assert np.unique(inside[enough]).size > 2
    found = base_online(targets, kept, None, temperature=1.0)
    assert_follows(found, targets, kept, slow(kept, online=True))


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
    fixed = {"temperature": 1.0} | ({"scale": 0.33} if attack is base_offline else {})
    assert_follows(attack(targets, shadows, None, **fixed), targets, shadows, score)


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
