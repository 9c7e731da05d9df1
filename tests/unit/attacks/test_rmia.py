"""RMIA against a slow loop written from its formulas; saturated answers, small populations, and
what `auto` chooses.
"""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mia_pruning.attacks import rmia
from mia_pruning.attacks.choosing import mean_auc
from mia_pruning.attacks.ratios import Means, log_odds, log_ratio, majority, share_beaten, taylor
from mia_pruning.metrics.membership import balanced_accuracy, best_threshold, weighted_roc
from mia_pruning.types import Signals

ATTACKS = {
    (False, False): rmia.rmia_offline,
    (True, False): rmia.rmia_online,
    (False, True): rmia.rmia_offline_augmented,
    (True, True): rmia.rmia_online_augmented,
}


def made_up(
    seed,
    n_shadows=6,
    n_targets=2,
    n=12,
    n_population=10,
    n_classes=3,
    n_copies=4,
    leak=2.0,
    ease=0.0,
    spread=0.0,
):
    """Targets, shadows and the targets' membership; twins 2k and 2k + 1; everybody's candidates
    are all examples.

    ease: added to the logit of the label, for everybody; spread: its deviation between examples.
    """
    rng = np.random.default_rng(seed)
    n_models = n_targets + n_shadows
    halves = np.argsort(rng.random((n_models // 2, n)), axis=1) % 2 == 0
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n)
    labels, population_labels = (rng.integers(0, n_classes, size) for size in (n, n_population))
    logits = rng.normal(size=(n_models, n, n_classes))
    difficulty = spread * np.random.default_rng(1).normal(size=n)
    logits[:, np.arange(n), labels] += leak * membership + ease + difficulty
    population = rng.normal(size=(n_models, n_population, n_classes))
    population[:, np.arange(n_population), population_labels] += ease
    copies = logits[:, :, np.newaxis] + 0.3 * rng.normal(size=(n_models, n, n_copies, n_classes))
    both = Signals(
        logits,
        labels,
        np.ones((n_models, n), dtype=bool),
        membership,
        population,
        population_labels,
        probes={"augmented": copies},
    )
    targets, shadows = slice(None, n_targets), slice(n_targets, None)
    known = both.of_models(shadows, membership[shadows])
    return both.of_models(targets, None), known, membership[targets]


# --- the slow way: one model, one example, one z and one shadow at a time ---------------


def slow_probability(logits, label, softmax, temperature):
    scaled = [logit / temperature for logit in logits]
    if softmax == "plain":
        values = [math.exp(logit) for logit in scaled]
    else:
        series = lambda x: sum(x**i / math.factorial(i) for i in range(5))  # noqa: E731
        values = [series(logit - 0.6 if c == label else logit) for c, logit in enumerate(scaled)]
    return values[label] / sum(values)


def slow_ratio(p, inside, outside, online, a):
    if online:
        return p / ((np.mean(inside) + np.mean(outside)) / 2)
    return p / ((1 + a) / 2 * np.mean(outside) + (1 - a) / 2)


def queries(signals, model, x, augmented):
    yield signals.logits[model, x]
    if augmented:
        yield from signals.probes["augmented"][model, x]


def slow_ratios(shadows, others, signals, model, x, kind, a, temperature):
    """The ratio of each query about x."""
    found = []
    for k, logits in enumerate(queries(signals, model, x, kind.augmented)):
        values = {True: [], False: []}
        for s in others:
            of_shadow = list(queries(shadows, s, x, kind.augmented))[k]
            p = slow_probability(of_shadow, shadows.labels[x], kind.softmax, temperature)
            values[bool(shadows.membership[s, x])].append(p)
        p = slow_probability(logits, shadows.labels[x], kind.softmax, temperature)
        found.append(slow_ratio(p, values[True], values[False], kind.online, a))
    return found


def slow_population(shadows, others, signals, model, kind, a, temperature):
    found = []
    for z, label in enumerate(shadows.population_labels):
        how = (label, kind.softmax, temperature)
        of_shadows = [slow_probability(shadows.population[s, z], *how) for s in others]
        p = slow_probability(signals.population[model, z], *how)
        found.append(slow_ratio(p, of_shadows, of_shadows, kind.online, a))
    return found


def slow_share(ratios, population, gamma):
    """Each z is beaten by the majority of the queries; ties are broken by the ratio that a
    majority of queries reaches.
    """
    votes = [sum(ratio > gamma * z for ratio in ratios) > len(ratios) / 2 for z in population]
    at_least = [sum(other >= ratio for other in ratios) for ratio in ratios]
    reached = [r for r, count in zip(ratios, at_least, strict=True) if count > len(ratios) / 2]
    log_reached = math.log(max(reached))
    logs = [math.log(gamma * z) for z in population]
    lower, higher = [z for z in logs if z < log_reached], [z for z in logs if z >= log_reached]
    assert sum(votes) == len(lower)
    spread = max(logs) - min(logs)
    if not lower:
        place = spread / (spread + min(logs) - log_reached)
    elif not higher:
        place = (log_reached - max(logs)) / (spread + log_reached - max(logs))
    else:
        place = (log_reached - max(lower)) / (min(higher) - max(lower))
    return (sum(votes) + place / 2) / len(population)


def slow_scores(targets, shadows, kind, a, temperature):
    """Of the targets by all shadows, and of each shadow by all but itself and its twin."""

    def scores(signals, model, others):
        of_population = slow_population(shadows, others, signals, model, kind, a, temperature)
        examples = range(len(shadows.labels))
        asked = (shadows, others, signals, model)
        of_pool = [slow_ratios(*asked, x, kind, a, temperature) for x in examples]
        return [slow_share(ratios, of_population, kind.gamma) for ratios in of_pool]

    n_shadows = len(shadows.logits)
    of_shadows = [scores(shadows, s, without_twins(s, n_shadows)) for s in range(n_shadows)]
    of_targets = [scores(targets, t, range(n_shadows)) for t in range(len(targets.logits))]
    return np.array(of_targets), np.array(of_shadows)


def without_twins(shadow, n_shadows):
    return [row for row in range(n_shadows) if row // 2 != shadow // 2]


@given(
    seed=st.integers(0, 500),
    online=st.booleans(),
    n_copies=st.integers(0, 3),
    gamma=st.sampled_from([1.0, 1.3, 2.0]),
    a=st.sampled_from([0.0, 0.3, 1.0]),
    softmax=st.sampled_from(["plain", "taylor"]),
    temperature=st.sampled_from([1.0, 2.0]),
    n_shadows=st.sampled_from([4, 6]),
)
def test_scores_equal_the_slow_loop(
    seed,
    online,
    n_copies,
    gamma,
    a,
    softmax,
    temperature,
    n_shadows,
):
    targets, shadows, _ = made_up(seed, n_shadows, n_copies=n_copies)
    kind = rmia.Kind(softmax, gamma, online, augmented=n_copies > 0)
    wanted, wanted_of_shadows = slow_scores(targets, shadows, kind, a, temperature)
    found, of_shadows = rmia.raw_scores(targets, shadows, kind, 1.0 if online else a, temperature)
    np.testing.assert_allclose(found, wanted, rtol=1e-9)
    known = ~np.isnan(of_shadows)
    np.testing.assert_allclose(of_shadows[known], wanted_of_shadows[known], rtol=1e-9)
    assert np.isnan(wanted_of_shadows[~known]).all()
    options = {"gamma": gamma, "softmax": softmax, "temperature": temperature}
    options |= {} if online else {"a": a}
    guesses = ATTACKS[online, n_copies > 0](targets, shadows, None, **options)
    threshold = best_threshold(of_shadows[known], shadows.membership[known])
    np.testing.assert_allclose(guesses, found - threshold, atol=1e-12)


# --- auto -------------------------------------------------------------------------------


@pytest.mark.parametrize(("leak", "ease"), [(0.5, 0.0), (5.0, 2.0), (2.0, -2.0)])
@pytest.mark.parametrize("softmax", ["plain", "taylor"])
def test_auto_is_the_best_of_the_grid_on_the_shadows_by_a_slow_count(leak, ease, softmax):
    _, shadows, _ = made_up(1, n=40, n_copies=0, leak=leak, ease=ease)
    kind = rmia.Kind(softmax)

    def slow_quality(a, temperature):
        found = []
        for s in range(6):
            asked = (shadows, without_twins(s, 6), shadows, s)
            ratios = [slow_ratios(*asked, x, kind, a, temperature)[0] for x in range(40)]
            known = ~np.isnan(ratios)
            found.append(roc_auc_score(shadows.membership[s][known], np.array(ratios)[known]))
        return np.mean(found)

    qualities = {(a / 10, t): slow_quality(a / 10, t) for t in (1, 2) for a in range(11)}
    chosen = rmia.choose(shadows, kind, "auto", "auto")
    best = pytest.approx(max(qualities.values()), abs=1e-12)
    assert qualities[chosen.a, chosen.temperature] == best
    assert mean_auc(chosen.comparison.ratios(chosen.a), shadows) == best


def test_what_is_chosen_depends_on_how_much_the_networks_memorise():
    """Members' answers certain: a near 0. Answers hardly changed by training: a near 1."""
    _, certain, _ = made_up(0, n_shadows=8, n=2000, leak=8.0, spread=3.0)
    _, hardly, _ = made_up(0, n_shadows=8, n=2000, leak=0.3, spread=3.0)
    assert rmia.choose(certain, rmia.Kind(), "auto", 1.0).a <= 0.2
    assert rmia.choose(hardly, rmia.Kind(), "auto", 1.0).a >= 0.8


@pytest.mark.parametrize("augmented", [False, True])
def test_auto_equals_the_attack_with_the_numbers_that_it_chose(augmented):
    targets, shadows, _ = made_up(2, n=60)
    attack = ATTACKS[False, augmented]
    chosen = rmia.choose(shadows, rmia.Kind(augmented=augmented), "auto", "auto")
    fixed = attack(targets, shadows, None, a=chosen.a, temperature=chosen.temperature)
    np.testing.assert_array_equal(attack(targets, shadows, None), fixed)
    other = attack(targets, shadows, None, a=1.0 - chosen.a, temperature=chosen.temperature)
    assert (other != fixed).any()


def test_a_number_is_taken_as_it_is():
    _, shadows, _ = made_up(2, n=60)
    chosen = rmia.choose(shadows, rmia.Kind(), 0.35, 3)
    assert (chosen.a, chosen.temperature) == (0.35, 3.0)


def test_the_choice_is_logged(caplog):
    targets, shadows, _ = made_up(2, n=60)
    with caplog.at_level("INFO", logger="mia_pruning"):
        rmia.rmia_offline(targets, shadows, None)
    assert "mean AUC" in caplog.text


# --- small populations ------------------------------------------------------------------


def tpr(scores, members, fpr):
    return weighted_roc(scores, members, np.ones((1, members.size))).tpr_at(fpr)[0]


@pytest.mark.parametrize("attack", [rmia.rmia_offline, rmia.rmia_online])
def test_low_rates_are_those_of_the_ratio_however_small_the_population(attack):
    """Some ten of 3,000 non-members beat all 300 of the population, and would tie with the members
    that do.
    """
    targets, shadows, members = made_up(4, 8, n=6000, n_population=300, n_classes=4, leak=4.0)
    kind = rmia.Kind(online=attack is rmia.rmia_online)
    a = 1.0 if kind.online else 0.3
    options = {} if kind.online else {"a": a}
    scores = attack(targets, shadows, None, temperature=1.0, **options)
    answers = [rmia.Answers.of(signals, kind, 1.0) for signals in (targets, shadows)]
    everyone = np.ones((1, 8), dtype=bool)
    compared = rmia.Comparison.of(*answers, shadows.membership, everyone, online=kind.online)
    ratios = compared.ratios(a)
    for of_target, ratio, truth in zip(scores, ratios, members, strict=True):
        assert tpr(of_target, truth, 0.001) == tpr(ratio, truth, 0.001) > 0.02
        np.testing.assert_array_equal(np.argsort(of_target), np.argsort(ratio))


@given(
    st.lists(st.floats(-5, 5), min_size=1, max_size=30),
    st.lists(st.sampled_from([-2.0, -1.0, 0.0, 1.0]), min_size=1, max_size=8),
    st.sampled_from([0.5, 1.0, 2.0]),
)
def test_shares_are_counted_strictly_and_ties_are_broken_by_the_ratio(ratios, population, gamma):
    ratios = np.array([*ratios, *population])
    found = share_beaten(ratios, np.array(population), gamma)
    margins = ratios[:, np.newaxis] - (np.array(population) + np.log(gamma))
    counted = (margins > 0).mean(axis=1)
    assert (found >= counted).all()
    assert (found <= counted + 1 / (2 * len(population)) + 1e-12).all()
    in_order = np.argsort(ratios, kind="stable")
    assert (np.diff(found[in_order]) >= 0).all()


def test_missing_ratios_stay_missing():
    population = np.array([0.0, 1.0])
    found = share_beaten(np.array([np.nan, 1.0]), population, 1.0)
    assert np.isnan(found).tolist() == [True, False]
    assert np.isnan(share_beaten(np.array([1.0]), np.array([0.0, np.nan]), 1.0)).all()


# --- saturated answers ------------------------------------------------------------------


@pytest.mark.parametrize("attack", [rmia.rmia_offline, rmia.rmia_online])
@pytest.mark.parametrize("ease", [60.0, -60.0])
def test_a_leak_is_seen_where_all_probabilities_round_to_one_or_to_nothing(attack, ease):
    targets, shadows, members = made_up(0, 8, n=400, n_population=100, leak=6.0, ease=ease)
    scores = attack(targets, shadows, None, temperature=1.0)
    for of_target, truth in zip(scores, members, strict=True):
        assert roc_auc_score(truth, of_target) > 0.8
        assert len(np.unique(of_target)) == of_target.size


def test_a_ratio_near_one_equals_that_of_the_complements():
    """log(p / q) of p = 1 - e and q = 1 - d is d - e, which float64 cannot see in p and q."""
    odds = np.array([50.0, 60.0, 70.0])
    everywhere, all_models = np.ones((1, 3), dtype=bool), np.ones((1, 1), dtype=bool)
    means = Means.of(np.full((1, 3), 45.0), everywhere, all_models)
    wanted = np.exp(-45.0) - np.exp(-odds)
    np.testing.assert_allclose(log_ratio(odds, means)[0], wanted, rtol=1e-12)


@given(
    st.lists(st.floats(-30, 30), min_size=2, max_size=6),
    st.integers(0, 1),
    st.sampled_from([1.0, 2.0]),
)
def test_log_odds_are_those_of_the_softmax(logits, label, temperature):
    scaled = np.array(logits) / temperature
    for softmax, p in (("plain", np.exp(scaled)), ("taylor", taylor(scaled))):
        if softmax == "taylor":
            p[label] = taylor(scaled[label : label + 1] - 0.6)[0]
        options = {"softmax": softmax, "temperature": temperature}
        odds = log_odds(np.array(logits), np.array(label), **options)
        wanted = np.log(p[label]) - np.log(np.delete(p, label).sum())
        assert odds == pytest.approx(wanted, rel=1e-9, abs=1e-9)


@given(st.floats(-1e4, 1e4))
def test_the_taylor_polynomial_is_positive_and_near_to_exp_at_nothing(value):
    assert taylor(np.array([value]))[0] > 0
    assert taylor(np.array([value * 1e-6]))[0] == pytest.approx(np.exp(value * 1e-6), rel=1e-9)


def test_means_are_those_of_the_chosen_models():
    rng = np.random.default_rng(0)
    odds, chosen = rng.normal(size=(5, 7)), rng.random((5, 7)) < 0.5
    models = rng.random((3, 5)) < 0.6
    found = Means.of(odds, chosen, models)
    for row in range(3):
        for x in range(7):
            values = expit(odds[chosen[:, x] & models[row], x])
            wanted = [values.mean(), 1 - values.mean()] if values.size else [np.nan, np.nan]
            assert [found.p[row, x], found.rest[row, x]] == pytest.approx(wanted, nan_ok=True)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=8), st.floats(-5, 5))
def test_the_majority_beats_what_most_of_the_queries_beat(ratios, z):
    most = sum(ratio > z for ratio in ratios) > len(ratios) / 2
    assert (majority(np.array(ratios)[:, np.newaxis])[0] > z) == most


# --- augmented queries ------------------------------------------------------------------


@pytest.mark.parametrize("online", [False, True])
def test_copies_that_repeat_the_example_change_nothing(online):
    targets, shadows, _ = made_up(5, n=50)

    def repeating(signals):
        copies = np.repeat(signals.logits[:, :, np.newaxis], 4, axis=2)
        return dataclasses.replace(signals, probes={"augmented": copies})

    repeated = [repeating(signals) for signals in (targets, shadows)]
    found = ATTACKS[online, True](*repeated, None)
    np.testing.assert_allclose(found, ATTACKS[online, False](targets, shadows, None), atol=1e-12)


def test_queries_with_noise_of_their_own_tell_more_than_one():
    targets, shadows, members = made_up(6, n_shadows=8, n=1000, leak=0.0, n_copies=0)
    rng = np.random.default_rng(0)

    def noisy(signals, truth):
        copies = rng.normal(size=(*signals.logits.shape[:2], 8, 3))
        of_label = np.moveaxis(truth, 0, 1)[:, :, np.newaxis]
        copies[:, np.arange(1000), :, signals.labels] += 1.5 * of_label
        probes = {"augmented": copies[:, :, 1:]}
        return dataclasses.replace(signals, logits=copies[:, :, 0], probes=probes)

    targets, shadows = noisy(targets, members), noisy(shadows, shadows.membership)

    def mean_auc(attack):
        rows = zip(members, attack(targets, shadows, None), strict=True)
        return np.mean([roc_auc_score(*row) for row in rows])

    assert mean_auc(rmia.rmia_offline_augmented) > mean_auc(rmia.rmia_offline) + 0.1


# --- bad input --------------------------------------------------------------------------


@pytest.mark.parametrize("attack", ATTACKS.values())
@pytest.mark.parametrize("n_population", [None, 0, 9])
def test_a_population_that_is_absent_or_too_small_is_refused_in_a_sentence(attack, n_population):
    targets, shadows, _ = made_up(0)
    kept = slice(None, n_population)

    def with_few(signals):
        if n_population is None:
            return dataclasses.replace(signals, population=None, population_labels=None)
        population, labels = signals.population[:, kept], signals.population_labels[kept]
        return dataclasses.replace(signals, population=population, population_labels=labels)

    few = [with_few(signals) for signals in (targets, shadows)]
    message = rf"split\.test gives {n_population or 0} examples.*Set split\.test to at least 10"
    with pytest.raises(ValueError, match=message):
        attack(*few, None)


@pytest.mark.parametrize("attack", ATTACKS.values())
def test_one_pair_of_shadows_cannot_set_a_threshold(attack):
    targets, shadows, _ = made_up(0, n_shadows=2)
    message = "2 shadow models are too few: without one of them and its twin"
    with pytest.raises(ValueError, match=message):
        attack(targets, shadows, None)


@pytest.mark.parametrize("side", [False, True])
def test_shadows_of_one_class_are_refused_in_a_sentence(side):
    targets, shadows, _ = made_up(0)
    one_class = dataclasses.replace(shadows, membership=np.full_like(shadows.membership, side))
    message = "shadow models are too few|members and non-members are both needed"
    with pytest.raises(ValueError, match=message):
        rmia.rmia_offline(targets, one_class, None)


def test_thresholds_are_set_on_the_shadows_and_are_right_for_the_targets():
    targets, shadows, members = made_up(8, n_shadows=8, n=1000, n_population=200, leak=3.0)
    scores = rmia.rmia_offline(targets, shadows, None)
    ones = np.ones((1, 1000))
    found = [balanced_accuracy(s, m, ones)[0] for s, m in zip(scores, members, strict=True)]
    thresholds = [best_threshold(*row) for row in zip(scores, members, strict=True)]
    in_hindsight = zip(scores, members, thresholds, strict=True)
    best = [balanced_accuracy(s - t, m, ones)[0] for s, m, t in in_hindsight]
    assert np.mean(found) == pytest.approx(np.mean(best), abs=0.02)
