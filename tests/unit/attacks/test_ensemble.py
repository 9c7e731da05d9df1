from dataclasses import replace

import numpy as np
import pytest

from mia_pruning.attacks.ensemble import ensemble, signs
from mia_pruning.attacks.lira import lira_offline
from mia_pruning.attacks.loss import loss
from mia_pruning.metrics.membership import weighted_roc
from mia_pruning.types import Signals


def made(difficulty, leak=2.0, n_models=8, n=1500, seed=0):
    """Two classes; the label's log-odds are higher for members by `leak`, and differ between examples by `difficulty`."""
    rng = np.random.default_rng(seed)
    halves = np.argsort(rng.random((n_models // 2, n)), axis=1) % 2 == 0
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n)
    labels, population_labels = rng.integers(0, 2, n), rng.integers(0, 2, 300)

    def logits(labels, odds):
        return np.stack([np.where(labels == k, odds, 0.0) for k in (0, 1)], axis=-1)

    odds = leak * membership + difficulty * rng.normal(size=n) + rng.normal(size=(n_models, n))
    of_population = difficulty * rng.normal(size=300) + rng.normal(size=(n_models, 300))
    both = Signals(
        logits(labels, odds),
        labels,
        np.ones_like(membership),
        membership,
        logits(population_labels, of_population),
        population_labels,
    )
    return (
        both.of_models(slice(0, 2), None),
        both.of_models(slice(2, None), membership[2:]),
        membership[:2],
    )


def auc(attack, difficulty):
    targets, shadows, members = made(difficulty)
    scores = attack(targets, shadows, np.random.default_rng(0))
    return np.mean(
        [
            weighted_roc(s, m, np.ones((1, m.size))).auc()[0]
            for s, m in zip(scores, members, strict=True)
        ]
    )


def test_where_examples_are_alike_it_sees_what_the_loss_tells():
    assert auc(ensemble, 0.0) == pytest.approx(auc(loss, 0.0), abs=0.02)
    assert auc(loss, 0.0) > auc(lira_offline, 0.0) + 0.03  # the shadows' means are noise there


def test_where_examples_differ_it_sees_what_comparing_with_shadows_tells():
    assert auc(ensemble, 4.0) > auc(loss, 4.0) + 0.15
    assert auc(ensemble, 4.0) == pytest.approx(auc(lira_offline, 4.0), abs=0.03)


def test_shadows_inside_are_used_where_every_example_has_one():
    targets, shadows, _ = made(1.0, n=100)
    without = shadows.membership.copy()
    without[:, 0] = False
    names, names_without = (
        {part.name for part in signs(targets, replace(shadows, membership=membership))}
        for membership in (shadows.membership, without)
    )
    assert names - names_without == {"online BaVarIA", "online RMIA"}
    assert names_without < names
