"""Which members attacks find: known answers, and shares of finds that are spread at random."""

import numpy as np
import pytest

from mia_pruning.metrics.agreement import coverage, jaccard, members_found, stability

#: two models trained on examples 0 to 3, two on 4 to 7
MEMBERS = np.repeat([[True] * 4 + [False] * 4, [False] * 4 + [True] * 4], 2, axis=0)


def found(*positions):
    """A mask that is True at these (model, example)."""
    mask = np.zeros_like(MEMBERS)
    mask[tuple(np.array(positions).T)] = True
    return mask


def test_coverage_is_the_union_and_stability_the_intersection_over_models():
    """Known answer: example 0 is found on both of its models, 1 and 4 on one of two."""
    finds = found((0, 0), (1, 0), (0, 1), (3, 4))
    assert coverage(finds, MEMBERS).value == 3 / 8
    assert stability(finds, MEMBERS).value == 1 / 8


def test_examples_that_no_model_was_trained_on_do_not_count():
    members = np.pad(MEMBERS, ((0, 0), (0, 4)))
    finds = np.pad(found((0, 0), (1, 0)), ((0, 0), (0, 4)))
    assert (coverage(finds, members).value, stability(finds, members).value) == (1 / 8, 1 / 8)


def test_the_jaccard_index_counts_the_members_of_each_model_one_by_one():
    one, other = found((0, 0), (1, 0), (0, 1)), found((0, 0), (2, 4), (0, 1))
    assert jaccard(one, other, MEMBERS).value == 2 / 4
    assert jaccard(one, one, MEMBERS).value == 1
    assert jaccard(found((0, 0)), found((1, 0)), MEMBERS).value == 0


def test_where_neither_attack_finds_anything_there_is_no_jaccard_index():
    nothing = np.zeros_like(MEMBERS)
    assert jaccard(nothing, nothing, MEMBERS) == (None, None)
    assert coverage(nothing, MEMBERS) == stability(nothing, MEMBERS) == (0, 0)


def test_finds_that_are_spread_at_random_give_the_values_by_chance():
    """Known answer: at rates p of four models, coverage is 1 - (1 - p)^4 and stability p^4."""
    rng = np.random.default_rng(0)
    first = rng.random((4, 20_000)) < 0.5
    members = np.concatenate([first, ~first])
    one, other = (members & (rng.random(members.shape) < 0.4) for _ in range(2))
    for measure in (coverage, stability):
        share = measure(one, members)
        assert share.value == pytest.approx(share.by_chance, abs=0.012)
    n_models = members.sum(axis=0)
    assert coverage(one, members).by_chance == pytest.approx((1 - 0.6**n_models).mean(), abs=0.01)
    share = jaccard(one, other, members)
    assert share.value == pytest.approx(share.by_chance, abs=0.01)
    assert share.by_chance == pytest.approx(0.16 / 0.64, abs=0.01)


def test_members_are_found_above_each_models_own_threshold_among_its_candidates():
    rng = np.random.default_rng(0)
    members, candidates = rng.random((3, 400)) < 0.5, rng.random((3, 400)) < 0.8
    members &= candidates
    scores = rng.normal(size=members.shape) + 10 * np.arange(3)[:, np.newaxis] + members
    finds = members_found(0.05, scores, members, candidates)
    for row in range(3):
        others = np.sort(scores[row, candidates[row] & ~members[row]])
        threshold = others[-1 - int(0.05 * others.size)]
        np.testing.assert_array_equal(finds[row], members[row] & (scores[row] > threshold))
