import tarfile

import numpy as np
import pytest
from PIL import Image

from mia_pruning import storage
from mia_pruning.data import imagenet as imagenet_module
from mia_pruning.data.image_folder import image_folder
from mia_pruning.data.image_tree import list_tree
from mia_pruning.data.imagenet import imagenet
from mia_pruning.data.pack import check_contents
from mia_pruning.stages.pack import pack_dataset
from mia_pruning.types import StudyError


@pytest.fixture
def folder(tmp_path):
    """Classes b, a and c with 3, 2 and 4 images, and what belongs to no class."""
    for name, count in (("b", 3), ("a", 2), ("c", 4)):
        (tmp_path / "in" / name).mkdir(parents=True)
        for number in range(count):
            pixels = np.full((8, 8, 3), 50 * number + ord(name) - 97, np.uint8)
            Image.fromarray(pixels).save(
                tmp_path / "in" / name / f"{number}{['.png', '.PNG'][number % 2]}"
            )
    (tmp_path / "in" / "a" / "notes.txt").touch()
    (tmp_path / "in" / "a" / "._0.png").touch()
    (tmp_path / "in" / "readme").touch()
    (tmp_path / "in" / ".cache").mkdir()
    return tmp_path / "in"


def pixels_of(source, work):
    loaded = source.load(work)
    pixels = storage.read_array(loaded.images)
    check_contents(pixels, loaded, source)
    return pixels, loaded


def test_images_are_listed_class_by_class_in_sorted_order(folder):
    tree = list_tree(folder)
    assert tree.classes == ("a", "b", "c")
    assert tree.names[:4] == ("a/0.png", "a/1.PNG", "b/0.png", "b/1.PNG")
    assert tree.labels.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert list_tree(folder, 2, 2).names == tree.names[:4]


def test_a_folder_of_images_becomes_examples(folder, tmp_path):
    source = image_folder(folder=str(folder), resolution=8)
    pixels, loaded = pixels_of(source, tmp_path / "work")
    assert (source.n_examples, source.image_shape, source.class_names) == (
        9,
        (8, 8, 3),
        ("a", "b", "c"),
    )
    assert pixels[:, 4, 4, 0].tolist() == [0, 50, 1, 51, 101, 2, 52, 102, 152]
    assert loaded.labels.tolist() == [0, 0, 1, 1, 1, 2, 2, 2, 2]
    assert source.name == "in"
    assert "8 pixels" in loaded.notes[0]


def test_a_source_is_another_when_a_file_is_added_or_changed(folder):
    def identity():
        return image_folder(folder=str(folder), resolution=8).identity

    found = [identity()]
    assert identity() == found[0]
    for pixel in (0, 1):
        Image.fromarray(np.full((8, 8, 3), pixel, np.uint8)).save(folder / "a" / "9.png")
        found.append(identity())
    (folder / "a" / "9.png").rename(folder / "b" / "9.png")
    assert len({*found, identity()}) == 4


def test_skipped_images_are_counted_and_named_in_the_description(folder, tmp_path):
    (folder / "b" / "1.PNG").write_bytes(b"no image")
    pack_dataset(
        image_folder(folder=str(folder), resolution=8, undecodable="skip"),
        str(tmp_path / "out" / "dataset.json"),
        {},
    )
    description = storage.read_json(tmp_path / "out" / "dataset.json")
    assert description["skipped"] == {"count": 1, "names": ["b/1.PNG"]}
    assert (description["n_examples"], description["class_counts"]) == (8, [2, 2, 4])
    assert storage.read_array(tmp_path / "out" / "images.npy")[:, 0, 0, 0].tolist() == [
        0,
        50,
        1,
        101,
        2,
        52,
        102,
        152,
    ]
    assert storage.read_array(tmp_path / "out" / "labels.npy").tolist() == [0, 0, 1, 1, 2, 2, 2, 2]
    with pytest.raises(StudyError, match=r"b/1.PNG: cannot be decoded"):
        pack_dataset(
            image_folder(folder=str(folder), resolution=8),
            str(tmp_path / "refused" / "dataset.json"),
            {},
        )


def test_folders_that_cannot_work_are_refused(folder, tmp_path):
    with pytest.raises(StudyError, match=rf"{tmp_path}/none: there is no such folder"):
        image_folder(folder=str(tmp_path / "none"), resolution=8)
    with pytest.raises(StudyError, match="undecodable = 'ignore': allowed is one of refuse, skip"):
        image_folder(folder=str(folder), resolution=8, undecodable="ignore")
    (folder / "d").mkdir()
    with pytest.raises(
        StudyError, match=rf"{folder}/d: holds 0 images \(.jpeg, .jpg, .png\), needed are some"
    ):
        image_folder(folder=str(folder), resolution=8)
    with pytest.raises(StudyError, match=rf"{folder}/a: holds 0 folders of classes, needed are 2"):
        image_folder(folder=str(folder / "a"), resolution=8)


def test_imagenet_is_known_before_it_is_there(tmp_path):
    everything = imagenet(folder=str(tmp_path))
    assert (everything.n_examples, everything.image_shape, len(everything.class_names)) == (
        1_281_167,
        (64, 64, 3),
        1000,
    )
    some = imagenet(folder=str(tmp_path), resolution=32, classes=100, per_class=500)
    assert (some.n_examples, some.image_shape, len(some.class_names)) == (50_000, (32, 32, 3), 100)
    assert everything.identity != some.identity
    with pytest.raises(
        StudyError, match=r"per_class: missing; classes = 100 needs it \(1 to 732\)"
    ):
        imagenet(classes=100)


def test_imagenet_that_is_not_there_is_asked_for_in_a_sentence(tmp_path, monkeypatch):
    monkeypatch.setenv("MIA_PRUNING_DATA", str(tmp_path))
    with pytest.raises(
        StudyError,
        match=rf"obtain .* from image-net.org by hand and unpack it to {tmp_path}/imagenet/train/<class>",
    ):
        imagenet().fetch()


def test_imagenet_with_too_few_images_is_refused_before_it_is_decoded(
    folder, tmp_path, monkeypatch
):
    folder.rename(tmp_path / "train")
    with pytest.raises(StudyError, match="holds 3 folders of classes, needed are 4"):
        imagenet(folder=str(tmp_path), classes=4, per_class=1).fetch()
    with pytest.raises(StudyError, match=r"train/a: holds 2 images .* needed are 3"):
        imagenet(folder=str(tmp_path), classes=3, per_class=3).fetch()
    monkeypatch.setattr(imagenet_module, "N_CLASSES", 3)
    with pytest.raises(StudyError, match="holds 9 images; ImageNet's training set has 1281167"):
        imagenet(folder=str(tmp_path)).fetch()


def test_imagenet_takes_the_first_images_of_the_first_classes_and_learns_their_names(
    folder, tmp_path
):
    folder.rename(tmp_path / "train")
    source = imagenet(folder=str(tmp_path), resolution=8, classes=2, per_class=2)
    source.fetch()
    pixels, loaded = pixels_of(source, tmp_path / "work")
    assert pixels[:, 0, 0, 0].tolist() == [0, 50, 1, 51]
    assert loaded.class_names == ("a", "b")


def test_real_jpegs_of_ten_classes_are_packed(real, tmp_path):
    with tarfile.open(real("tinyimagenet10.tar")) as archive:
        archive.extractall(tmp_path, filter="data")
    source = image_folder(folder=str(tmp_path / "tinyimagenet10" / "val"), resolution=64)
    pack_dataset(source, str(tmp_path / "out" / "dataset.json"), {})
    description = storage.read_json(tmp_path / "out" / "dataset.json")
    assert description["class_counts"] == [50] * 10
    pixels = storage.read_array(tmp_path / "out" / "images.npy")
    tree = list_tree(tmp_path / "tinyimagenet10" / "val")
    for row in range(0, 500, 41):
        with Image.open(tree.folder / tree.names[row]) as image:
            np.testing.assert_array_equal(pixels[row], np.asarray(image.convert("RGB")))
