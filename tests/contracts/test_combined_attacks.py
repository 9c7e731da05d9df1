"""Attacks that combine several signs, on networks that were really trained: none is worse than one
of its signs by itself.
"""

import dataclasses

import numpy as np
import pytest

from mia_pruning import registry
from mia_pruning.attacks.combining import Part
from mia_pruning.attacks.label_only import rights
from mia_pruning.attacks.lira_multivariate import (
    augmented_parts,
    augmented_parts_offline,
    joint_parts,
)
from mia_pruning.metrics.membership import auc, balanced_accuracy, best_threshold

ATTACKS = registry.catalogue("attack")
#: How much AUC and attack accuracy a combined attack may lose to a sign. Each metric is a mean over
#: two targets of 2,000 examples, with a standard error of at most 0.009.
TOLERANCE = 0.01

#: Each combined attack, and which of its signs are attacks by themselves.
SIGNS = {
    "label_only": ["correctness"],
    "lira_joint": ["lira_online"],
    "lira_augmented": ["lira_online"],
    "lira_offline_augmented": ["lira_offline"],
    "quantile_regression": ["loss"],
    "samia": ["loss", "modified_entropy"],
    "ensemble": [
        "loss",
        "modified_entropy",
        "calibrated_loss",
        "lira_offline",
        "lira_online",
        "bavaria_online",
        "base_offline",
        "base_online",
        "rmia_offline",
        "rmia_online",
    ],
}


def label_parts(targets, shadows):
    of_targets, of_shadows = rights(targets), rights(shadows)
    return [Part(name, of_targets[name], of_shadows[name]) for name in of_targets]


#: Signs that are no attacks by themselves.
PARTS = {
    "label_only": label_parts,
    "lira_joint": joint_parts,
    "lira_augmented": augmented_parts,
    "lira_offline_augmented": augmented_parts_offline,
}


@pytest.fixture(params=["location30", "hundred_classes"])
def signals(request):
    return request.getfixturevalue(request.param)


def run(name, targets, shadows, **options):
    return ATTACKS[name].load()(targets, shadows, np.random.default_rng(0), **options)


def of_some_examples(signals, n):
    """Signals of the first n examples of the pool."""
    return dataclasses.replace(
        signals,
        logits=signals.logits[:, :n],
        labels=signals.labels[:n],
        candidates=signals.candidates[:, :n],
        membership=None if signals.membership is None else signals.membership[:, :n],
        probes={name: answers[:, :n] for name, answers in signals.probes.items()},
    )


def quality(scores, members):
    """Mean AUC and attack accuracy over the targets."""
    ones = np.ones((1, members.shape[1]))
    rows = list(zip(scores, members, strict=True))
    accuracies = [balanced_accuracy(*row, ones)[0] for row in rows]
    return np.array([np.mean([auc(*row) for row in rows]), np.mean(accuracies)])


def by_itself(part, shadows):
    """The part with the threshold that is best on the shadows."""
    known = shadows.candidates & np.isfinite(part.of_shadows)
    return part.of_targets - best_threshold(part.of_shadows[known], shadows.membership[known])


@pytest.mark.parametrize("name", [name for name in SIGNS if name != "samia"])
def test_a_combined_attack_is_at_least_as_good_as_each_of_its_signs(signals, name):
    assert_no_sign_is_better(name, signals.targets, signals.shadows, signals.members)


def test_samia_is_at_least_as_good_as_each_of_its_signs(location30):
    """On 300 examples of 30 classes, and with few steps: its network is slow."""
    targets, shadows = (
        of_some_examples(of, 300) for of in (location30.targets, location30.shadows)
    )
    options = {"max_rows": 1000, "epochs": 1, "min_steps": 40}
    assert_no_sign_is_better("samia", targets, shadows, location30.members[:, :300], **options)


def assert_no_sign_is_better(name, targets, shadows, members, **options):
    found = quality(run(name, targets, shadows, **options), members)
    alone = {sign: run(sign, targets, shadows) for sign in SIGNS[name]}
    if name in PARTS:
        parts = PARTS[name](targets, shadows)
        alone |= {part.name: by_itself(part, shadows) for part in parts}
    lost = {sign: quality(scores, members) - found for sign, scores in alone.items()}
    assert max(of.max() for of in lost.values()) < TOLERANCE, lost


def test_seeing_both_releases_is_no_worse_than_seeing_the_dense_one_alone(signals):
    targets, shadows = (
        dataclasses.replace(of, logits=of.dense) for of in (signals.targets, signals.shadows)
    )
    of_dense = quality(run("lira_online", targets, shadows), signals.members)
    of_both = quality(run("lira_joint", signals.targets, signals.shadows), signals.members)
    assert (of_both > of_dense - TOLERANCE).all()
