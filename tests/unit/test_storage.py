import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mia_pruning import storage
from mia_pruning.types import StudyError

ARRAYS = hnp.arrays(
    st.sampled_from(["f4", "f8", "i8", "u1", "?"]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)

METADATA = {"rows": [0, 1], "provenance": {"rule": "r"}, "identity": "abc", "a": 1, "b": 2, "c": 3}
WRITERS = {
    "a.json": lambda path: storage.write_json(path, {"b": [1, 2], "a": "ü"}),
    "a.txt": lambda path: storage.write_text(path, "text ü" * 20),
    "a.npy": lambda path: storage.write_array(path, np.arange(500)),
    "a.npz": lambda path: storage.write_arrays(
        path, {"rule": "r"}, x=np.arange(500), y=np.ones((2, 3))
    ),
    "a.safetensors": lambda path: storage.write_tensors(
        path, {"w": torch.arange(500.0), "b": torch.ones(3)}, METADATA
    ),
    "a.csv": lambda path: storage.write_table(path, [{"x": 1, "y": 2}], ["x", "y"]),
}
READERS = {
    "a.json": storage.read_json,
    "a.npy": storage.read_array,
    "a.npz": storage.read_arrays,
    "a.safetensors": storage.read_tensors,
}


def test_an_exception_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "result.csv"
    path.write_text("old")

    def write_half():
        with storage.atomic(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "result.csv"
    path.write_text("old")
    with storage.atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
        assert temporary.parent == path.parent  # a rename is atomic within one file system only
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_has_opened_the_old_file_goes_on_reading_it(tmp_path):
    storage.write_array(tmp_path / "a.npy", np.arange(5))
    old = storage.read_array(tmp_path / "a.npy")
    storage.write_array(tmp_path / "a.npy", np.arange(5) + 10)
    assert old.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("name", WRITERS)
def test_every_writer_makes_its_folder_overwrites_and_leaves_no_litter(tmp_path, name):
    path = tmp_path / "deep" / "er" / name
    WRITERS[name](path)
    path.write_bytes(b"damaged")
    WRITERS[name](path)
    assert list(path.parent.iterdir()) == [path]
    assert b"damaged" not in path.read_bytes()


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_content_gives_the_same_bytes(tmp_path, name):
    WRITERS[name](tmp_path / name)
    WRITERS[name](tmp_path / "again" / name)
    assert (tmp_path / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


@given(array=ARRAYS)
def test_arrays_survive_the_round_trip(tmp_path_factory, array):
    folder = tmp_path_factory.mktemp("arrays")
    storage.write_arrays(folder / "a.npz", {}, first=array, second=np.array(["text"]))
    found = storage.read_arrays(folder / "a.npz")
    assert list(found) == ["first", "second"]
    np.testing.assert_array_equal(found["first"], array, strict=True)
    if array.size:
        storage.write_array(folder / "a.npy", array)
        np.testing.assert_array_equal(storage.read_array(folder / "a.npy"), array)


def test_an_array_is_memory_mapped_and_read_only(tmp_path):
    storage.write_array(tmp_path / "a.npy", np.arange(5))
    array = storage.read_array(tmp_path / "a.npy")
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_an_npz_file_carries_its_provenance(tmp_path):
    WRITERS["a.npz"](tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as archive:
        assert json.loads(str(archive["provenance"])) == {"rule": "r"}


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.uint8, torch.bool]
)
def test_tensors_and_metadata_survive_the_round_trip(tmp_path, dtype):
    whole = (torch.arange(24).view(2, 3, 4) % 3).to(dtype)
    tensors = {
        "whole": whole,
        "scalar": whole[0, 0, 1].clone(),
        "empty": whole[:0].clone(),
        "view": whole.clone().mT[1:],
    }
    metadata = {"rows": [0, 1], "provenance": {"a": None, "b": "ü"}}
    storage.write_tensors(tmp_path / "a.safetensors", tensors, metadata)
    found, found_metadata = storage.read_tensors(tmp_path / "a.safetensors")
    assert found_metadata == metadata
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == dtype
        assert torch.equal(found[name], tensor)


def test_a_channels_last_tensor_keeps_its_values(tmp_path):
    tensor = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    storage.write_tensors(tmp_path / "a.safetensors", {"w": torch.nn.Parameter(tensor)}, {})
    assert torch.equal(storage.read_tensors(tmp_path / "a.safetensors")[0]["w"], tensor)


def test_json_is_sorted_and_survives_the_round_trip(tmp_path):
    WRITERS["a.json"](tmp_path / "a.json")
    assert storage.read_json(tmp_path / "a.json") == {"b": [1, 2], "a": "ü"}
    assert list(storage.read_json(tmp_path / "a.json")) == ["a", "b"]


def test_a_table_keeps_the_order_of_its_columns_and_refuses_others(tmp_path):
    path = tmp_path / "a.csv"
    storage.write_table(path, [{"y": 2, "x": 1}, {"x": 3}], ["x", "y"])
    assert path.read_text() == "x,y\n1,2\n3,\n"
    with pytest.raises(ValueError, match="z"):
        storage.write_table(path, [{"x": 1, "z": 2}], ["x", "y"])
    assert path.read_text() == "x,y\n1,2\n3,\n"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.9])
def test_a_truncated_file_is_refused_by_its_path(tmp_path, name, kept):
    path = tmp_path / name
    WRITERS[name](path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(StudyError) as refusal:
        READERS[name](path)
    assert str(path) in str(refusal.value)


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_refused_by_its_path(tmp_path, name):
    with pytest.raises((StudyError, FileNotFoundError)) as refusal:
        READERS[name](tmp_path / name)
    assert str(tmp_path / name) in str(refusal.value)


def test_a_changed_byte_of_an_npz_file_is_refused_by_its_path(tmp_path):
    path = tmp_path / "a.npz"
    WRITERS["a.npz"](path)
    content = bytearray(path.read_bytes())
    content[content.index(np.arange(500).tobytes()[:80]) + 40] ^= 255
    path.write_bytes(content)
    with pytest.raises(StudyError, match=r"a\.npz"):
        storage.read_arrays(path)


class Planted:
    """Unpickling it would raise."""

    def __reduce__(self):
        return exec, ("raise SystemError('unpickled')",)


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.safetensors"])
def test_a_pickle_is_never_loaded(tmp_path, name):
    path = tmp_path / name
    for content in (pickle.dumps(Planted()), b""):
        path.write_bytes(content)
        with pytest.raises(StudyError, match="not a readable"):
            READERS[name](path)


def test_object_arrays_are_neither_read_nor_written(tmp_path):
    objects = np.array([Planted(), None])
    np.save(tmp_path / "a.npy", objects)
    np.savez(tmp_path / "a.npz", x=objects)
    for name in ("a.npy", "a.npz"):
        with pytest.raises(StudyError, match="not a readable"):
            READERS[name](tmp_path / name)
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.write_array(tmp_path / "b.npy", objects)
    with pytest.raises(ValueError, match="allow_pickle"):
        storage.write_arrays(tmp_path / "b.npz", {}, x=objects)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npy", "a.npz"]


def test_select_and_under_are_inverse_and_take_whole_prefixes():
    tensors = {"1/w": 1, "1/m/w": 2, "10/w": 3}
    assert storage.select(tensors, "1") == {"w": 1, "m/w": 2}
    assert storage.select(storage.under("1", {"w": 1, "m/w": 2}), "1") == {"w": 1, "m/w": 2}


@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=1, max_dims=4, max_side=6)),
    chunk_bytes=st.integers(1, 40),
    cut=st.integers(0, 6),
)
def test_chunks_are_the_array_whole_and_in_order(tmp_path_factory, array, chunk_bytes, cut):
    path = tmp_path_factory.mktemp("chunks") / "a.npy"
    storage.write_chunks(path, array.shape, np.split(array, [min(cut, len(array))]))
    np.testing.assert_array_equal(np.load(path), array, strict=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "CHUNK_BYTES", chunk_bytes)
        chunks = list(storage.read_chunks(path))
    np.testing.assert_array_equal(np.concatenate(chunks), array, strict=True)
    assert all(len(chunk) == 1 or chunk.nbytes <= chunk_bytes for chunk in chunks)


def test_rows_that_are_not_given_are_zero(tmp_path):
    storage.write_chunks(tmp_path / "a.npy", (4, 2), [np.ones((1, 2), np.uint8)])
    assert np.load(tmp_path / "a.npy").tolist() == [[1, 1], [0, 0], [0, 0], [0, 0]]
