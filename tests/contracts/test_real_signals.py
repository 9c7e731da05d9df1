"""The fixture `location30` is what it says: networks that memorise, and generalise about half of the time."""

import numpy as np
import pytest


def accuracy(logits, labels, chosen):
    right = logits.argmax(axis=-1) == labels
    return np.array([right[model][examples].mean() for model, examples in enumerate(chosen)])


def test_networks_are_right_on_their_members_and_on_about_half_of_the_rest(location30):
    shadows = location30.shadows
    for signals, members in (
        (location30.targets, location30.members),
        (shadows, shadows.membership),
    ):
        assert (members.sum(axis=1) == 1000).all()
        assert (accuracy(signals.logits, signals.labels, members) == 1).all()
        elsewhere = accuracy(signals.logits, signals.labels, ~members)
        assert elsewhere.mean() == pytest.approx(0.54, abs=0.03)
        everything = np.ones(signals.population.shape[:2], dtype=bool)
        assert accuracy(
            signals.population, signals.population_labels, everything
        ).mean() == pytest.approx(0.54, abs=0.03)


def test_consecutive_networks_are_twins_and_no_others(location30):
    membership = np.concatenate([location30.members, location30.shadows.membership])
    assert (membership[::2] != membership[1::2]).all()
    agreement = (membership[:, np.newaxis] == membership).mean(axis=2)
    twins = np.arange(10)[:, np.newaxis] // 2 == np.arange(10) // 2
    assert agreement[~twins] == pytest.approx(0.5, abs=0.05)


def test_targets_keep_their_membership_to_themselves(location30):
    assert location30.targets.membership is None


def test_copies_are_near_to_their_example_and_not_the_same(location30):
    """The answer on a copy is more like that on its example than like that on another."""
    logits, copies = location30.shadows.logits, location30.shadows.probes["augmented"]
    assert copies.shape == (8, 2000, 4, 30)
    to_own = np.abs(copies - logits[:, :, np.newaxis]).mean()
    assert 0 < to_own < np.abs(np.roll(copies, 1, axis=1) - logits[:, :, np.newaxis]).mean() / 2
