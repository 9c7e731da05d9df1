import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning.data.pack import (
    check_contents,
    describe,
    first_copies,
    image_digests,
    moments,
    summarise,
    value_counts,
)
from mia_pruning.types import DatasetSource, Loaded, StudyError

SIZES = st.tuples(st.integers(1, 12), st.integers(1, 2), st.integers(1, 2), st.integers(1, 2))


def source_of(images, files=None, class_names=("a", "b", "c"), identity=None):
    return DatasetSource(
        "toy", files or {}, len(images), images.shape[1:], class_names, "CC0", "nobody", None, identity=identity
    )  # fmt: skip


def slow_first_copies(images):
    return [
        next(j for j in range(len(images)) if (images[j] == images[i]).all())
        for i in range(len(images))
    ]


@given(images=SIZES.flatmap(lambda shape: hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))))
def test_first_copies_equals_a_slow_loop(images):
    assert first_copies(image_digests(images)).tolist() == slow_first_copies(images)


def test_planted_copies_are_found_within_and_across_parts_and_chunks():
    """As in CIFAR-100, where 10 images are in both parts and 14 are repeats."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 256, (n, 8, 8, 3), dtype=np.uint8) for n in (500, 100))
    copies = rng.choice(250, 14, replace=False)
    train[250 + np.arange(14)] = train[copies]
    test[rng.choice(100, 10, replace=False)] = train[300:310]
    train[499, 0, 0, 0] = train[498, 0, 0, 0] ^ 1  # all but a copy
    train[499].ravel()[1:] = train[498].ravel()[1:]
    images = np.concatenate([train, test])
    found = summarise(np.split(images, [7, 260, 261]), "toy").first_copies
    assert found.tolist() == slow_first_copies(images)
    assert (found != np.arange(600)).sum() == 24
    assert found[250:264].tolist() == copies.tolist()


def test_digests_take_any_memory_layout():
    images = np.random.default_rng(0).integers(0, 2, (40, 2, 2, 1), dtype=np.uint8)
    assert (
        image_digests(images)[3].tobytes()
        == hashlib.blake2b(images[3].tobytes(), digest_size=16).digest()
    )
    np.testing.assert_array_equal(image_digests(np.asfortranarray(images)), image_digests(images))
    np.testing.assert_array_equal(image_digests(images[::2]), image_digests(images[::2].copy()))


@given(images=SIZES.flatmap(lambda shape: hnp.arrays(np.uint8, shape)), cut=st.integers(0, 12))
def test_moments_of_counts_equal_numpy_however_the_images_are_cut(images, cut):
    counts = sum(value_counts(chunk) for chunk in np.split(images, [min(cut, len(images))]))
    mean, deviation = moments(counts)
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(deviation, images.std(axis=(0, 1, 2)), rtol=1e-12, atol=1e-12)


def test_the_description_says_what_there_is(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, 4, 3, 2), dtype=np.uint8), rng.integers(0, 2, 50)
    images[7] = images[3]
    images[9] = images[3]
    (tmp_path / "source.bin").write_bytes(b"abc")
    source = source_of(images, {tmp_path / "source.bin": None}, identity="that folder")
    loaded = Loaded(images, labels, skipped=("b/1.png",), notes=("rounded",))
    found = describe(summarise([images[:20], images[20:]], "toy"), loaded, source)
    assert found["mean"] == pytest.approx(images.mean(axis=(0, 1, 2)).tolist(), rel=1e-12)
    assert found["deviation"] == pytest.approx(images.std(axis=(0, 1, 2)).tolist(), rel=1e-12)
    assert found["class_counts"] == [int((labels == 0).sum()), int((labels == 1).sum()), 0]
    assert found["n_duplicates"] == 2
    assert (found["n_examples"], found["image_shape"]) == (50, [4, 3, 2])
    assert (found["name"], found["class_names"]) == ("toy", ["a", "b", "c"])
    assert (found["licence"], found["citation"], found["identity"]) == (
        "CC0",
        "nobody",
        "that folder",
    )
    assert found["files"] == {"source.bin": hashlib.sha256(b"abc").hexdigest()}
    assert found["skipped"] == {"count": 1, "names": ["b/1.png"]}
    assert found["notes"] == ["rounded"]
    named = describe(
        summarise([images], "toy"), Loaded(images, labels, class_names=("x", "y", "z")), source
    )
    assert named["class_names"] == ["x", "y", "z"]


def test_a_constant_channel_is_refused_by_its_number():
    images = np.random.default_rng(0).integers(0, 256, (5, 2, 2, 3), dtype=np.uint8)
    images[..., 1] = 17
    with pytest.raises(StudyError, match="toy: channel 1 is 17 in every pixel of every image"):
        summarise([images[:2], images[2:]], "toy")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((4, 2, 2, 1), np.float32),
            np.zeros(4, int),
            r"images are float32 .*promised were uint8 \(4, 2, 2, 1\)",
        ),
        (np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, int), r"images are uint8 \(3, 2, 2, 1\)"),
        (np.zeros((4, 2, 3, 1), np.uint8), np.zeros(4, int), r"images are uint8 \(4, 2, 3, 1\)"),
        (np.zeros((4, 2, 2, 1), np.uint8), np.zeros(5, int), "5 labels for 4 images"),
        (
            np.zeros((4, 2, 2, 1), np.uint8),
            np.array([0, 1, 2, 3]),
            r"labels lie in 0..3; allowed is 0..2",
        ),
        (
            np.zeros((4, 2, 2, 1), np.uint8),
            np.array([0, -1, 2, 1]),
            r"labels lie in -1..2; allowed is 0..2",
        ),
    ],
)
def test_contents_that_break_the_promise_are_refused(images, labels, message):
    promised = np.zeros((4, 2, 2, 1), np.uint8)
    with pytest.raises(StudyError, match=message):
        check_contents(images, Loaded(images, labels), source_of(promised))


def test_a_data_set_of_which_all_is_skipped_is_refused():
    images = np.zeros((0, 2, 2, 1), np.uint8)
    with pytest.raises(StudyError, match="toy: no example is left of 2, all were skipped"):
        check_contents(
            images,
            Loaded(images, np.zeros(0, int), skipped=("a", "b")),
            source_of(np.zeros((2, 2, 2, 1))),
        )


def test_skipped_examples_are_no_broken_promise():
    images = np.zeros((3, 2, 2, 1), np.uint8)
    check_contents(
        images,
        Loaded(images, np.zeros(3, int), skipped=("a/1.png",)),
        source_of(np.zeros((4, 2, 2, 1))),
    )
