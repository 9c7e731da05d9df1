import numpy as np
import pytest
from scipy.special import log_softmax

from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.predictions import class_log_odds, label_first


def slow_log_odds(logits):
    """One class at a time, in the precision that a sum over the other classes has."""
    found = np.empty(logits.shape)
    for row, of_one in enumerate(logits):
        for label in range(len(of_one)):
            found[row, label] = of_one[label] - np.logaddexp.reduce(np.delete(of_one, label))
    return found


@pytest.mark.parametrize("scale", [0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("n_classes", [2, 3, 100])
def test_they_equal_a_slow_loop_also_where_probabilities_round_to_0_and_1(scale, n_classes):
    logits = scale * np.random.default_rng(0).normal(size=(50, n_classes))
    np.testing.assert_allclose(class_log_odds(logits), slow_log_odds(logits), rtol=1e-9, atol=1e-9)


def test_ties_for_the_largest_class_are_even_odds_of_two_classes():
    np.testing.assert_allclose(class_log_odds(np.array([[3.0, 3.0]])), [[0.0, 0.0]], atol=1e-12)


def test_the_labels_entry_is_the_signal_of_the_loss_attack():
    rng = np.random.default_rng(1)
    logits, labels = 5 * rng.normal(size=(40, 7)), rng.integers(0, 7, 40)
    expected = label_log_odds(logits, labels)
    np.testing.assert_allclose(label_first(logits, labels)[:, 0], expected, rtol=1e-9, atol=1e-9)


def test_a_shift_of_the_logits_changes_nothing():
    logits = np.random.default_rng(2).normal(size=(20, 4))
    np.testing.assert_allclose(class_log_odds(logits), class_log_odds(log_softmax(logits, axis=-1)))


def test_the_other_classes_descend_whatever_their_order_was():
    rng = np.random.default_rng(3)
    logits, labels = rng.normal(size=(30, 6)), rng.integers(0, 6, 30)
    features = label_first(logits, labels)
    assert (np.diff(features[:, 1:], axis=1) <= 0).all()
    renamed = rng.permutation(6)
    moved = label_first(logits[:, np.argsort(renamed)], renamed[labels])
    np.testing.assert_allclose(moved, features, rtol=1e-9, atol=1e-12)


def test_inputs_are_unchanged():
    logits, labels = np.random.default_rng(4).normal(size=(5, 3)), np.array([0, 1, 2, 0, 1])
    before = logits.copy()
    label_first(logits, labels)
    np.testing.assert_array_equal(logits, before)
