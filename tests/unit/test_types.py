import numpy as np
import pytest

from mia_pruning.types import Signals


def test_known_rows_are_the_candidates_model_by_model():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(3, 5, 2)), np.array([0, 1, 1, 0, 1])
    candidates, membership = rng.random((3, 5)) < 0.6, rng.random((3, 5)) < 0.5
    slow = [
        (logits[model, example], labels[example], membership[model, example])
        for model in range(3)
        for example in range(5)
        if candidates[model, example]
    ]
    for fast, wanted in zip(
        Signals(logits, labels, candidates, membership).known_rows(),
        zip(*slow, strict=True),
        strict=True,
    ):
        np.testing.assert_array_equal(fast, np.array(wanted))


def test_unknown_membership_cannot_be_read():
    targets = Signals(np.zeros((1, 2, 2)), np.zeros(2, dtype=int), np.ones((1, 2), dtype=bool))
    with pytest.raises(ValueError, match="not known to the attacker"):
        targets.known_rows()
