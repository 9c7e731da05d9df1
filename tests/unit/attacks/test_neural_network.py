import numpy as np
import pytest
import torch

from mia_pruning.attacks.neural_network import neural_network
from mia_pruning.types import Signals


def signals(logits, labels, members):
    return Signals(logits, labels, np.ones(members.shape, dtype=bool), members)


def noise(seed, n_models=2, n=200, n_classes=3):
    rng = np.random.default_rng(seed)
    return signals(
        rng.normal(size=(n_models, n, n_classes)),
        rng.integers(0, n_classes, n),
        rng.random((n_models, n)) < 0.5,
    )


def attack(targets, shadows, seed=0, **options):
    return neural_network(
        Signals(targets.logits, targets.labels, targets.candidates),
        shadows,
        np.random.default_rng(seed),
        **options,
    )


def test_it_learns_a_leak_that_shows_in_prediction_and_label_together_only():
    """Every prediction is certain; it is the right one for members and a wrong one for others."""

    def made(seed):
        rng = np.random.default_rng(seed)
        labels, members = rng.integers(0, 3, 200), rng.random((2, 200)) < 0.5
        return signals(
            8.0 * np.eye(3)[np.where(members, labels, (labels + 1) % 3)], labels, members
        )

    targets = made(1)
    assert ((attack(targets, made(0), batch_size=20) > 0) == targets.membership).mean() > 0.99


def test_scores_are_log_odds_less_a_threshold_between_members_and_others():
    """Where the prediction is certain 8 of 10 are members, elsewhere 2 of 10: log-odds of log 4 and -log 4."""

    def made(seed, n=2000):
        rng = np.random.default_rng(seed)
        certain = rng.random((1, n)) < 0.5
        members = rng.random((1, n)) < np.where(certain, 0.8, 0.2)
        return signals(
            np.stack([np.where(certain, 9.0, 0.0), np.zeros((1, n))], axis=-1),
            rng.integers(0, 2, n),
            members,
        ), certain

    (targets, certain), (shadows, _) = made(1), made(0)
    scores = attack(targets, shadows, batch_size=100)
    assert scores[certain].mean() - scores[~certain].mean() == pytest.approx(2 * np.log(4), abs=0.5)
    assert (scores[certain] > 0).all()
    assert (scores[~certain] < 0).all()


def test_it_finds_a_weak_leak():
    """Members are a quarter of a standard deviation more certain."""

    def made(seed, n=3000):
        rng = np.random.default_rng(seed)
        labels, members = rng.integers(0, 10, n), rng.random((2, n)) < 0.5
        logits = rng.normal(size=(2, n, 10))
        logits[:, np.arange(n), labels] += 3 + 2 * rng.normal(size=n) + 0.5 * members
        return signals(logits, labels, members)

    accuracies = []
    for seed in range(3):
        targets = made(100 + seed)
        accuracies.append(((attack(targets, made(seed), seed) > 0) == targets.membership).mean())
    assert np.mean(accuracies) > 0.52
    assert min(accuracies) > 0.505


def test_the_generator_decides_the_scores():
    one, same, other = (
        attack(noise(1), noise(0), seed=seed, epochs=1, min_steps=1) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_torchs_global_generator_does_not_matter():
    torch.manual_seed(1)
    one = attack(noise(1), noise(0), epochs=1, min_steps=1)
    torch.manual_seed(2)
    np.testing.assert_array_equal(attack(noise(1), noise(0), epochs=1, min_steps=1), one)
