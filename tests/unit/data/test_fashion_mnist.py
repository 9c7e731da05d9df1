import gzip
import shutil
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning.data.fashion_mnist import CARRIED, SHA256, fashion_mnist_t10k, read_idx
from mia_pruning.data.pack import check_contents, check_sources
from mia_pruning.provenance import file_digest
from mia_pruning.types import StudyError


def test_the_carried_files_have_the_published_checksums():
    files = fashion_mnist_t10k().files
    assert {path.name: file_digest(path) for path in files} == SHA256
    assert dict(files) == {CARRIED / name: digest for name, digest in SHA256.items()}


def test_there_are_ten_thousand_images_a_thousand_a_class():
    source = fashion_mnist_t10k()
    images, labels = source.load()
    check_contents(images, labels, source)
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
    with pytest.raises(StudyError, match=rf"datasets.mine: .*{name} is damaged or altered.*{SHA256[name]}"):
        check_sources(fashion_mnist_t10k(folder=str(tmp_path / "copy")), "datasets.mine")


@pytest.mark.parametrize("name", SHA256)
def test_a_missing_file_is_refused_by_name(tmp_path, name):
    shutil.copytree(CARRIED, tmp_path / "copy")
    (tmp_path / "copy" / name).unlink()
    with pytest.raises(StudyError, match=rf"datasets.mine: the file .*{name} is missing"):
        check_sources(fashion_mnist_t10k(folder=str(tmp_path / "copy")), "datasets.mine")


@given(array=hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5)))
def test_read_idx_equals_a_byte_by_byte_reader(tmp_path_factory, array):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    path.write_bytes(
        gzip.compress(b"\0\0\x08" + bytes([array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + bytes(array))
    )
    np.testing.assert_array_equal(read_idx(path), array, strict=True)


@given(kind=st.integers(0, 255).filter(lambda kind: kind != 8))
def test_an_idx_file_of_another_type_is_refused(tmp_path_factory, kind):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    path.write_bytes(gzip.compress(b"\0\0" + bytes([kind]) + b"\x01" + struct.pack(">I", 1) + b"\0"))
    with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
        read_idx(path)
