"""What every registered data set promises before a byte is read, and keeps. One whose files are not here is only planned."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mia_pruning import registry, storage
from mia_pruning.data.pack import check_contents
from mia_pruning.data.sources import check_sources
from mia_pruning.types import DatasetSource, StudyError

DATASETS = registry.catalogue("dataset")


@pytest.fixture(scope="session")
def options(tmp_path_factory):
    """Options for the data sets that are a user's own, by name."""
    folder = tmp_path_factory.mktemp("own")
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    np.savez(folder / "own.npz", images=images, labels=np.arange(6) % 2)
    for number, image in enumerate(images):
        (folder / "tree" / f"class_{number % 2}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / "tree" / f"class_{number % 2}" / f"{number}.png")
    return {
        "arrays": {"file": str(folder / "own.npz")},
        "image_folder": {"folder": str(folder / "tree"), "resolution": 8},
    }


@pytest.fixture(params=DATASETS)
def name(request):
    return request.param


@pytest.fixture
def source(name, options):
    return DATASETS[name].load()(**options.get(name, {}))


@pytest.fixture
def load(name, source, tmp_path):
    """load(folder name): images and labels, read with that work folder."""
    if not all(path.is_file() for path in source.files):
        pytest.skip(f"the files of {name} are not on this machine")
    if name == "imagenet" and not _fetched(source):
        pytest.skip("ImageNet is not on this machine")

    def read(folder):
        loaded = source.load(tmp_path / folder)
        return (
            storage.read_array(loaded.images) if isinstance(loaded.images, Path) else loaded.images
        ), loaded

    return read


def _fetched(source):
    try:
        source.fetch()
    except StudyError:
        return False
    return True


def test_there_is_a_data_set_to_test():
    assert {"fashion_mnist_t10k", "arrays", "image_folder"} <= set(DATASETS)


def test_its_description_is_complete_and_reads_no_pixel(source):
    assert isinstance(source, DatasetSource)
    assert all([source.name, source.licence, source.citation, source.files or source.identity])
    assert source.n_examples > 0
    assert len(source.image_shape) == 3
    assert len(set(source.class_names)) == len(source.class_names) > 1
    lengths = {"md5": 32, "sha256": 64}
    digests = [digest.split(":") for digest in source.files.values() if digest is not None]
    assert all(len(value) == lengths[algorithm] for algorithm, value in digests)


def test_its_files_are_the_published_ones_or_can_be_fetched_or_are_refused_by_name(source):
    missing = [path for path in source.files if not path.is_file()]
    check_sources(source, "datasets.d", fetched=not missing)
    if missing:
        with pytest.raises(StudyError, match=rf"datasets.d: .*{missing[0].name}"):
            check_sources(source, "datasets.d", fetched=True)


def test_what_it_loads_is_what_it_promised(source, load):
    images, loaded = load("work")
    check_contents(images, loaded, source)
    assert images.dtype == np.uint8
    assert np.issubdtype(loaded.labels.dtype, np.integer)
    assert set(np.unique(loaded.labels)) == set(range(len(source.class_names)))


def test_loading_twice_gives_the_same(load):
    (images, loaded), (again_images, again) = load("work"), load("again")
    np.testing.assert_array_equal(images, again_images)
    np.testing.assert_array_equal(loaded.labels, again.labels)
    assert (loaded.skipped, loaded.notes) == (again.skipped, again.notes)
