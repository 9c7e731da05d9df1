import numpy as np
import pandas as pd
import pytest

from mia_pruning import storage
from mia_pruning.metrics.exposure_correlation import correlation, products
from mia_pruning.stages.exposure import write_exposure_correlations
from mia_pruning.tables import EXPOSURE_CORRELATION


@pytest.fixture
def compared(tmp_path):
    """A function that writes evaluations of planted ranks, defence -> seed -> ranks, and returns the table of correlations."""

    def compare(ranks):
        files = {defence: {} for defence in ranks}
        for defence, by_seed in ranks.items():
            for seed, values in by_seed.items():
                files[defence][seed] = str(tmp_path / f"{defence}_{seed}.npz")
                storage.write_arrays(files[defence][seed], {}, twin_ranks=values)
        write_exposure_correlations(str(tmp_path / "table.csv"), {"e": files})
        return pd.read_csv(tmp_path / "table.csv", dtype={"seeds": str})

    return compare


def ranks_of(seed, n_pairs=4):
    """Leaking ranks of 500 examples."""
    rng = np.random.default_rng(seed)
    return np.linspace(-1, 1, 500) + rng.normal(size=(n_pairs, 500))


def test_each_defence_is_compared_with_the_baseline_under_the_seeds_that_both_have(compared):
    baseline, defence = {0: ranks_of(0), 3: ranks_of(1)}, {3: ranks_of(2)}
    table = compared({"baseline": baseline, "pruned": defence}).set_index("defence")
    wanted = correlation([products(baseline[3], defence[3])])
    found = table.loc["pruned", ["value", "low", "high"]].tolist()
    assert found == pytest.approx([wanted.value, wanted.low, wanted.high])
    assert table.loc["pruned", ["n_pairs", "n_examples", "seeds"]].tolist() == [4, 500, "3"]
    assert table.loc["baseline", ["value", "n_pairs", "seeds"]].tolist() == [1, 8, "0 3"]


def test_what_cannot_be_told_is_an_empty_cell_with_its_reliability(compared):
    noise = np.random.default_rng(0).normal(size=(4, 500))
    table = compared({"baseline": {0: ranks_of(0)}, "private": {0: noise}}).set_index("defence")
    assert table.loc["private", ["value", "low", "high"]].isna().all()
    assert abs(table.loc["private", "reliability"]) < 3 * table.loc["private", "reliability_error"]


@pytest.mark.parametrize(
    "ranks",
    [{"pruned": {0: ranks_of(0)}}, {"baseline": {0: ranks_of(0, n_pairs=1)}}],
)
def test_without_the_baseline_or_with_one_pair_there_are_columns_and_no_rows(compared, ranks):
    table = compared(ranks)
    assert table.columns.tolist() == [*EXPOSURE_CORRELATION]
    assert table.empty
