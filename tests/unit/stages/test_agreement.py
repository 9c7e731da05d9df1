import numpy as np
import pytest

from mia_pruning.metrics.agreement import coverage, jaccard, stability
from mia_pruning.stages.agreement import agreement_rows
from mia_pruning.tables import AGREEMENT


@pytest.fixture
def attacked():
    """Members of four targets (4, 50), and three attacks' finds as masks."""
    rng = np.random.default_rng(0)
    first = rng.random((2, 50)) < 0.5
    members = np.stack([first, ~first], axis=1).reshape(4, 50)
    names = (("a", "adaptive"), ("a", "dense_shadows"), ("b", "adaptive"))
    return members, {name: members & (rng.random((4, 50)) < 0.3) for name in names}


def test_each_attack_has_coverage_and_stability_and_each_two_a_jaccard_index(attacked):
    members, masks = attacked
    rows = [*agreement_rows({name: np.flatnonzero(mask) for name, mask in masks.items()}, members)]
    assert all(set(row) <= set(AGREEMENT) for row in rows)
    names = ("attack", "attacker", "other_attack", "other_attacker", "metric")
    found = {tuple(row.get(name) for name in names): row for row in rows}
    assert len(found) == len(rows) == 3 * 2 + 3
    for name, mask in masks.items():
        for measure in (coverage, stability):
            row = found[*name, None, None, measure.__name__]
            assert (row["value"], row["by_chance"]) == measure(mask, members)
            assert (row["n"], row["n_models"]) == (50, 2)
    one, other = ("a", "adaptive"), ("b", "adaptive")
    row = found[*one, *other, "jaccard"]
    assert (row["value"], row["by_chance"]) == jaccard(masks[one], masks[other], members)
    assert (row["n"], row["n_models"]) == ((masks[one] | masks[other]).sum(), 4)


def test_of_one_attack_there_is_no_jaccard_index(attacked):
    members, masks = attacked
    rows = agreement_rows({("a", "adaptive"): np.flatnonzero(masks["a", "adaptive"])}, members)
    assert [row["metric"] for row in rows] == ["coverage", "stability"]
