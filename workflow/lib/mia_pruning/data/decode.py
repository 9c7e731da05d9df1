"""Decoding image files into one array on disk.

It works in parallel and in bounded memory, and resumes after a kill at any instant.

The array file has its full size from the start. Worker processes decode chunks of files into
their places in it. Each chunk is noted in a file next to it after it has reached the disk. Both
files are named after what is decoded, so other images or another resolution never continue them.
"""

import io
import json
import logging
import multiprocessing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mia_pruning import storage
from mia_pruning.provenance import fingerprint
from mia_pruning.types import StudyError

logger = logging.getLogger("mia_pruning")
MAX_PROCESSES = 8
CHUNKS_PER_MESSAGE = 50
#: A JPEG is decoded at a fraction of its size that is still this many times the resolution.
OVERSAMPLING = 2
#: It is the first row of a chunk, and the reason for each of its files that did not decode.
Done = tuple[int, dict[str, str]]


def decode(
    folder: Path, names: Sequence[str], identity: str, *, resolution: int, skip: bool, work: Path
) -> tuple[Path, dict[str, str]]:
    """Return the .npy file of the images in `work`, and the files left out with the reason.

    The images are uint8 (n, resolution, resolution, 3).

    identity: of the files' names and contents. Raises StudyError for a file that does not
    decode, unless `skip`.
    """
    shape = (len(names), resolution, resolution, 3)
    rows = storage.rows_per_chunk(resolution * resolution * 3)
    mark = fingerprint([identity, resolution, rows])
    array, progress = work / f"{mark}.npy", work / f"{mark}.jsonl"
    done = _resumed(array, progress, shape)
    todo = (
        (start, names[start : start + rows])
        for start in range(0, len(names), rows)
        if start not in done
    )
    with _mapper() as run, progress.open("a", encoding="utf-8") as notes:
        for start, failed in run(partial(_decode_chunk, folder, array, resolution), todo):
            if failed and not skip:
                raise _refusal(folder, failed)
            done[start] = failed
            notes.write(json.dumps([start, failed]) + "\n")
            notes.flush()
            if len(done) % CHUNKS_PER_MESSAGE == 0:
                logger.info(
                    "decoded %d of %d images", min(len(done) * rows, len(names)), len(names)
                )
    failed = {name: reason for start in sorted(done) for name, reason in done[start].items()}
    return (_without(array, names, failed, work) if failed else array), failed


def decode_image(content: bytes, resolution: int) -> np.ndarray:
    """Return one image as uint8 (resolution, resolution, 3).

    The shorter side is resized, then the centre is cropped. Grey becomes RGB. Raises ValueError
    for pixels of more than 8 bits, and whatever the decoder raises.
    """
    with Image.open(io.BytesIO(content)) as image:
        image.draft("RGB", (OVERSAMPLING * resolution, OVERSAMPLING * resolution))
        if image.mode.startswith(("I", "F")):
            raise ValueError(f"its pixels are of mode {image.mode}, allowed are 8 bits")
        pixels = image.convert("RGB")
    shorter = min(pixels.size)
    width, height = (round(side * resolution / shorter) for side in pixels.size)
    if (width, height) != pixels.size:
        pixels = pixels.resize((width, height), Image.Resampling.BILINEAR)
    left, top = (width - resolution) // 2, (height - resolution) // 2
    return np.asarray(pixels)[top : top + resolution, left : left + resolution]


def _resumed(array: Path, progress: Path, shape: tuple[int, ...]) -> dict[int, dict[str, str]]:
    """Return what an earlier attempt has done, or nothing where there is none.

    It is the first row of each chunk and what failed in it. Without an earlier attempt, the
    array file is created.
    """
    if not array.is_file():
        storage.write_text(progress, "")
        storage.write_chunks(array, shape, ())
    complete = [
        line
        for line in progress.read_text(encoding="utf-8").splitlines(keepends=True)
        if line.endswith("\n")
    ]
    storage.write_text(
        progress, "".join(complete)
    )  # a line that a kill cut off would spoil the next
    return dict(map(json.loads, complete))


@contextmanager
def _mapper() -> Iterator[Callable[..., Iterable[Any]]]:
    """Yield a map over as many processes as this one may use; results come in any order."""
    processes = min(MAX_PROCESSES, len(os.sched_getaffinity(0)))
    # Processes are forked, because the other methods run the main module again, and a job's
    # script has no guard against that.
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield pool.imap_unordered


def _decode_chunk(
    folder: Path, array: Path, resolution: int, chunk: tuple[int, Sequence[str]]
) -> Done:
    """Decode the files of a chunk into the rows from `start` on.

    The row of a file that does not decode stays black.
    """
    start, names = chunk
    images = np.zeros((len(names), resolution, resolution, 3), np.uint8)
    failed = {}
    for row, name in enumerate(names):
        content = (folder / name).read_bytes()
        try:
            images[row] = decode_image(content, resolution)
        except Exception as error:  # whatever a damaged file makes the decoder raise
            failed[name] = f"{type(error).__name__}: {error}"
    with array.open("r+b") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        file.seek(start * images[0].nbytes, os.SEEK_CUR)
        file.write(images.data)
        file.flush()
        os.fsync(file.fileno())
    return start, failed


def _refusal(folder: Path, failed: dict[str, str]) -> StudyError:
    (name, reason), *others = failed.items()
    more = f" (and {len(others)} near it)" if others else ""
    return StudyError(
        f"{folder / name}{more}",
        f"cannot be decoded ({reason})",
        "repair or remove it, or set undecodable: skip to leave it out",
    )


def _without(array: Path, names: Sequence[str], failed: dict[str, str], work: Path) -> Path:
    """Write and return a copy of the array file without the rows that failed."""
    kept = [name not in failed for name in names]
    resolution = storage.read_array(array).shape[1]
    storage.write_chunks(
        work / "kept.npy", (sum(kept), resolution, resolution, 3), _kept(array, iter(kept))
    )
    return work / "kept.npy"


def _kept(array: Path, kept: Iterator[bool]) -> Iterator[np.ndarray]:
    for chunk in storage.read_chunks(array):
        yield chunk[np.fromiter(kept, bool, len(chunk))]
