import numpy as np
import pytest

from mia_pruning.attacks.correctness import correctness
from mia_pruning.metrics.membership import balanced_accuracy
from mia_pruning.types import Signals


def test_its_accuracy_is_half_of_train_accuracy_plus_one_less_test_accuracy():
    rng = np.random.default_rng(0)
    logits, labels, members = (
        rng.normal(size=(1, 200, 3)),
        rng.integers(0, 3, 200),
        rng.random(200) < 0.5,
    )
    logits[0, np.arange(200), labels] += members
    scores = correctness(Signals(logits, labels, np.ones((1, 200), dtype=bool)), None, rng)
    right = logits[0].argmax(axis=-1) == labels
    assert balanced_accuracy(scores[0], members, np.ones((1, 200)))[0] == pytest.approx(
        (right[members].mean() + 1 - right[~members].mean()) / 2
    )
