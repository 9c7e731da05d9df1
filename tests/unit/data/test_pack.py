import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning.data.pack import check_contents, check_sources, describe, first_copies
from mia_pruning.types import DatasetSource, StudyError


def source_of(images, labels, files=None, class_names=("a", "b", "c")):
    return DatasetSource(
        "toy", files or {}, len(images), images.shape[1:], class_names, "CC0", "nobody", lambda: (images, labels)
    )


@given(
    images=st.integers(1, 12).flatmap(
        lambda n: hnp.arrays(
            np.uint8, st.tuples(st.just(n), st.integers(1, 2), st.integers(1, 2), st.just(1)), elements=st.integers(0, 2)
        )
    )
)
def test_first_copies_equals_a_slow_loop(images):
    slow = [next(j for j in range(len(images)) if (images[j] == images[i]).all()) for i in range(len(images))]
    assert first_copies(images).tolist() == slow


def test_first_copies_takes_any_memory_layout():
    images = np.random.default_rng(0).integers(0, 2, (40, 2, 2, 1), dtype=np.uint8)
    np.testing.assert_array_equal(first_copies(np.asfortranarray(images)), first_copies(images))
    np.testing.assert_array_equal(first_copies(images[::2]), first_copies(images[::2].copy()))


def test_the_description_equals_numpy(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (50, 4, 3, 2), dtype=np.uint8), rng.integers(0, 2, 50)
    images[7] = images[3]
    images[9] = images[3]
    (tmp_path / "source.bin").write_bytes(b"abc")
    found = describe(images, labels, source_of(images, labels, {tmp_path / "source.bin": None}))
    for channel in range(2):
        values = images[..., channel].astype(np.float64).ravel()
        assert found["mean"][channel] == pytest.approx(sum(values) / len(values), rel=1e-12)
        assert found["deviation"][channel] == pytest.approx(np.sqrt(np.mean((values - values.mean()) ** 2)), rel=1e-12)
    assert found["class_counts"] == [int((labels == 0).sum()), int((labels == 1).sum()), 0]
    assert found["n_duplicates"] == 2
    assert (found["n_examples"], found["image_shape"]) == (50, [4, 3, 2])
    assert (found["name"], found["class_names"]) == ("toy", ["a", "b", "c"])
    assert (found["licence"], found["citation"]) == ("CC0", "nobody")
    assert found["files"] == {"source.bin": hashlib.sha256(b"abc").hexdigest()}


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.zeros((4, 2, 2, 1), np.float32), np.zeros(4, int), r"images are float32 .*promised were uint8 \(4, 2, 2, 1\)"),
        (np.zeros((3, 2, 2, 1), np.uint8), np.zeros(3, int), r"images are uint8 \(3, 2, 2, 1\)"),
        (np.zeros((4, 2, 3, 1), np.uint8), np.zeros(4, int), r"images are uint8 \(4, 2, 3, 1\)"),
        (np.zeros((4, 2, 2, 1), np.uint8), np.zeros(5, int), "5 labels for 4 images"),
        (np.zeros((4, 2, 2, 1), np.uint8), np.array([0, 1, 2, 3]), r"labels lie in 0..3, allowed is 0..2"),
        (np.zeros((4, 2, 2, 1), np.uint8), np.array([0, -1, 2, 1]), r"labels lie in -1..2, allowed is 0..2"),
    ],
)
def test_contents_that_break_the_promise_are_refused(images, labels, message):
    promised = np.zeros((4, 2, 2, 1), np.uint8)
    with pytest.raises(StudyError, match=message):
        check_contents(images, labels, source_of(promised, np.zeros(4, int)))


def test_a_file_without_published_checksum_must_only_exist(tmp_path):
    images = np.zeros((1, 1, 1, 1), np.uint8)
    source = source_of(images, np.zeros(1, int), {tmp_path / "a": None})
    with pytest.raises(StudyError, match=r"datasets.x: the file .*a is missing"):
        check_sources(source, "datasets.x")
    (tmp_path / "a").touch()
    check_sources(source, "datasets.x")
