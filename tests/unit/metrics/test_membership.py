import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from mia_pruning.metrics.membership import (
    balanced_accuracy,
    best_threshold,
    check_scores,
    weighted_roc,
)

FPRS = (0.0, 0.01, 0.1, 0.25, 0.5, 1.0)


@st.composite
def samples(draw, n_replicates=3):
    """Scores with many ties, members of both kinds, and whole weights that leave some of each kind."""
    n = draw(st.integers(2, 15))
    scores = draw(hnp.arrays(np.float64, n, elements=st.integers(-3, 3).map(lambda x: x / 2)))
    members = draw(hnp.arrays(bool, n))
    members[:2] = True, False
    weights = draw(hnp.arrays(np.float32, (n_replicates, n), elements=st.integers(0, 3)))
    weights[:, :2] += 1
    return scores, members, weights


def repeated(sample):
    """For each replicate the scores and members with every example repeated as often as it weighs."""
    scores, members, weights = sample
    return [
        (np.repeat(scores, row.astype(int)), np.repeat(members, row.astype(int))) for row in weights
    ]


def slow_tpr_at(scores, members, fpr):
    rates = [
        ((scores >= t)[~members].mean(), (scores >= t)[members].mean()) for t in np.unique(scores)
    ]
    return max([true for false, true in rates if false <= fpr], default=0.0)


@given(sample=samples())
def test_auc_equals_sklearns_on_weights_and_on_repeated_examples(sample):
    scores, members, weights = sample
    found = weighted_roc(*sample).auc()
    assert found == pytest.approx(
        [roc_auc_score(members, scores, sample_weight=row) for row in weights], abs=1e-6
    )
    assert found == pytest.approx([roc_auc_score(m, s) for s, m in repeated(sample)], abs=1e-6)


@given(sample=samples())
def test_auc_equals_the_fraction_of_pairs_in_order(sample):
    slow = [
        np.mean([(a > b) + (a == b) / 2 for a in s[m] for b in s[~m]]) for s, m in repeated(sample)
    ]
    assert weighted_roc(*sample).auc() == pytest.approx(slow, abs=1e-6)


@given(sample=samples())
def test_tpr_at_equals_a_search_over_thresholds_on_repeated_examples(sample):
    curve = weighted_roc(*sample)
    for fpr in FPRS:
        assert curve.tpr_at(fpr) == pytest.approx(
            [slow_tpr_at(s, m, fpr) for s, m in repeated(sample)], abs=1e-6
        )


@given(sample=samples())
def test_the_curve_counts_examples_at_or_above_each_distinct_score(sample):
    curve = weighted_roc(*sample)
    for row, (scores, members) in enumerate(repeated(sample)):
        thresholds = np.unique(sample[0])[::-1]
        assert curve.tp[row].tolist() == [(scores[members] >= t).sum() for t in thresholds]
        assert curve.fp[row].tolist() == [(scores[~members] >= t).sum() for t in thresholds]


@given(sample=samples())
def test_balanced_accuracy_equals_sklearns_on_weights_and_on_repeated_examples(sample):
    scores, members, weights = sample
    found = balanced_accuracy(*sample)
    assert found == pytest.approx(
        [balanced_accuracy_score(members, scores > 0, sample_weight=row) for row in weights],
        abs=1e-6,
    )
    assert found == pytest.approx(
        [balanced_accuracy_score(m, s > 0) for s, m in repeated(sample)], abs=1e-6
    )


def test_a_score_of_zero_is_the_guess_non_member():
    assert balanced_accuracy(np.zeros(2), np.array([True, False]), np.ones((1, 2))).tolist() == [
        0.5
    ]
    assert balanced_accuracy(
        np.array([1e-9, 0.0]), np.array([True, False]), np.ones((1, 2))
    ).tolist() == [1.0]


@given(sample=samples())
def test_replicates_do_not_influence_each_other(sample):
    scores, members, weights = sample
    alone = [weighted_roc(scores, members, row[np.newaxis]) for row in weights]
    together = weighted_roc(*sample)
    assert together.auc().tolist() == [curve.auc()[0] for curve in alone]
    assert together.tpr_at(0.1).tolist() == [curve.tpr_at(0.1)[0] for curve in alone]


def test_ties_count_half_and_are_not_interpolated():
    members = np.array([True, True, False, False])
    curve = weighted_roc(np.zeros(4), members, np.ones((1, 4)))
    assert curve.auc().tolist() == [0.5]
    assert curve.tpr_at(0.5).tolist() == [0.0]  # a line from (0, 0) to (1, 1) would say 0.5
    assert curve.tpr_at(1.0).tolist() == [1.0]


def test_tpr_at_takes_the_lowest_threshold_within_the_rate():
    scores, members = (
        np.array([5.0, 4.0, 3.0, 2.0, 1.0, 0.0]),
        np.array([True, False, True, True, False, True]),
    )
    curve = weighted_roc(scores, members, np.ones((1, 6)))
    assert curve.tpr_at(0.0).tolist() == [0.25]
    assert curve.tpr_at(0.49).tolist() == [0.25]
    assert curve.tpr_at(0.5).tolist() == [0.75]
    assert curve.tpr_at(1.0).tolist() == [1.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_rate_met_exactly_counts_as_met(dtype):
    for n in (10, 70, 100, 2500):
        curve = weighted_roc(
            np.arange(n + 1.0), np.arange(n + 1) == 0, np.ones((1, n + 1), dtype=dtype)
        )
        assert all((curve.rates[0] <= count / n).sum() == count for count in range(1, n))


def test_single_precision_weights_cost_no_accuracy_at_the_size_of_a_study():
    rng = np.random.default_rng(0)
    scores, members = rng.normal(size=50_000), rng.random(50_000) < 0.5
    scores += 0.3 * members
    weights = rng.integers(0, 4, (2, 50_000))
    found = weighted_roc(scores, members, weights.astype(np.float32)).auc()
    assert found == pytest.approx(
        weighted_roc(scores, members, weights.astype(np.float64)).auc(), abs=1e-5
    )


@pytest.mark.parametrize("shift", [0.5, 1.5])
def test_two_gaussians_have_the_closed_form_rates(shift):
    rng, n = np.random.default_rng(0), 200_000
    scores = np.concatenate([rng.normal(shift, 1, n), rng.normal(0, 1, n)])
    members, weights = np.arange(2 * n) < n, np.ones((1, 2 * n))
    curve = weighted_roc(scores, members, weights)
    assert curve.auc()[0] == pytest.approx(norm.cdf(shift / np.sqrt(2)), abs=0.004)
    for fpr in (0.001, 0.01, 0.1, 0.5):
        threshold = norm.isf(fpr)
        wanted = norm.sf(threshold - shift)
        slope = norm.pdf(threshold - shift) / norm.pdf(threshold)
        error = np.sqrt(wanted * (1 - wanted) / n + slope**2 * fpr * (1 - fpr) / n)
        assert curve.tpr_at(fpr)[0] == pytest.approx(wanted, abs=4 * error)
    centred = balanced_accuracy(scores - shift / 2, members, weights)[0]
    assert centred == pytest.approx(norm.cdf(shift / 2), abs=0.004)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_scores_that_are_not_finite_are_refused(bad):
    scores, members, weights = (
        np.array([1.0, bad, 0.0, bad]),
        np.array([True, False, True, False]),
        np.ones((1, 4)),
    )
    for metric in (weighted_roc, balanced_accuracy):
        with pytest.raises(ValueError, match="2 of 4 scores are not finite"):
            metric(scores, members, weights)
    with pytest.raises(ValueError, match="not finite"):
        best_threshold(scores, members)


@pytest.mark.parametrize(
    "members", [np.ones(3, dtype=bool), np.zeros(3, dtype=bool), np.zeros(0, dtype=bool)]
)
def test_members_of_one_class_are_refused(members):
    scores, weights = np.arange(float(members.size)), np.ones((1, members.size))
    for metric in (weighted_roc, balanced_accuracy):
        with pytest.raises(ValueError, match="one class only"):
            metric(scores, members, weights)
    for check in (check_scores, best_threshold):
        with pytest.raises(ValueError, match="one class only"):
            check(scores, members)


def accuracy_above(threshold, scores, members):
    return ((scores > threshold)[members].mean() + (scores <= threshold)[~members].mean()) / 2


@given(sample=samples(n_replicates=1))
def test_the_best_threshold_equals_brute_force(sample):
    scores, members, _ = sample
    everything = [-np.inf, *np.unique(scores)]
    best = max(accuracy_above(threshold, scores, members) for threshold in everything)
    assert accuracy_above(best_threshold(scores, members), scores, members) == pytest.approx(best)


@given(score=st.floats(-1e6, 1e6), above=st.booleans())
def test_the_best_threshold_separates_neighbouring_numbers(score, above):
    scores, members = (
        np.array([score, np.nextafter(score, np.inf if above else -np.inf)]),
        np.array([not above, above]),
    )
    assert accuracy_above(best_threshold(scores, members), scores, members) == 1.0


def test_the_best_threshold_lies_midway():
    assert (
        best_threshold(np.array([0.0, 1.0, 4.0, 9.0]), np.array([False, False, True, True])) == 2.5
    )


def test_a_worthless_score_guesses_one_class_for_all():
    scores, members = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, True, False, False])
    assert accuracy_above(best_threshold(scores, members), scores, members) == 0.5


def test_arguments_are_not_modified():
    rng = np.random.default_rng(0)
    arrays = rng.normal(size=9), np.arange(9) % 2 == 0, np.ones((2, 9))
    kept = [array.copy() for array in arrays]
    weighted_roc(*arrays).tpr_at(0.1)
    balanced_accuracy(*arrays)
    best_threshold(*arrays[:2])
    for array, copy in zip(arrays, kept, strict=True):
        np.testing.assert_array_equal(array, copy)
