"""Made-up models of both protocols, and the slow way in which attacks by example are checked."""

import numpy as np
import pytest

from mia_pruning.types import Signals


@pytest.fixture
def made_up():
    """A function that makes targets, shadows and the targets' membership."""
    return make_signals


def make_signals(seed=0, n_shadows=6, n=24, protocol="pool", n_classes=3, answers=None):
    """Two targets and shadows in pairs of twins.

    In the disjoint protocol the targets have the first half of the examples, shadows the other.
    answers(rng, membership) -> log-odds of two classes; without it logits are noise and a leak.
    """
    rng = np.random.default_rng(seed)
    n_models = 2 + n_shadows
    candidates = np.ones((n_models, n), dtype=bool)
    if protocol == "disjoint":
        candidates[:2, n // 2 :] = candidates[2:, : n // 2] = False
    halves = np.argsort(rng.random((n_models // 2, n)), axis=1) % 2 == 0
    membership = np.stack([halves, ~halves], axis=1).reshape(n_models, n) & candidates
    labels = rng.integers(0, n_classes, n)
    logits = rng.normal(size=(n_models, n, n_classes))
    logits[:, np.arange(n), labels] += 2 * membership
    if answers is not None:
        logits[..., 0] = 0
        logits[..., 1] = answers(rng, membership) * np.where(labels == 1, 1, -1)
    both = Signals(logits, labels, candidates, membership)
    targets = both.of_models(slice(None, 2), None)
    return targets, both.of_models(slice(2, None), membership[2:]), membership[:2]


@pytest.fixture
def assert_follows():
    """A function that compares an attack's scores with those of a slow loop."""
    return compare


def compare(found, targets, shadows, score):
    """score(others, logits, x): example x under a model's logits, compared with these shadows.

    Scores must be the same less a threshold, which no other beats on the shadows' own scores.
    """
    every, columns = range(len(shadows.logits)), range(len(shadows.labels))
    wanted = np.array([[score(list(every), t, x) for x in columns] for t in targets.logits])
    thresholds = (wanted - found)[targets.candidates]
    assert np.ptp(thresholds) < 1e-6 * max(1.0, np.abs(wanted).max())
    own, members = [], []
    for s in every:
        twin = shadows.candidates[s] & ~shadows.membership[s]
        others = [r for r in every if r != s and (shadows.membership[r] != twin).any()]
        for x in np.flatnonzero(shadows.candidates[s]):
            own.append(score(others, shadows.logits[s], x))
            members.append(shadows.membership[s, x])
    own, members = np.array(own), np.array(members)
    own, members = own[np.isfinite(own)], members[np.isfinite(own)]

    def accuracy(threshold):
        return ((own > threshold)[members].mean() + (own <= threshold)[~members].mean()) / 2

    best = max(accuracy(threshold) for threshold in [-np.inf, *own])
    near = 1e-9 * max(1.0, np.abs(own).max())
    found = max(accuracy(thresholds[0] + shift) for shift in (-near, 0, near))
    assert found == pytest.approx(best)
