import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from mia_pruning.attacks.thresholds import class_thresholds, of_label, threshold_attack
from mia_pruning.types import Signals


def accuracy_above(threshold, values, members):
    return ((values > threshold)[members].mean() + (values <= threshold)[~members].mean()) / 2


def best_accuracy(values, members):
    return max(
        accuracy_above(threshold, values, members) for threshold in [-np.inf, *np.unique(values)]
    )


def signals(seed=0, n_models=3, n=40, n_classes=4):
    rng = np.random.default_rng(seed)
    labels, membership = rng.integers(0, n_classes, n), rng.random((n_models, n)) < 0.5
    logits = rng.normal(size=(n_models, n, n_classes))
    logits[..., 0] += 2 * membership
    return Signals(logits, labels, np.ones((n_models, n), dtype=bool), membership)


def of_targets(seed=1):
    known = signals(seed)
    return Signals(known.logits, known.labels, known.candidates)


def first_class(log_probabilities, labels):
    return log_probabilities[..., 0]


@given(seed=st.integers(0, 500), n=st.integers(4, 40))
def test_per_class_thresholds_equal_brute_force(seed, n):
    rng = np.random.default_rng(seed)
    values, labels, members = rng.integers(0, 6, n) / 2, rng.integers(0, 3, n), rng.random(n) < 0.5
    members[:2] = True, False
    thresholds = class_thresholds(values, labels, members, 3, per_class=True)
    for label in range(3):
        rows = labels == label
        if members[rows].any() and not members[rows].all():
            found = accuracy_above(thresholds[label], values[rows], members[rows])
            assert found == pytest.approx(best_accuracy(values[rows], members[rows]))


def test_without_per_class_all_classes_share_the_best_threshold():
    rng = np.random.default_rng(0)
    values, labels, members = rng.normal(size=50), rng.integers(0, 3, 50), rng.random(50) < 0.5
    thresholds = class_thresholds(values, labels, members, 3, per_class=False)
    assert len(set(thresholds)) == 1
    assert accuracy_above(thresholds[0], values, members) == pytest.approx(
        best_accuracy(values, members)
    )


def test_a_class_without_both_kinds_of_examples_takes_the_threshold_of_all():
    values, labels = np.array([0.0, 1.0, 5.0, 6.0]), np.array([0, 0, 2, 2])
    members = np.array([False, False, True, True])
    thresholds = class_thresholds(values, labels, members, 3, per_class=True)
    assert thresholds.tolist() == [3.0, 3.0, 3.0]


@given(seed=st.integers(0, 100))
def test_of_label_equals_a_slow_loop(seed):
    rng = np.random.default_rng(seed)
    values, labels = rng.normal(size=(2, 5, 3)), rng.integers(0, 3, 5)
    slow = [[values[model, example, labels[example]] for example in range(5)] for model in range(2)]
    assert of_label(values, labels).tolist() == slow
    assert of_label(values[0], labels).tolist() == slow[0]


@pytest.mark.parametrize("per_class", [True, False])
def test_scores_are_the_statistic_less_the_threshold_of_the_shadows(per_class):
    shadows, targets = signals(), of_targets()
    logits, labels, members = shadows.known_rows()
    values = log_softmax(logits, axis=-1)[:, 0]
    scores = threshold_attack(first_class, targets, shadows, per_class=per_class)
    for label in range(4):
        rows = labels == label if per_class else np.ones_like(members)
        threshold = (log_softmax(targets.logits, axis=-1)[..., 0] - scores)[
            :, targets.labels == label
        ]
        assert threshold == pytest.approx(threshold.flat[0])
        assert accuracy_above(threshold.flat[0], values[rows], members[rows]) == pytest.approx(
            best_accuracy(values[rows], members[rows])
        )


def test_thresholds_depend_on_the_shadows_candidates_alone():
    shadows, targets = signals(), of_targets()
    before = threshold_attack(first_class, targets, shadows, per_class=True)
    moved = Signals(targets.logits[:, ::-1] + 3, targets.labels[::-1], targets.candidates)
    np.testing.assert_allclose(
        threshold_attack(first_class, moved, shadows, per_class=True), before[:, ::-1]
    )
    candidates = np.ones_like(shadows.candidates)
    candidates[:, :10] = False
    fewer, noisy = (
        Signals(logits, shadows.labels, candidates, shadows.membership)
        for logits in (shadows.logits, shadows.logits.copy())
    )
    noisy.logits[:, :10] = 100.0
    again = threshold_attack(first_class, targets, fewer, per_class=True)
    np.testing.assert_array_equal(
        threshold_attack(first_class, targets, noisy, per_class=True), again
    )
    assert (again != before).any()


def test_single_precision_signals_are_judged_in_double_precision():
    targets, shadows = of_targets(), signals()
    single = Signals(
        targets.logits.astype(np.float32) + np.float32(60), targets.labels, targets.candidates
    )
    found = threshold_attack(first_class, single, shadows, per_class=False)
    assert found.dtype == np.float64
    in_double = Signals(single.logits.astype(np.float64), targets.labels, targets.candidates)
    np.testing.assert_array_equal(
        found, threshold_attack(first_class, in_double, shadows, per_class=False)
    )
