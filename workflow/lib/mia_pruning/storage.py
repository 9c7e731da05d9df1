"""The only place that reads or writes a result file.

Every write goes to a temporary name next to the target and is renamed, so a reader never sees half
a file. Nothing is unpickled: tensors are safetensors, arrays are npy/npz without objects, tables
are CSV, descriptions are JSON. Each artefact carries the provenance record of the job that made
it.
"""

import csv
import json
import math
import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning.types import StudyError

#: At most this many bytes of an array are in memory where it is read or written in chunks.
CHUNK_BYTES = 2**23


@contextmanager
def atomic(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path next to `path`.

    It becomes `path` if the block ends well, and disappears if it does not.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: str | Path, content: Any) -> None:
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_json(path: str | Path) -> Any:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise StudyError(
            path, f"not a readable JSON file ({error})", "delete it and run again"
        ) from error


def write_text(path: str | Path, content: str) -> None:
    with atomic(path) as temporary:
        temporary.write_text(content, encoding="utf-8")


def write_array(path: str | Path, array: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.save(file, array, allow_pickle=False)


def read_array(path: str | Path) -> np.ndarray:
    """Return the array of a file, memory-mapped and read-only."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise StudyError(
            path, f"not a readable array file ({error})", "delete it and run again"
        ) from error


def rows_per_chunk(row_bytes: int) -> int:
    """Return the number of rows of this size that fit into a chunk, at least one."""
    return max(1, CHUNK_BYTES // max(1, row_bytes))


def read_chunks(path: str | Path) -> Iterator[np.ndarray]:
    """Yield the rows of an array file in order, some at a time.

    The file is read, not mapped: pages of a mapping count as memory of the process until it ends.
    """
    array = read_array(path)
    row_bytes = array[:1].nbytes
    with Path(path).open("rb") as file:
        file.seek(array.offset)
        for start in range(0, len(array), rows_per_chunk(row_bytes)):
            rows = min(rows_per_chunk(row_bytes), len(array) - start)
            yield np.frombuffer(file.read(rows * row_bytes), array.dtype).reshape(
                rows, *array.shape[1:]
            )


def write_chunks(path: str | Path, shape: tuple[int, ...], chunks: Iterable[np.ndarray]) -> None:
    """Write rows of unsigned bytes, some at a time, as one array file of this shape.

    Rows that are not given are zero.
    """
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": shape}
        )
        start = file.tell()
        for chunk in chunks:
            file.write(np.ascontiguousarray(chunk, dtype=np.uint8).data)
        file.truncate(start + math.prod(shape))


def write_arrays(path: str | Path, provenance: Mapping[str, Any], **arrays: np.ndarray) -> None:
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, provenance=np.array(json.dumps(provenance)), **arrays)


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of an npz file, without its provenance record."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name != "provenance"}
    except (ValueError, EOFError, OSError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise StudyError(
            path, f"not a readable npz file ({error})", "delete it and run again"
        ) from error


def write_tensors(
    path: str | Path, tensors: Mapping[str, Any], metadata: Mapping[str, Any]
) -> None:
    from safetensors.torch import save_file

    contiguous = {name: tensor.detach().contiguous() for name, tensor in tensors.items()}
    with atomic(path) as temporary:
        # One entry: safetensors writes several in an order that changes from call to call.
        save_file(contiguous, temporary, metadata={"json": json.dumps(metadata, sort_keys=True)})


def read_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the tensors of a safetensors file by name, and its metadata."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("json", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, metadata  # noqa: SIM118
    except (SafetensorError, FileNotFoundError) as error:
        raise StudyError(
            path, f"not a readable safetensors file ({error})", "delete it and run again"
        ) from error


def write_table(path: str | Path, rows: Iterable[dict[str, Any]], columns: list[str]) -> None:
    """Write rows as CSV, in the given column order; a key that is not a column is an error."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def select(tensors: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Return the entries under `prefix/`, with the prefix removed.

    >>> select({"a/x": 1, "b/x": 2}, "a")
    {'x': 1}
    """
    return {
        name[len(prefix) + 1 :]: tensor
        for name, tensor in tensors.items()
        if name.startswith(f"{prefix}/")
    }


def under(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors with `prefix/` before their names, the inverse of `select`.

    >>> under("a", {"x": 1})
    {'a/x': 1}
    """
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}
