from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.data.split import Split, check_size, make_split, stratified_parts
from mia_pruning.types import StudyError

POOL = {"protocol": "pool", "examples": 40, "models": 6, "reference": 10, "test": 20}
DISJOINT = {**POOL, "protocol": "disjoint", "shadow_examples": 24, "shadow_models": 4}


@st.composite
def sections(draw):
    """A `split` section of either protocol, and how many examples the data set has."""
    even = st.integers(1, 12).map(lambda half: 2 * half)
    section = {"protocol": "pool", "examples": draw(even), "models": 2 + draw(even)}
    section |= {"reference": draw(st.integers(0, 9)), "test": draw(st.integers(1, 20))}
    if draw(st.booleans()):
        section |= {
            "protocol": "disjoint",
            "shadow_examples": draw(even),
            "shadow_models": draw(even),
        }
    needed = sum(
        section.get(key, 0) for key in ("examples", "shadow_examples", "reference", "test")
    )
    return section, needed + draw(st.integers(0, 30))


def made(section, n_examples=200, n_classes=4, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(n_examples) % n_classes)
    return make_split(section, labels, np.arange(n_examples), rng), labels


@given(case=sections(), seed=st.integers(0, 1000))
def test_every_example_is_in_exactly_half_of_the_models_of_its_pool(case, seed):
    split, _ = made(*case, seed=seed)
    np.testing.assert_array_equal(2 * split.membership.sum(axis=0), split.candidates.sum(axis=0))
    assert not (split.membership & ~split.candidates).any()
    assert split.candidates.any(axis=0).all()


@given(case=sections(), seed=st.integers(0, 1000))
def test_twins_are_complementary_and_of_one_role(case, seed):
    split, _ = made(*case, seed=seed)
    for first in range(0, len(split.membership), 2):
        one, other = split.membership[first : first + 2]
        np.testing.assert_array_equal(one ^ other, split.candidates[first])
        np.testing.assert_array_equal(split.candidates[first], split.candidates[first + 1])
        assert split.is_target[first] == split.is_target[first + 1]
        assert one.sum() == other.sum()


@given(case=sections(), seed=st.integers(0, 1000))
def test_the_protocol_decides_targets_and_candidates(case, seed):
    section = case[0]
    split, _ = made(*case, seed=seed)
    if section["protocol"] == "pool":
        assert split.is_target.all()
        assert split.candidates.shape == (section["models"], section["examples"])
        assert split.candidates.all()
    else:
        assert (
            split.is_target.tolist()
            == [True] * section["models"] + [False] * section["shadow_models"]
        )
        of_targets, of_shadows = (
            split.candidates[split.is_target],
            split.candidates[~split.is_target],
        )
        assert (of_targets.sum(axis=1) == section["examples"]).all()
        assert (of_shadows.sum(axis=1) == section["shadow_examples"]).all()
        assert not (of_targets.any(axis=0) & of_shadows.any(axis=0)).any()


@given(case=sections(), seed=st.integers(0, 1000))
def test_pool_reference_and_test_are_disjoint_and_of_the_asked_size(case, seed):
    section, n_examples = case
    split, _ = made(*case, seed=seed)
    assert np.unique(split.examples).size == split.examples.size
    assert (split.reference.size, split.test.size) == (section["reference"], section["test"])
    assert split.pool.size == section["examples"] + section.get("shadow_examples", 0)
    assert split.examples.min() >= 0
    assert split.examples.max() < n_examples


@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=4),
    n_classes=st.integers(1, 8),
    rest=st.integers(0, 20),
    seed=st.integers(0, 1000),
)
def test_parts_hold_the_classes_equally_to_within_one_example(sizes, n_classes, rest, seed):
    rng = np.random.default_rng(seed)
    per_class = (sum(sizes) + rest) // n_classes + 1
    labels = rng.permutation(np.repeat(np.arange(n_classes), per_class))
    parts = stratified_parts(labels, np.arange(labels.size), sizes, rng)
    assert [part.size for part in parts] == sizes
    for part in parts:
        assert (
            np.abs(np.bincount(labels[part], minlength=n_classes) - part.size / n_classes).max()
            <= 1
        )
    assert np.unique(np.concatenate(parts)).size == sum(sizes)


@given(
    counts=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    share=st.floats(0.05, 0.95),
    seed=st.integers(0, 1000),
)
def test_parts_hold_unequal_classes_in_proportion(counts, share, seed):
    """To within one example of the class and its share of what the other classes were rounded by."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(len(counts)), counts))
    first = round(share * labels.size)
    of_class = np.array(counts) / labels.size
    for part in stratified_parts(labels, np.arange(labels.size), [first, labels.size - first], rng):
        found = np.bincount(labels[part], minlength=len(counts))
        assert (np.abs(found - of_class * part.size) <= 1 + of_class * len(counts)).all()


@given(seed=st.integers(0, 1000), n_examples=st.integers(1, 30).map(lambda half: 2 * half))
def test_each_model_trains_on_half_of_each_class_to_within_one_example(seed, n_examples):
    section = {"protocol": "pool", "examples": n_examples, "models": 4, "reference": 0, "test": 1}
    split, labels = made(section, n_examples=101, n_classes=5, seed=seed)
    counts = np.bincount(labels[split.pool], minlength=5)
    for model in range(len(split.membership)):
        assert (
            np.abs(np.bincount(labels[split.members(model)], minlength=5) - counts / 2).max() <= 1
        )


def test_pairs_are_drawn_independently():
    split, _ = made({**POOL, "examples": 160, "models": 12, "reference": 0})
    first = split.membership[0::2].astype(float)
    assert np.abs(np.corrcoef(first)[np.triu_indices(6, k=1)]).max() < 0.3


def test_only_usable_examples_are_used_and_too_few_are_refused():
    labels, usable = np.zeros(100, dtype=int), np.arange(0, 100, 2)
    split = make_split({**POOL, "examples": 20}, labels, usable, np.random.default_rng(0))
    assert np.isin(split.examples, usable).all()
    with pytest.raises(StudyError, match="70 examples are needed, but only 50 are distinct"):
        make_split(POOL, labels, usable, np.random.default_rng(0))


def test_the_generator_decides_the_split():
    same, again, other = made(POOL, seed=1)[0], made(POOL, seed=1)[0], made(POOL, seed=2)[0]
    for name, array in same.as_arrays().items():
        np.testing.assert_array_equal(array, again.as_arrays()[name])
    assert (same.pool != other.pool).any()
    assert (same.membership != other.membership).any()


def test_members_are_indices_into_the_data_set():
    split, _ = made(DISJOINT)
    for model, row in enumerate(split.membership):
        assert split.members(model).tolist() == [
            split.pool[i] for i in range(split.pool.size) if row[i]
        ]


@pytest.mark.parametrize("section", [POOL, DISJOINT])
def test_arrays_rebuild_the_split(section):
    split, _ = made(section)
    again = Split(**split.as_arrays())
    np.testing.assert_array_equal(again.examples, split.examples)
    np.testing.assert_array_equal(
        again.examples, np.concatenate([split.pool, split.test, split.reference])
    )


@pytest.mark.parametrize("name", ["reference", "test"])
def test_overlapping_parts_are_refused(name):
    split, _ = made(POOL)
    with pytest.raises(StudyError, match="overlap"):
        replace(split, **{name: np.append(getattr(split, name), split.pool[3])})


def test_an_example_twice_in_the_pool_is_refused():
    split, _ = made(POOL)
    with pytest.raises(StudyError, match="overlap"):
        replace(split, pool=np.append(split.pool[1:], split.pool[1]))


def test_twins_that_are_not_complementary_are_refused():
    split, _ = made(POOL)
    for wrong in (
        split.membership ^ (np.arange(40) == 3) & (np.arange(6) == 2)[:, np.newaxis],
        split.membership[:5],
    ):
        with pytest.raises(StudyError, match="twins are not complementary"):
            replace(
                split,
                membership=wrong,
                candidates=split.candidates[: len(wrong)],
                is_target=split.is_target[: len(wrong)],
            )


def test_members_outside_the_candidates_are_refused():
    split, _ = made(POOL)
    candidates = split.candidates.copy()
    candidates[:, 5] = False
    with pytest.raises(StudyError, match="members outside its candidates"):
        replace(split, candidates=candidates)


def test_shadows_that_share_examples_with_targets_are_refused():
    split, _ = made(POOL)
    with pytest.raises(StudyError, match="shadow models share examples with the targets"):
        replace(split, is_target=np.arange(6) < 4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"examples": 41}, r"split.examples = 41: .*must be even"),
        ({"models": 5}, r"split.models = 5: .*must be even"),
        ({"models": 2}, r"split.models = 2: .*at least 4"),
        (
            {"protocol": "disjoint", "shadow_examples": 3, "shadow_models": 2},
            r"split.shadow_examples = 3: .*must be even",
        ),
        (
            {"protocol": "disjoint", "shadow_examples": 4, "shadow_models": 3},
            r"split.shadow_models = 3: .*must be even",
        ),
        (
            {"test": 51},
            r"split: examples 40 \+ reference 10 \+ test 51 = 101 examples, but the data set has 100",
        ),
        (
            {"protocol": "disjoint", "shadow_examples": 40, "shadow_models": 2},
            r"split: examples 40 \+ shadow_examples 40 \+ reference 10 \+ test 20 = 110 examples, but the data set has 100",
        ),
    ],
)
def test_a_section_that_cannot_work_is_refused_with_key_and_value(change, message):
    with pytest.raises(StudyError, match=message):
        check_size({**POOL, **change}, 100, "split")


@pytest.mark.parametrize(
    "section",
    [{**POOL, "test": 50}, {**POOL, "models": 4}, {**DISJOINT, "shadow_examples": 30, "models": 2}],
)
def test_a_section_that_just_fits_is_accepted(section):
    check_size(section, 100, "split")
    assert made(section, n_examples=100)[0].test.size == section["test"]
