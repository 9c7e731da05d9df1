"""What every registered data set promises before a byte is read, and keeps. One whose files are not here is refused by name."""

import numpy as np
import pytest

from mia_pruning import registry
from mia_pruning.data.pack import check_contents, check_sources
from mia_pruning.types import DatasetSource, StudyError

#: data sets that need no option; the others cannot be built without knowing the user's files
DATASETS = [
    name
    for name, plug_in in registry.catalogue("dataset").items()
    if all(option.default is not registry.REQUIRED for option in plug_in.options.values())
]


def source_of(name):
    return registry.catalogue("dataset")[name].load()()


def loaded(name):
    source = source_of(name)
    if not all(path.is_file() for path in source.files):
        pytest.skip(f"the files of {name} are not on this machine")
    return source, *source.load()


def test_there_is_a_data_set_to_test():
    assert "fashion_mnist_t10k" in DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_its_description_is_complete_and_reads_no_file(name):
    source = source_of(name)
    assert isinstance(source, DatasetSource)
    assert all([source.name, source.licence, source.citation, source.files])
    assert source.n_examples > 0
    assert len(source.image_shape) == 3
    assert len(set(source.class_names)) == len(source.class_names) > 1
    assert all(digest is None or len(digest) == 64 for digest in source.files.values())


@pytest.mark.parametrize("name", DATASETS)
def test_its_files_are_the_published_ones_or_are_refused_by_name(name):
    source = source_of(name)
    missing = [path for path in source.files if not path.is_file()]
    if not missing:
        check_sources(source, "datasets.d")
    else:
        with pytest.raises(StudyError, match=rf"datasets.d: .*{missing[0].name}"):
            check_sources(source, "datasets.d")


@pytest.mark.parametrize("name", DATASETS)
def test_what_it_loads_is_what_it_promised(name):
    source, images, labels = loaded(name)
    check_contents(images, labels, source)
    assert images.dtype == np.uint8
    assert np.issubdtype(labels.dtype, np.integer)
    assert set(np.unique(labels)) == set(range(len(source.class_names)))


@pytest.mark.parametrize("name", DATASETS)
def test_loading_twice_gives_the_same(name):
    source, images, labels = loaded(name)
    again_images, again_labels = source.load()
    np.testing.assert_array_equal(images, again_images)
    np.testing.assert_array_equal(labels, again_labels)
