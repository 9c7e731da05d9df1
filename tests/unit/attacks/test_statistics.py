"""The statistics of the threshold attacks against the formulas as they are written in the papers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import log_softmax

from mia_pruning.attacks.confidence import top_confidence
from mia_pruning.attacks.entropy import negative_entropy
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.modified_entropy import negative_modified_entropy

STATISTICS = [top_confidence, negative_entropy, negative_modified_entropy]


def some(seed, n=6, n_classes=4, scale=3.0):
    rng = np.random.default_rng(seed)
    return log_softmax(scale * rng.normal(size=(2, n, n_classes)), axis=-1), rng.integers(
        0, n_classes, n
    )


def modified_entropy(p, y):
    """Mentr(p, y) of Song and Mittal 2021, equation 6."""
    return -(1 - p[y]) * np.log(p[y]) - sum(
        p[i] * np.log(1 - p[i]) for i in range(len(p)) if i != y
    )


def entropy(p, y):
    return -sum(p[i] * np.log(p[i]) for i in range(len(p)))


def negative_top_log_odds(p, y):
    return -np.log(max(p) / (1 - max(p)))


@pytest.mark.parametrize(
    ("statistic", "slow"),
    [
        (negative_modified_entropy, modified_entropy),
        (negative_entropy, entropy),
        (top_confidence, negative_top_log_odds),
    ],
)
@given(seed=st.integers(0, 1000), n_classes=st.integers(2, 10))
def test_the_statistic_equals_the_published_formula_negated(statistic, slow, seed, n_classes):
    logs, labels = some(seed, n_classes=n_classes)
    wanted = [
        [-slow(np.exp(row), label) for row, label in zip(model, labels, strict=True)]
        for model in logs
    ]
    np.testing.assert_allclose(statistic(logs, labels), wanted, rtol=1e-7, atol=1e-9)


def test_modified_entropy_of_known_predictions():
    right, wrong = np.log([[0.7, 0.2, 0.1]]), np.log([[0.2, 0.7, 0.1]])
    assert negative_modified_entropy(right, np.array([0]))[0] == pytest.approx(
        0.3 * np.log(0.7) + 0.2 * np.log(0.8) + 0.1 * np.log(0.9)
    )
    assert negative_modified_entropy(wrong, np.array([0]))[0] == pytest.approx(
        0.8 * np.log(0.2) + 0.7 * np.log(0.3) + 0.1 * np.log(0.9)
    )


def test_modified_entropy_tells_confidently_wrong_from_confidently_right_and_entropy_does_not():
    logs = log_softmax(np.array([[9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]), axis=-1)
    labels = np.array([0, 0])
    right, wrong = negative_modified_entropy(logs, labels)
    assert right > -0.01
    assert wrong < -8
    assert negative_entropy(logs, labels)[0] == pytest.approx(negative_entropy(logs, labels)[1])


@pytest.mark.parametrize("statistic", STATISTICS)
@pytest.mark.parametrize("gap", [30.0, 40.0, 1e3, 1e30])
def test_certain_predictions_have_finite_statistics(statistic, gap):
    logits = np.array([[gap, 0.0, -gap], [0.0, 0.0, 0.0], [-gap, 0.0, gap]])
    with np.errstate(all="raise", under="ignore"):
        values = statistic(log_softmax(logits, axis=-1), np.zeros(3, dtype=int))
    assert np.isfinite(values).all()
    assert values[0] > values[1]


@pytest.mark.parametrize("statistic", [top_confidence, negative_modified_entropy])
def test_growing_confidence_in_the_label_never_lowers_the_statistic(statistic):
    logits = np.zeros((400, 3))
    logits[:, 0] = np.linspace(0.5, 30, 400)
    assert (np.diff(statistic(log_softmax(logits, axis=-1), np.zeros(400, dtype=int))) >= 0).all()


def test_modified_entropy_falls_steadily_as_a_wrong_prediction_grows_certain():
    """Within the same formula; it must not jump where a probability rounds to 1, at a gap of about 37."""
    logits = np.zeros((300, 2))
    logits[:, 1] = np.linspace(20, 50, 300)
    values = negative_modified_entropy(log_softmax(logits, axis=-1), np.zeros(300, dtype=int))
    np.testing.assert_allclose(values, -2 * logits[:, 1], rtol=0.01)


def test_top_confidence_ranks_where_probabilities_are_rounded_to_one():
    logits = np.array([[40.0, 0.0, 0.0], [41.0, 0.0, 0.0], [60.0, 0.0, 0.0]])
    assert len(set(np.exp(log_softmax(logits, axis=-1)).max(axis=-1))) == 1
    assert (
        np.diff(top_confidence(log_softmax(logits, axis=-1), np.zeros(3, dtype=int))) > 0.5
    ).all()


@pytest.mark.parametrize("statistic", STATISTICS)
def test_rows_do_not_influence_each_other_and_nothing_is_modified(statistic):
    logs, labels = some(0)
    kept = logs.copy(), labels.copy()
    together = statistic(logs, labels)
    assert together.shape == (2, 6)
    for model in range(2):
        for row in range(6):
            assert statistic(logs[model, row][None], labels[row][None])[0] == pytest.approx(
                together[model, row]
            )
    np.testing.assert_array_equal(logs, kept[0])
    np.testing.assert_array_equal(labels, kept[1])


def test_label_log_odds_rank_as_the_loss_does_and_part_predictions_whose_loss_rounds_to_zero():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    log_p = log_softmax(5 * rng.normal(size=(200, 4)), axis=-1)
    p = np.exp(log_p[np.arange(200), labels])
    np.testing.assert_allclose(label_log_odds(log_p, labels), np.log(p) - np.log1p(-p), rtol=1e-6)
    sure, surer = (log_softmax(np.array([[gap, 0.0, 0.0]]), axis=-1) for gap in (50.0, 60.0))
    assert sure[0, 0] == surer[0, 0] == 0.0
    assert label_log_odds(surer, np.array([0])) > label_log_odds(sure, np.array([0]))
