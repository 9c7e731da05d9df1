import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning.data.idx import read_idx


def idx(array, kind=8):
    return (
        b"\0\0"
        + bytes([kind, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize("suffix", ["", ".gz"])
@given(array=hnp.arrays(np.uint8, hnp.array_shapes(max_dims=4, max_side=5)))
def test_read_idx_gives_back_what_was_written(tmp_path_factory, array, suffix):
    path = tmp_path_factory.mktemp("idx") / f"a{suffix}"
    path.write_bytes(gzip.compress(idx(array)) if suffix else idx(array))
    np.testing.assert_array_equal(read_idx(path), array, strict=True)


@given(array=hnp.arrays(np.uint8, hnp.array_shapes(max_dims=3, max_side=5)))
def test_read_idx_equals_torchvisions_reader(tmp_path_factory, array):
    from torchvision.datasets.mnist import read_sn3_pascalvincent_tensor

    path = tmp_path_factory.mktemp("idx") / "a"
    path.write_bytes(idx(array))
    np.testing.assert_array_equal(read_idx(path), read_sn3_pascalvincent_tensor(str(path)).numpy())


@given(kind=st.integers(0, 255).filter(lambda kind: kind != 8))
def test_an_idx_file_of_another_type_is_refused(tmp_path_factory, kind):
    path = tmp_path_factory.mktemp("idx") / "a.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(1, np.uint8), kind)))
    with pytest.raises(ValueError, match="not an IDX file of unsigned bytes"):
        read_idx(path)
