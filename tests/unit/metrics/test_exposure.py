import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from mia_pruning.metrics.exposure import exposures, halves


@given(seed=st.integers(0, 1000), n_models=st.integers(2, 9), decimals=st.integers(0, 3))
def test_exposure_is_the_auc_over_models_of_each_example(seed, n_models, decimals):
    rng = np.random.default_rng(seed)
    scores, membership = rng.normal(size=(n_models, 12)).round(decimals), rng.random((n_models, 12)) < 0.5
    for found, of_example, members in zip(exposures(scores, membership), scores.T, membership.T, strict=True):
        if members.any() and not members.all():
            assert found == pytest.approx(roc_auc_score(members, of_example))
        else:
            assert np.isnan(found)


def test_halves_part_no_twins_and_lose_nobody():
    pairs = [[row, row ^ 1] for row in range(10)]
    first, second = halves(pairs)
    assert sorted([*first, *second]) == list(range(10))
    assert {row ^ 1 for row in first} == set(first)
