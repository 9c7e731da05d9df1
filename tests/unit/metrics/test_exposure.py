import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mia_pruning.metrics.exposure import NO_LEAK, exposures, halves, swap_twins


@given(seed=st.integers(0, 1000), n_models=st.integers(2, 9), decimals=st.integers(0, 3))
def test_exposure_is_the_auc_over_models_of_each_example(seed, n_models, decimals):
    rng = np.random.default_rng(seed)
    scores, membership = (
        rng.normal(size=(n_models, 12)).round(decimals),
        rng.random((n_models, 12)) < 0.5,
    )
    for found, of_example, members in zip(
        exposures(scores, membership), scores.T, membership.T, strict=True
    ):
        if members.any() and not members.all():
            assert found == pytest.approx(roc_auc_score(members, of_example))
        else:
            assert np.isnan(found)


def test_halves_part_no_twins_and_lose_nobody():
    pairs = [[row, row ^ 1] for row in range(10)]
    first, second = halves(pairs)
    assert sorted([*first, *second]) == list(range(10))
    assert {row ^ 1 for row in first} == set(first)


def twins_of(n_models, n_examples, rng):
    """Random membership of complementary twins (n_models, n_examples), and their rows."""
    first = rng.random((n_models // 2, n_examples)) < 0.5
    membership = np.stack([first, ~first], axis=1).reshape(n_models, n_examples)
    return membership, [(row, row + 1) for row in range(0, n_models, 2)]


def test_to_swap_twins_changes_half_of_the_examples_and_leaves_the_rest_as_it_was():
    rng = np.random.default_rng(0)
    membership, twins = twins_of(6, 4000, rng)
    before, swapped = membership.copy(), swap_twins(membership, twins[:2], rng)
    np.testing.assert_array_equal(membership, before)
    np.testing.assert_array_equal(swapped[0::2], ~swapped[1::2])
    np.testing.assert_array_equal(swapped[4:], membership[4:])
    assert (swapped != membership)[:4].mean() == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef((swapped != membership)[0], (swapped != membership)[2])[
        0, 1
    ] == pytest.approx(0, abs=0.06)


@pytest.mark.parametrize(("n_models", "high"), [(8, 1.0), (32, 0.742)])
@pytest.mark.parametrize("leak", [0.0, 1.0])
def test_without_leak_the_mean_exposure_is_one_half_and_its_spread_is_that_of_few_models(
    n_models, high, leak
):
    """Simulated: of 32 models the 99 % quantile is 0.742, of 8 it is 1. Swapped twins tell nothing of a real leak."""
    rng = np.random.default_rng(n_models)
    membership, twins = twins_of(n_models, 4000, rng)
    scores = rng.normal(size=membership.shape) + leak * membership
    found = exposures(scores, swap_twins(membership, twins, rng))
    assert found.mean() == pytest.approx(NO_LEAK, abs=0.015)
    if not leak:
        assert np.quantile(found, 0.99) == pytest.approx(high, abs=0.02)
        assert exposures(scores, membership).mean() == pytest.approx(NO_LEAK, abs=0.015)
    else:
        assert exposures(scores, membership).mean() > 0.7
