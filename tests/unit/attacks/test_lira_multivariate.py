import dataclasses

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from mia_pruning.attacks.lira import answers, lira_offline, lira_online
from mia_pruning.attacks.lira_multivariate import (
    augmented_parts,
    augmented_parts_offline,
    joint_parts,
    lira_augmented,
    lira_joint,
    lira_offline_augmented,
)
from mia_pruning.metrics.membership import weighted_roc
from mia_pruning.types import Signals

N_CLASSES = 3


def made(seed=0, n_pairs=4, n=40, leak=1.0, n_copies=2, noise=1.0):
    """Shadows in pairs and one target with a twin; what the copies and the dense models answer is like the plain answers."""
    rng = np.random.default_rng(seed)
    n_models = 2 * n_pairs + 2
    labels = rng.integers(0, N_CLASSES, n)
    halves = rng.random((n_models // 2, n)) < 0.5
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n)
    shared = rng.normal(size=(n_models, n))

    def logits():
        values = rng.normal(size=(n_models, n, N_CLASSES)) * 0.3
        values[:, np.arange(n), labels] += (
            shared + leak * membership + noise * rng.normal(size=(n_models, n))
        )
        return values

    plain = logits()
    probes = {"augmented": np.stack([logits() for _ in range(n_copies)], axis=2)}
    both = Signals(
        plain, labels, np.ones_like(membership), membership, probes=probes, dense=logits()
    )
    return both.of_models([0], None), both.of_models(slice(2, None), membership[2:]), membership[0]


def slow(target, shadows, membership):
    """Example by example: target (n, k), shadows (n_shadows, n, k)."""
    covariances = []
    for chosen in (membership, ~membership):
        total, free = 0.0, 0
        for example in range(shadows.shape[1]):
            values = shadows[chosen[:, example], example]
            if len(values) > 1:
                total, free = total + np.cov(values.T, ddof=0) * len(values), free + len(values) - 1
        covariances.append(total / free)
    scores = []
    for example in range(shadows.shape[1]):
        parts = [
            multivariate_normal(
                shadows[chosen[:, example], example].mean(axis=0), covariance
            ).logpdf(target[example])
            for chosen, covariance in zip((membership, ~membership), covariances, strict=True)
        ]
        scores.append(parts[0] - parts[1])
    return np.array(scores)


def part(parts, name):
    """Scores of the only target."""
    (found,) = (each.of_targets[0] for each in parts if each.name == name)
    return found


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("parts_of", [augmented_parts, joint_parts])
def test_the_joint_density_is_the_ratio_of_multivariate_normals(parts_of, seed):
    targets, shadows, _ = made(seed, n_pairs=8)
    both = parts_of is joint_parts
    wanted = slow(stacked(targets, both)[0], stacked(shadows, both), shadows.membership)
    found = part(parts_of(targets, shadows), "joint density")
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_other_parts_are_ratios_of_one_answer_and_their_mean(seed):
    targets, shadows, _ = made(seed, n_pairs=8)
    for parts_of, both in ((augmented_parts, False), (joint_parts, True)):
        (asked,), known = stacked(targets, both), stacked(shadows, both)
        columns = [[column] for column in range(known.shape[2])]
        answers_and_known = [(asked[:, column], known[..., column]) for column in columns]
        ratios = [slow(*of, shadows.membership) for of in answers_and_known]
        parts = parts_of(targets, shadows)
        names = {"pruned release": ratios[0], "dense release": ratios[1]}
        if not both:
            names = {"image": ratios[0], "mean over image and copies": np.mean(ratios, axis=0)}
        for name, wanted in names.items():
            np.testing.assert_allclose(part(parts, name), wanted, rtol=1e-5, atol=1e-5)


def stacked(signals, both_releases=False):
    """Log-odds (n_models, n_examples, k)."""
    others = (
        [signals.dense] if both_releases else list(np.moveaxis(signals.probes["augmented"], 2, 0))
    )
    return np.stack(
        [answers(logits, signals.labels) for logits in (signals.logits, *others)], axis=-1
    )


@pytest.mark.parametrize("seed", range(5))
def test_offline_scores_are_the_mean_over_answers_of_deviations_from_the_shadows_outside(seed):
    targets, shadows, _ = made(seed, n_pairs=8)
    outside, known, (of_target,) = ~shadows.membership, stacked(shadows), stacked(targets)
    wanted = []
    for answer in range(known.shape[2]):
        of_examples = [known[outside[:, x], x, answer] for x in range(known.shape[1])]
        squares = sum(((values - values.mean()) ** 2).sum() for values in of_examples)
        deviation = np.sqrt(squares / sum(len(values) - 1 for values in of_examples))
        wanted.append(
            [
                (of_target[x, answer] - values.mean()) / deviation
                for x, values in enumerate(of_examples)
            ]
        )
    parts = augmented_parts_offline(targets, shadows)
    for name, scores in (
        ("image", wanted[0]),
        ("mean over image and copies", np.mean(wanted, axis=0)),
    ):
        np.testing.assert_allclose(part(parts, name), scores, rtol=1e-5, atol=1e-5)


def auc(scores, members):
    return weighted_roc(scores[0], members, np.ones((1, members.size), dtype=np.float32)).auc()[0]


@pytest.mark.parametrize(
    ("attack", "with_one"),
    [
        (lira_augmented, lira_online),
        (lira_joint, lira_online),
        (lira_offline_augmented, lira_offline),
    ],
)
def test_further_answers_with_luck_of_their_own_tell_more_than_one(attack, with_one):
    targets, shadows, members = made(n_pairs=8, n=2000, leak=1.5)
    assert (
        auc(attack(targets, shadows, None), members)
        > auc(with_one(targets, shadows, None), members) + 0.02
    )


def test_a_dense_release_that_answers_as_the_pruned_one_tells_nothing_more():
    targets, shadows, members = made(n_pairs=8, n=2000, leak=1.5)
    same = [dataclasses.replace(signals, dense=signals.logits) for signals in (targets, shadows)]
    assert auc(lira_joint(*same, None), members) == pytest.approx(
        auc(lira_online(targets, shadows, None), members), abs=0.005
    )
