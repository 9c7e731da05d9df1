"""What every registered attack promises, on toys of which the answer is known."""

import dataclasses
from functools import cache

import numpy as np
import pytest

from mia_pruning import registry
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc
from mia_pruning.types import Signals

ATTACKS = registry.catalogue("attack")
#: fewer and smaller steps than in a study, which suffice for a toy
OPTIONS = {"neural_network": {"max_epochs": 3, "batch_size": 100, "learning_rate": 0.003}}
N_TARGETS, N_SHADOWS, N_EXAMPLES, N_CLASSES, N_POPULATION = 2, 4, 400, 4, 200
#: attack and protocol, of which one that needs shadows trained on the targets' examples has one only
CASES = [(name, p) for name in ATTACKS for p in ("pool", "disjoint") if p == "pool" or not ATTACKS[name].traits.get("inside")]
WITHOUT_INSIDE = [name for name in ATTACKS if not ATTACKS[name].traits.get("inside")]


def toy(leak, protocol="pool"):
    """Targets without membership, shadows with, and the targets' true membership; pairs of models are complementary.

    The logit of the label is raised by `leak` for members, and for everybody by what is easy about the example. The arrays are
    read-only, as the recorded signals of a study are.
    """
    rng = np.random.default_rng(0)
    n_models = N_TARGETS + N_SHADOWS
    n_pool = N_EXAMPLES * (2 if protocol == "disjoint" else 1)
    labels = rng.integers(0, N_CLASSES, n_pool)
    candidates = np.ones((n_models, n_pool), dtype=bool)
    if protocol == "disjoint":
        candidates[:N_TARGETS, N_EXAMPLES:] = candidates[N_TARGETS:, :N_EXAMPLES] = False
    halves = np.argsort(rng.random((n_models // 2, n_pool)), axis=1) % 2 == 0
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n_pool) & candidates
    logits = rng.normal(size=(n_models, n_pool, N_CLASSES)).astype(np.float32)
    logits[:, np.arange(n_pool), labels] += leak * membership + 0.5 * rng.normal(size=n_pool) + (leak == 0)
    population_labels = rng.integers(0, N_CLASSES, N_POPULATION)
    population = rng.normal(size=(n_models, N_POPULATION, N_CLASSES)).astype(np.float32)
    population[:, np.arange(N_POPULATION), population_labels] += 0.5 * rng.normal(size=N_POPULATION) + (leak == 0)
    for array in (logits, labels, candidates, membership, population, population_labels):
        array.flags.writeable = False
    targets, shadows = slice(None, N_TARGETS), slice(N_TARGETS, None)
    both = Signals(logits, labels, candidates, membership, population, population_labels)
    return of(both, targets, membership=None), of(both, shadows, membership=membership[shadows]), membership[targets]


def of(signals, rows, **changes):
    """Some of the models."""
    names = ("logits", "candidates", "population")
    return dataclasses.replace(signals, **{name: getattr(signals, name)[rows] for name in names}, **changes)


def run(name, targets, shadows):
    return ATTACKS[name].load()(targets, shadows, np.random.default_rng(7), **OPTIONS.get(name, {}))


@cache
def scores_of(name, leak, protocol="pool"):
    targets, shadows, _ = toy(leak, protocol)
    return run(name, targets, shadows)


def per_target(metric, scores, targets, members):
    rows = zip(scores, targets.candidates, members, strict=True)
    return np.mean([metric(s[c], m[c], np.ones((1, c.sum()))) for s, c, m in rows])


def auc(scores, members, weights):
    return weighted_roc(scores, members, weights).auc()[0]


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_a_leak_is_found_higher_is_member_and_positive_is_the_guess(name, protocol):
    targets, _, members = toy(5.0, protocol)
    scores = scores_of(name, 5.0, protocol)
    assert per_target(auc, scores, targets, members) > (0.75 if name == "correctness" else 0.9)
    assert per_target(balanced_accuracy, scores, targets, members) > 0.75


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_where_nothing_leaks_nothing_is_found(name, protocol):
    targets, _, members = toy(0.0, protocol)
    scores = scores_of(name, 0.0, protocol)
    assert per_target(auc, scores, targets, members) == pytest.approx(0.5, abs=0.07)
    assert per_target(balanced_accuracy, scores, targets, members) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize(("name", "protocol"), CASES)
def test_every_example_of_every_target_gets_a_finite_score(name, protocol):
    scores = scores_of(name, 2.0, protocol)
    assert scores.shape == toy(2.0, protocol)[0].candidates.shape
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_certain_predictions_get_finite_scores(name):
    targets, shadows, _ = toy(2.0)
    scale = np.float32(1e4)
    certain, shadows = (
        dataclasses.replace(each, logits=each.logits * scale, population=each.population * scale) for each in (targets, shadows)
    )
    assert np.isfinite(run(name, certain, shadows)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_generator_gives_the_same_scores(name):
    targets, shadows, _ = toy(2.0)
    np.testing.assert_array_equal(run(name, targets, shadows), scores_of(name, 2.0))


@pytest.mark.parametrize("name", ATTACKS)
def test_inputs_are_unchanged(name):
    given = toy(2.0)
    writeable = [Signals(**{key: None if array is None else array.copy() for key, array in vars(x).items()}) for x in given[:2]]
    run(name, *writeable)
    for signals, before in zip(writeable, given[:2], strict=True):
        for key, array in vars(before).items():
            np.testing.assert_array_equal(getattr(signals, key), array)


@pytest.mark.parametrize("name", WITHOUT_INSIDE)
def test_scores_follow_a_permutation_of_the_targets_examples(name):
    """The targets' examples of a disjoint split move, for all models; what the shadows trained on stays where it is."""
    targets, shadows, _ = toy(2.0, "disjoint")
    order = np.append(np.random.default_rng(3).permutation(N_EXAMPLES), np.arange(N_EXAMPLES, 2 * N_EXAMPLES))
    moved_targets, moved_shadows = (
        dataclasses.replace(given, logits=given.logits[:, order], labels=given.labels[order]) for given in (targets, shadows)
    )
    scores = scores_of(name, 2.0, "disjoint")
    np.testing.assert_allclose(run(name, moved_targets, moved_shadows), scores[:, order], rtol=1e-3, atol=1e-4)
    assert (scores[:, order] != scores).any()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_targets_scores_do_not_depend_on_the_other_targets(name):
    targets, shadows, _ = toy(2.0)
    alone = of(targets, slice(None, 1))
    np.testing.assert_allclose(run(name, alone, shadows)[0], scores_of(name, 2.0)[0], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "correctness"])
def test_what_is_learnt_comes_from_the_shadows(name):
    """With the shadows' membership inverted, what was a sign of membership speaks against it."""
    targets, shadows, members = toy(5.0)
    inverted = dataclasses.replace(shadows, membership=shadows.candidates & ~shadows.membership)
    assert per_target(balanced_accuracy, run(name, targets, inverted), targets, members) < 0.6
