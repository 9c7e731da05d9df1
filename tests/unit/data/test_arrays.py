import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning import storage
from mia_pruning.data.arrays import FLOATS_NOTE, arrays
from mia_pruning.data.pack import check_contents
from mia_pruning.types import StudyError

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 5, 4), dtype=np.uint8)
LABELS = np.arange(12) % 3


@pytest.fixture
def file(tmp_path):
    """file(**arrays): an .npz file; by default with twelve images and labels."""

    def write(**changes):
        np.savez(tmp_path / "mine.npz", **{"images": IMAGES, "labels": LABELS, **changes})
        return str(tmp_path / "mine.npz")

    return write


def loaded(source, work):
    found = source.load(work)
    pixels = storage.read_array(found.images)
    check_contents(pixels, found, source)
    return pixels, found


def refusal(work, **options):
    """What is said about arrays that cannot work, at planning or while they are read."""
    with pytest.raises(StudyError) as refused:
        arrays(**options).load(work)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_an_npz_file_comes_back(file, tmp_path):
    source = arrays(file=file())
    pixels, found = loaded(source, tmp_path / "work")
    np.testing.assert_array_equal(pixels, IMAGES[..., np.newaxis])
    np.testing.assert_array_equal(found.labels, LABELS)
    assert (source.n_examples, source.image_shape, source.class_names) == (
        12,
        (5, 4, 1),
        ("0", "1", "2"),
    )
    assert (source.name, source.licence, found.notes) == ("mine", "not stated", ())
    assert {path.name: digest for path, digest in source.files.items()} == {"mine.npz": None}


def test_lists_of_keys_are_joined_in_order(file, tmp_path):
    path = file(x_test=IMAGES[:2], y_test=LABELS[::-1][:2].astype(np.uint8))
    source = arrays(
        file=path,
        images=["x_test", "images"],
        labels=["y_test", "labels"],
        name="n",
        licence="l",
        citation="c",
    )
    pixels, found = loaded(source, tmp_path / "work")
    np.testing.assert_array_equal(pixels[..., 0], np.concatenate([IMAGES[:2], IMAGES]))
    assert found.labels.tolist() == [2, 1, *LABELS]
    assert (source.name, source.licence, source.citation) == ("n", "l", "c")


@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_files_of_images_and_labels_come_back(tmp_path, order):
    colour = np.asarray(RNG.integers(0, 256, (6, 3, 2, 3), dtype=np.uint8), order=order)
    np.save(tmp_path / "x.npy", colour)
    np.save(tmp_path / "y.npy", LABELS[:6])
    source = arrays(
        file=str(tmp_path / "x.npy"),
        label_file=str(tmp_path / "y.npy"),
        class_names=["a", "b", "c", "d"],
    )
    np.testing.assert_array_equal(loaded(source, tmp_path / "work")[0], colour)
    assert source.class_names == ("a", "b", "c", "d")
    assert len(source.files) == 2


def test_a_compressed_file_and_small_chunks_make_no_difference(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "mine.npz", images=IMAGES, labels=LABELS)
    monkeypatch.setattr(storage, "CHUNK_BYTES", 50)
    np.testing.assert_array_equal(
        loaded(arrays(file=str(tmp_path / "mine.npz")), tmp_path / "w")[0][..., 0], IMAGES
    )


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ">f4"])
def test_bytes_scaled_to_floats_come_back_as_they_were(file, tmp_path, dtype):
    source = arrays(file=file(images=(IMAGES / 255).astype(dtype)))
    pixels, found = loaded(source, tmp_path / "work")
    np.testing.assert_array_equal(pixels[..., 0], IMAGES)
    assert found.notes == (FLOATS_NOTE,)
    assert "round(255 x)" in FLOATS_NOTE


@given(value=st.floats(0, 1))
def test_a_float_is_rounded_to_the_nearest_byte(tmp_path_factory, value):
    folder = tmp_path_factory.mktemp("floats")
    np.save(folder / "x.npy", np.full((2, 1, 1), value))
    np.save(folder / "y.npy", np.array([0, 1]))
    source = arrays(file=str(folder / "x.npy"), label_file=str(folder / "y.npy"))
    assert abs(float(loaded(source, folder / "w")[0][0, 0, 0, 0]) - 255 * value) <= 0.5


def test_planning_reads_no_pixel(tmp_path):
    """The data behind the header are cut off: only reading them tells."""
    np.save(tmp_path / "x.npy", IMAGES)
    np.save(tmp_path / "y.npy", LABELS)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-1])
    options = {"file": str(tmp_path / "x.npy"), "label_file": str(tmp_path / "y.npy")}
    assert arrays(**options).n_examples == 12
    assert f"{tmp_path / 'x.npy'}: not a readable array" in refusal(tmp_path / "work", **options)


def floats(**pixels):
    images = (IMAGES / 255).astype(np.float32)
    images[7, 2, 1] = pixels["pixel"]
    return images


BAD_FILES = {  # what is in the file, and the words of the refusal behind the file's path
    "unequal lengths": ({"labels": LABELS[:-1]}, "[labels]: 11 labels for the 12 images of"),
    "label below 0": ({"labels": LABELS - 1}, "[labels]: labels lie in -1..1; allowed is 0..1"),
    "a stray label": (
        {"labels": np.append(LABELS[1:], 255)},
        "[labels]: labels lie in 0..255, but none is 3; count labels from 0, or name the classes",
    ),
    "float labels": ({"labels": LABELS.astype(float)}, "[labels]: labels are float64; allowed are integers"),
    "bool labels": ({"labels": LABELS > 1}, "[labels]: labels are bool; allowed are integers"),
    "object labels": ({"labels": LABELS.astype(object)}, "[labels]: holds Python objects, which are never unpickled"),
    "labels of two axes": ({"labels": LABELS[:, None]}, "[labels]: labels have shape (12, 1); allowed is one axis"),
    "NaN": ({"images": floats(pixel=np.nan)}, "[images]: a pixel is NaN or infinite; allowed is [0, 1]"),
    "infinite": ({"images": floats(pixel=-np.inf)}, "[images]: a pixel is NaN or infinite"),
    "above 1": ({"images": floats(pixel=1.5)}, "[images]: a pixel is 1.5; allowed is uint8, or floats in [0, 1]"),
    "below 0": ({"images": floats(pixel=-0.25)}, "[images]: a pixel is -0.25; allowed is"),
    "int64": ({"images": IMAGES.astype(int)}, "[images]: pixels are int64; allowed is uint8, or floats in [0, 1]"),
    "complex": ({"images": IMAGES * 1j}, "[images]: pixels are complex128"),
    "objects": ({"images": IMAGES.astype(object)}, "[images]: holds Python objects, which are never unpickled"),
    "two axes": ({"images": IMAGES[0]}, "[images]: images have shape (5, 4); allowed is n x height x width"),
    "five axes": ({"images": IMAGES[:, None, None]}, "[images]: images have shape (12, 1, 1, 5, 4)"),
    "no image": ({"images": IMAGES[:0], "labels": LABELS[:0]}, "[images]: images have shape (0, 5, 4); no size may be 0"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_FILES)
def test_arrays_that_cannot_work_are_refused_by_file_and_key(case, file, tmp_path):
    changes, message = BAD_FILES[case]
    path = file(**changes)
    assert f"{path}{message}" in refusal(tmp_path / "work", file=path)


BAD_OPTIONS = {  # options, and words of the refusal
    "unknown key": ({"images": "imgs"}, "mine.npz: it has no key 'imgs'; did you mean 'images'? Allowed: images, labels, names"),
    "unknown label key": ({"labels": ["label"]}, "has no key 'label'; did you mean 'labels'?"),
    "lists of two lengths": ({"images": ["images", "images"]}, "labels = ['labels']: 2 keys are needed"),
    "arrays that disagree": ({"images": ["images", "names"], "labels": ["labels", "labels"]}, "[names]: pixels are <U1"),
    "too few names": ({"class_names": ["a", "b"]}, "[labels]: labels lie in 0..2; allowed is 0..1"),
    "a name twice": ({"class_names": ["a", "b", "a"]}, "class_names: a, b, a; at least 2 are needed, each of them once"),
    "names that are numbers": ({"class_names": "labels"}, "[labels]: class names are int64 (12,); allowed is one axis of"),
    "label file beside npz": ({"label_file": "y.npy"}, "label_file = 'y.npy': an .npz file has its labels under a key"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_OPTIONS)
def test_options_that_cannot_work_are_refused(case, file, tmp_path):
    options, message = BAD_OPTIONS[case]
    assert message in refusal(
        tmp_path / "work", file=file(names=np.array(["a", "b", "c"])), **options
    )


def test_names_of_classes_may_stand_under_a_key(file):
    assert arrays(file=file(names=np.array(["x", "yy", "z"])), class_names="names").class_names == (
        "x",
        "yy",
        "z",
    )


def test_joined_images_of_two_sizes_are_refused(file, tmp_path):
    path = file(other=IMAGES[:, :4])
    message = refusal(
        tmp_path / "work", file=path, images=["images", "other"], labels=["labels", "labels"]
    )
    assert message.startswith(
        f"{path}[other]: images are uint8 (4, 4), those of {path}[images] are uint8 (5, 4)"
    )


def test_files_that_are_missing_or_no_arrays_are_refused(tmp_path):
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    (tmp_path / "bad.npy").write_bytes(b"nothing")
    x, bad, work = str(tmp_path / "x.npy"), str(tmp_path / "bad.npy"), tmp_path / "work"
    assert f"{tmp_path / 'none.npz'}: there is no such file" in refusal(
        work, file=str(tmp_path / "none.npz")
    )
    assert f"{tmp_path / 'none.npy'}: there is no such file" in refusal(
        work, file=x, label_file=str(tmp_path / "none.npy")
    )
    assert "label_file = None: the labels of an .npy file are needed" in refusal(work, file=x)
    assert f"{bad}: not a readable array" in refusal(work, file=x, label_file=bad)
    assert "bad.npz[images]: not a readable array" in refusal(work, file=str(tmp_path / "bad.npz"))
    assert "file = 'a.csv': allowed is an .npz or .npy file" in refusal(work, file="a.csv")
    np.save(tmp_path / "y.npy", LABELS)
    options = {"file": x, "label_file": str(tmp_path / "y.npy"), "class_names": "names"}
    assert "class_names = 'names': " in refusal(work, **options)


def test_a_damaged_member_is_refused_by_its_key(file, tmp_path):
    path = tmp_path / "mine.npz"
    file()
    content = bytearray(path.read_bytes())
    content[content.find(IMAGES.tobytes()) + 7] ^= 1
    path.write_bytes(content)
    assert f"{path}[images]: not a readable array" in refusal(tmp_path / "work", file=str(path))


def test_the_real_cifar_archive_of_two_parts_comes_back(real, tmp_path):
    path = real("cifar10.npz")
    source = arrays(
        file=str(path), images=["x_train", "x_test"], labels=["y_train", "y_test"], class_names="class_names"
    )  # fmt: skip
    pixels, found = loaded(source, tmp_path / "work")
    assert json.dumps(source.class_names[:2]) == '["airplane", "automobile"]'
    with np.load(path) as archive:
        np.testing.assert_array_equal(pixels[20_000:], archive["x_test"])
        np.testing.assert_array_equal(found.labels[:20_000], archive["y_train"])
