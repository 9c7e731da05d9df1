"""What every registered attack promises, on toys of which the answer is known."""

import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
from scipy.special import expit

from mia_pruning import registry
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.references import FEWEST_PER_EXAMPLE, FEWEST_SHADOWS
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc
from mia_pruning.study.generated import SAME_EXAMPLES
from mia_pruning.types import Signals

ATTACKS = registry.catalogue("attack")
#: fewer and smaller steps than in a study, which suffice for a toy
OPTIONS = {
    "neural_network": {"epochs": 3, "min_steps": 50, "batch_size": 100},
    "samia": {"epochs": 1, "min_steps": 30, "batch_size": 50, "learning_rate": 0.005},
    "loss_trajectory": {"epochs": 6, "batch_size": 50},
    "ensemble": {"n_trees": 15},
    "quantile_regression": {"n_trees": 10},
}
N_TARGETS, N_SHADOWS, N_EXAMPLES, N_CLASSES, N_POPULATION = 2, 4, 400, 4, 200
#: attack and protocol, of which one that needs shadows trained on the targets' examples has one only
CASES = [
    (name, p)
    for name in ATTACKS
    for p in ("pool", "disjoint")
    if p == "pool" or not ATTACKS[name].traits.inside
]
WITH_OTHER_EXAMPLES = [
    name
    for name in ATTACKS
    if not any(getattr(ATTACKS[name].traits, trait) for trait in SAME_EXAMPLES)
]
WITHOUT_INSIDE = [name for name in ATTACKS if not ATTACKS[name].traits.inside]


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
    logits[:, np.arange(n_pool), labels] += (
        leak * membership + 0.5 * rng.normal(size=n_pool) + (leak == 0)
    )
    population_labels = rng.integers(0, N_CLASSES, N_POPULATION)
    population = rng.normal(size=(n_models, N_POPULATION, N_CLASSES)).astype(np.float32)
    population[:, np.arange(N_POPULATION), population_labels] += 0.5 * rng.normal(
        size=N_POPULATION
    ) + (leak == 0)
    images, population_images = (
        rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8) for n in (n_pool, N_POPULATION)
    )
    probes = probes_of(logits, labels, rng)
    dense = logits + 0.3 * rng.normal(size=logits.shape).astype(np.float32)
    for array in (
        logits,
        labels,
        candidates,
        membership,
        population,
        population_labels,
        images,
        dense,
        *probes.values(),
    ):
        array.flags.writeable = False
    targets, shadows = slice(None, N_TARGETS), slice(N_TARGETS, None)
    seen = {
        "probes": probes,
        "dense": dense,
        "images": images,
        "population_images": population_images,
    }
    both = Signals(logits, labels, candidates, membership, population, population_labels, **seen)
    return (
        both.of_models(targets, None),
        both.of_models(shadows, membership[shadows]),
        membership[targets],
    )


def probes_of(logits, labels, rng):
    """Answers to probes that say as much as these logits: what is far from the label's odds is sensitive, lossy and steep."""
    odds = label_log_odds(logits.astype(np.float64), labels)
    copies = logits[:, :, np.newaxis] + 0.3 * rng.normal(size=(*logits.shape[:2], 5, N_CLASSES))
    noise = odds[..., np.newaxis] + 2 * rng.normal(size=(*odds.shape, 4, 5)).mean(axis=-1)
    fallen = np.linspace(0, 1, 8) * (np.logaddexp(0, -odds) - np.log(N_CLASSES))[..., np.newaxis]
    probes = {
        "augmented": copies,
        "noisy": np.clip(np.round(5 * expit(noise)) / 5, 0, 1),
        "sensitivity": np.exp(-odds / 2)[..., np.newaxis] * np.ones(N_CLASSES),
        "gradient_norm": expit(-odds),
        "loss_trace": np.log(N_CLASSES) + fallen,
        "distillation": np.logaddexp(0, -odds)[..., np.newaxis] + rng.random((*odds.shape, 3)),
    }
    return {name: answers.astype(np.float32) for name, answers in probes.items()}


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
        dataclasses.replace(each, logits=each.logits * scale, population=each.population * scale)
        for each in (targets, shadows)
    )
    assert np.isfinite(run(name, certain, shadows)).all()


@pytest.mark.parametrize("name", ATTACKS)
def test_the_same_generator_gives_the_same_scores(name):
    targets, shadows, _ = toy(2.0)
    np.testing.assert_array_equal(run(name, targets, shadows), scores_of(name, 2.0))


@pytest.mark.parametrize("name", ATTACKS)
def test_inputs_are_unchanged(name):
    given = toy(2.0)
    copied = copy.deepcopy(given[:2])
    for array in arrays_of(*copied):
        array.flags.writeable = True
    run(name, *copied)
    for array, before in zip(arrays_of(*copied), arrays_of(*given[:2]), strict=True):
        np.testing.assert_array_equal(array, before)


def of_other_examples(signals, columns):
    """Signals of these examples alone, as of models that were trained and asked on another data set."""
    return dataclasses.replace(
        signals,
        logits=signals.logits[:, columns],
        labels=signals.labels[columns],
        candidates=signals.candidates[:, columns],
        membership=signals.membership[:, columns],
        population=None,
        population_labels=None,
        probes={name: answers[:, columns] for name, answers in signals.probes.items()},
        dense=None,
        images=None,
        population_images=None,
    )


@pytest.mark.parametrize("name", WITH_OTHER_EXAMPLES)
def test_shadows_with_examples_of_their_own_serve_attacks_that_do_not_compare_examples(name):
    """Those that the study allows for `generated_shadows`; the examples are fewer and in another order."""
    targets, shadows, members = toy(5.0)
    columns = np.random.default_rng(4).permutation(N_EXAMPLES)[:300]
    scores = run(name, targets, of_other_examples(shadows, columns))
    assert per_target(auc, scores, targets, members) > (0.75 if name == "correctness" else 0.9)
    assert per_target(balanced_accuracy, scores, targets, members) > 0.75


def arrays_of(*signals):
    held = [value for each in signals for value in (*vars(each).values(), *each.probes.values())]
    return [value for value in held if isinstance(value, np.ndarray)]


@pytest.mark.parametrize("name", WITHOUT_INSIDE)
def test_scores_follow_a_permutation_of_the_targets_examples(name):
    """The targets' examples of a disjoint split move, for all models; what the shadows trained on stays where it is."""
    targets, shadows, _ = toy(2.0, "disjoint")
    order = np.append(
        np.random.default_rng(3).permutation(N_EXAMPLES), np.arange(N_EXAMPLES, 2 * N_EXAMPLES)
    )
    moved_targets, moved_shadows = (
        dataclasses.replace(
            given,
            logits=given.logits[:, order],
            labels=given.labels[order],
            images=given.images[order],
            dense=given.dense[:, order],
            probes={name: answers[:, order] for name, answers in given.probes.items()},
        )
        for given in (targets, shadows)
    )
    scores = scores_of(name, 2.0, "disjoint")
    np.testing.assert_allclose(
        run(name, moved_targets, moved_shadows), scores[:, order], rtol=1e-3, atol=1e-4
    )
    assert (scores[:, order] != scores).any()


@pytest.mark.parametrize("name", ATTACKS)
def test_a_targets_scores_do_not_depend_on_the_other_targets(name):
    targets, shadows, _ = toy(2.0)
    alone = targets.of_models(slice(None, 1), None)
    np.testing.assert_allclose(
        run(name, alone, shadows)[0], scores_of(name, 2.0)[0], rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "correctness"])
def test_what_is_learnt_comes_from_the_shadows(name):
    """With the shadows' membership inverted, what was a sign of membership speaks against it."""
    targets, shadows, members = toy(5.0)
    inverted = dataclasses.replace(shadows, membership=shadows.candidates & ~shadows.membership)
    assert per_target(balanced_accuracy, run(name, targets, inverted), targets, members) < 0.6


@pytest.mark.parametrize("name", [name for name in ATTACKS if name != "correctness"])
def test_shadows_of_one_class_are_refused_in_a_sentence(name):
    targets, shadows, _ = toy(2.0)
    members_only = dataclasses.replace(shadows, membership=shadows.candidates.copy())
    with pytest.raises(
        ValueError,
        match=r"members and non-members are both needed|shadow models are too few|no example has two",
    ):
        run(name, targets, members_only)


@pytest.mark.parametrize("name", [name for name in ATTACKS if ATTACKS[name].traits.by_example])
def test_a_study_asks_for_as_many_shadow_models_as_the_attack_works_with(name):
    traits = ATTACKS[name].traits
    assert traits.shadows_needed({}) == FEWEST_SHADOWS
    by_option = {FEWEST_PER_EXAMPLE} if "variance" in ATTACKS[name].options else set()
    assert {fewest for *_, fewest in traits.fewest_with_option} == by_option


@pytest.mark.parametrize("name", [name for name in ATTACKS if ATTACKS[name].traits.by_example])
def test_two_shadows_are_too_few_to_compare_with_at_each_example(name):
    targets, shadows, _ = toy(2.0)
    with pytest.raises(ValueError, match=r"2 shadow models are too few|no example has two"):
        run(name, targets, shadows.of_models(slice(0, 2), shadows.membership[:2]))


#: attack and what it declares to read beside logits
READS = [
    *((name, probe) for name, plug_in in ATTACKS.items() for probe in plug_in.traits.probes),
    *((name, "dense") for name, plug_in in ATTACKS.items() if plug_in.traits.dense),
]


@pytest.mark.parametrize(("name", "signal"), READS)
def test_a_leak_in_one_declared_signal_alone_is_found(name, signal):
    """Logits and all other signals say nothing: what is declared and queried is used."""

    def leaking_there_alone(plain, leaking):
        if signal == "dense":
            return dataclasses.replace(plain, dense=leaking.dense)
        return dataclasses.replace(plain, probes={**plain.probes, signal: leaking.probes[signal]})

    pairs = zip(toy(0.0)[:2], toy(5.0)[:2], strict=True)
    targets, shadows = (leaking_there_alone(plain, leaking) for plain, leaking in pairs)
    assert per_target(auc, run(name, targets, shadows), targets, toy(5.0)[2]) > 0.6


@pytest.mark.parametrize("name", [name for name in ATTACKS if ATTACKS[name].traits.images])
def test_an_image_tells_what_to_expect_of_an_example_alike(name):
    """Answers rise with the brightness of the image: who looks at it tells more than who sets one threshold for all."""
    targets, shadows, members = toy(2.0)

    def brighter(signals):
        def risen(logits, labels, images):
            changed = logits.copy()
            changed[:, np.arange(len(labels)), labels] += 8 * images.mean(axis=(1, 2, 3)) / 255
            return changed

        images, population_images = (
            np.broadcast_to(
                np.random.default_rng(seed).integers(0, 256, (n, 1, 1, 1), dtype=np.uint8),
                (n, 4, 4, 1),
            )
            for seed, n in ((3, N_EXAMPLES), (4, N_POPULATION))
        )
        return dataclasses.replace(
            signals,
            logits=risen(signals.logits, signals.labels, images),
            population=risen(signals.population, signals.population_labels, population_images),
            images=images,
            population_images=population_images,
        )

    targets, shadows = brighter(targets), brighter(shadows)
    by_one_threshold = per_target(auc, run("loss", targets, shadows), targets, members)
    assert per_target(auc, run(name, targets, shadows), targets, members) > by_one_threshold + 0.05
