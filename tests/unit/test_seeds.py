import itertools
import subprocess
import sys

import numpy as np
import pytest

from mia_pruning.seeds import derived_seed, stream, torch_seed

NAMES = [
    ("split",),
    ("model", 1),
    ("model", 2),
    ("model", 1, "train", 0),
    ("model", 1, "train", 1),
    ("bootstrap",),
]


@pytest.mark.parametrize("names", NAMES)
def test_the_same_names_give_the_same_numbers(names):
    np.testing.assert_array_equal(stream(3, *names).random(100), stream(3, *names).random(100))


def test_streams_are_the_same_in_another_process():
    code = "from mia_pruning.seeds import stream, torch_seed; print(stream(3, 'model', 1).integers(1 << 62), torch_seed(3, 'a'))"
    environment = {"PYTHONHASHSEED": "123", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [
        str(stream(3, "model", 1).integers(1 << 62)),
        str(torch_seed(3, "a")),
    ]


def test_streams_of_different_names_or_roots_are_uncorrelated():
    drawn = np.array(
        [stream(root, *names).normal(size=20_000) for root in (0, 1) for names in NAMES]
    )
    correlations = np.corrcoef(drawn)[np.triu_indices(len(drawn), k=1)]
    assert np.abs(correlations).max() < 0.035  # 5 standard errors


def test_what_one_stream_draws_changes_no_other():
    before = stream(0, "model", 2).random(5)
    stream(0, "model", 1).random(1000)
    np.testing.assert_array_equal(stream(0, "model", 2).random(5), before)


def test_names_are_told_apart_by_order_type_and_boundary():
    names = [
        ("a", "bc"),
        ("ab", "c"),
        ("abc",),
        ("bc", "a"),
        ("a", 1),
        ("a", "1"),
        ("a", 1, ""),
        (),
    ]
    first = [stream(0, *name).integers(1 << 62) for name in names]
    assert len(set(first)) == len(names)


def test_torch_seeds_fit_torch_and_differ_by_name_and_root():
    seeds = [torch_seed(root, "model", row) for root, row in itertools.product(range(5), range(40))]
    assert len(set(seeds)) == len(seeds)
    assert all(type(seed) is int and 0 <= seed < 1 << 63 for seed in seeds)
    assert max(seeds) > 1 << 62


def test_derived_seeds_are_root_seeds_of_their_own():
    roots = [root for seed in range(50) for root in (seed, derived_seed(seed, "generated"))]
    first = [stream(root, "model", 1).integers(1 << 62) for root in roots]
    assert len(set(first)) == len(roots)
    assert all(type(root) is int and 0 <= root < 1 << 31 for root in roots)
    assert derived_seed(3, "generated") == derived_seed(3, "generated") != derived_seed(3, "other")
