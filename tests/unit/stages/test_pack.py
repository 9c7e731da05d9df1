import json

import numpy as np
import pytest

from mia_pruning import storage
from mia_pruning.stages.pack import pack_dataset
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.types import DatasetSource, StudyError


def test_a_packed_data_set_is_read_back(files):
    packed = read_packed(files.dataset)
    assert packed.image_shape == (16, 16, 1)
    assert packed.n_classes == 3
    assert packed.images.dtype == np.uint8
    assert packed.labels.dtype == np.int64
    assert packed.labels[:6].tolist() == [0, 1, 2, 0, 1, 2]
    assert packed.description["mean"] == pytest.approx([packed.images.mean()])
    assert packed.description["n_duplicates"] == 2
    assert packed.description["provenance"] == {"rule": "pack_dataset"}


def test_only_one_copy_of_a_duplicate_enters_the_split(files):
    assert not set(read_split(files.split).examples.tolist()) & {80, 81}


def test_contents_that_break_the_promise_leave_no_files(tmp_path):
    images = np.zeros((3, 2, 2, 1), np.uint8)
    source = DatasetSource("toy", {}, 4, (2, 2, 1), ("a",), "CC0", "nobody", lambda: (images, np.zeros(3, int)))
    with pytest.raises(StudyError, match="promised"):
        pack_dataset(source, str(tmp_path / "dataset.json"), {})
    assert list(tmp_path.iterdir()) == []


def test_the_split_carries_its_provenance(files):
    with np.load(files.split) as archive:
        assert json.loads(str(archive["provenance"])) == {"rule": "split_examples"}
    assert set(storage.read_arrays(files.split)) == {"pool", "reference", "test", "candidates", "membership", "is_target"}
