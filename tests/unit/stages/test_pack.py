import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from mia_pruning import storage
from mia_pruning.stages.pack import pack_dataset
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.types import DatasetSource, Loaded, StudyError


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
    source = DatasetSource(
        "toy",
        {},
        4,
        (2, 2, 1),
        ("a",),
        "CC0",
        "nobody",
        lambda work: Loaded(images, np.zeros(3, int)),
    )
    with pytest.raises(StudyError, match="promised"):
        pack_dataset(source, str(tmp_path / "dataset.json"), {})
    assert list(tmp_path.iterdir()) == []


def source_of(load, n_examples=6):
    return DatasetSource("toy", {}, n_examples, (2, 2, 1), ("a", "b"), "CC0", "nobody", load)


def test_a_file_of_images_is_moved_and_the_unfinished_work_goes(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (6, 2, 2, 1), dtype=np.uint8)

    def load(work):
        storage.write_array(work / "any.npy", images)
        storage.write_json(work / "progress.json", {})
        return Loaded(work / "any.npy", np.arange(6) % 2)

    pack_dataset(source_of(load), str(tmp_path / "dataset.json"), {})
    np.testing.assert_array_equal(read_packed(tmp_path / "dataset.json").images, images)
    names = {"dataset.json", "first_copies.npy", "images.npy", "labels.npy"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_unfinished_work_outlives_a_failure(tmp_path):
    def load(work):
        storage.write_json(work / "progress.json", {})
        raise StudyError("an image does not decode")

    with pytest.raises(StudyError, match="does not decode"):
        pack_dataset(source_of(load), str(tmp_path / "dataset.json"), {})
    assert (tmp_path / "unfinished" / "progress.json").is_file()
    assert not (tmp_path / "dataset.json").exists()


def test_a_file_that_can_be_fetched_must_be_there_by_now(tmp_path):
    source = DatasetSource(
        "toy", {tmp_path / "f": None}, 6, (2, 2, 1), ("a", "b"), "CC0", "nobody", None, fetch=print
    )
    with pytest.raises(StudyError, match=r"toy: the file .*f is missing"):
        pack_dataset(source, str(tmp_path / "dataset.json"), {})


def test_peak_memory_does_not_grow_with_the_number_of_images(tmp_path):
    """Four times the images, 26 MB more of them, in processes of their own: less than half of that more memory."""
    code = """
        import sys
        from pathlib import Path
        import numpy as np
        from mia_pruning import storage
        from mia_pruning.stages.pack import pack_dataset
        from mia_pruning.types import DatasetSource, Loaded

        storage.CHUNK_BYTES, n, folder = 2**20, int(sys.argv[1]), sys.argv[2]
        rng = np.random.default_rng(0)
        def load(work):
            chunks = (rng.integers(0, 256, (100, 32, 32, 3), dtype=np.uint8) for _ in range(n // 100))
            storage.write_chunks(work / "images.npy", (n, 32, 32, 3), chunks)
            return Loaded(work / "images.npy", np.arange(n) % 2)
        source = DatasetSource("toy", {}, n, (32, 32, 3), ("a", "b"), "CC0", "nobody", load)
        pack_dataset(source, f"{folder}/dataset.json", {})
        print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
        """
    few, many = (
        int(subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(n), str(tmp_path / str(n))],
                           capture_output=True, text=True, check=True).stdout)
        for n in (3000, 12_000)
    )  # fmt: skip
    assert many - few < 13_000


def test_the_split_carries_its_provenance(files):
    with np.load(files.split) as archive:
        assert json.loads(str(archive["provenance"])) == {"rule": "split_examples"}
    assert set(storage.read_arrays(files.split)) == {
        "pool",
        "reference",
        "test",
        "candidates",
        "membership",
        "is_target",
    }
