import shutil
from pathlib import Path

import numpy as np
import pytest

from mia_pruning.data.fashion_mnist import CARRIED, SHA256, fashion_mnist_t10k
from mia_pruning.data.pack import check_contents
from mia_pruning.data.sources import check_sources
from mia_pruning.provenance import file_digest
from mia_pruning.types import StudyError


def test_the_carried_files_have_the_published_checksums():
    files = fashion_mnist_t10k().files
    assert {path.name: file_digest(path) for path in files} == SHA256
    assert dict(files) == {CARRIED / name: f"sha256:{digest}" for name, digest in SHA256.items()}


def test_there_are_ten_thousand_images_a_thousand_a_class():
    source = fashion_mnist_t10k()
    loaded = source.load(Path())
    check_contents(loaded.images, loaded, source)
    images, labels = loaded.images, loaded.labels
    assert images.shape == (10_000, 28, 28, 1)
    assert np.bincount(labels).tolist() == [1000] * 10
    assert labels[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
    assert (images.min(), images.max()) == (0, 255)


@pytest.mark.parametrize("name", SHA256)
def test_a_damaged_file_is_refused_by_name(tmp_path, name):
    shutil.copytree(CARRIED, tmp_path / "copy")
    damaged = tmp_path / "copy" / name
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(
        StudyError, match=rf"datasets.mine: .*{name} is damaged or altered.*{SHA256[name]}"
    ):
        check_sources(fashion_mnist_t10k(folder=str(tmp_path / "copy")), "datasets.mine")


@pytest.mark.parametrize("name", SHA256)
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    shutil.copytree(CARRIED, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(StudyError, match=rf"datasets.mine: the file .*{name} is missing"):
        check_sources(fashion_mnist_t10k(folder=str(tmp_path / "copy")), "datasets.mine")
