"""Arrays in .npy and .npz files, read without memory mapping, without pickle and in chunks."""

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from mia_pruning.options import suggest
from mia_pruning.storage import rows_per_chunk
from mia_pruning.types import StudyError

UNREADABLE = (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError)


@dataclass(frozen=True)
class StoredArray:
    """One array of a file.

    It is under `key` of an .npz file, or a complete .npy file, where key is None.
    """

    file: Path
    key: str | None
    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool

    def __str__(self) -> str:
        return _place(self.file, self.key)

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield the rows in order, some at a time; an array in Fortran order comes complete."""
        with _content(self.file, self.key) as content:
            if self.fortran:
                yield np.lib.format.read_array(content, allow_pickle=False)
                return
            _read_header(content)
            row_shape = self.shape[1:]
            row_bytes = self.dtype.itemsize * int(np.prod(row_shape))
            for start in range(0, self.shape[0], rows_per_chunk(row_bytes)):
                rows = min(rows_per_chunk(row_bytes), self.shape[0] - start)
                yield np.frombuffer(content.read(rows * row_bytes), self.dtype).reshape(
                    rows, *row_shape
                )


def open_arrays(file: Path, keys: Sequence[str | None]) -> list[StoredArray]:
    """Return the arrays under these keys; only their headers are read.

    Raises StudyError that names the file and the key.
    """
    if not file.is_file():
        raise StudyError(file, "there is no such file")
    return [_open(file, key) for key in keys]


def _open(file: Path, key: str | None) -> StoredArray:
    with _content(file, key) as content:
        shape, fortran, dtype = _read_header(content)
    if dtype.hasobject:
        raise StudyError(
            _place(file, key),
            "holds Python objects, which are never unpickled",
            "allowed are numbers and strings",
        )
    return StoredArray(file, key, shape, dtype, fortran)


def _place(file: Path, key: str | None) -> str:
    return str(file) if key is None else f"{file}[{key}]"


def _read_header(content: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    major, _ = np.lib.format.read_magic(content)
    reader = (
        np.lib.format.read_array_header_1_0 if major == 1 else np.lib.format.read_array_header_2_0
    )
    return reader(content)


@contextmanager
def _content(file: Path, key: str | None) -> Iterator[IO[bytes]]:
    """Yield the bytes of one array, as in an .npy file.

    Raises StudyError that names the array if it cannot be read.
    """
    try:
        if key is None:
            with file.open("rb") as content:
                yield content
        else:
            with zipfile.ZipFile(file) as archive:
                keys = [name.removesuffix(".npy") for name in archive.namelist()]
                if key not in keys:
                    raise StudyError(file, f"it has no key {key!r}", suggest(key, keys))
                with archive.open(f"{key}.npy") as content:
                    yield content
    except StudyError:
        raise
    except UNREADABLE as error:
        raise StudyError(_place(file, key), f"not a readable array ({error})") from error
