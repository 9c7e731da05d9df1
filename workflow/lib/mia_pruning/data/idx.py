"""IDX files, the format of MNIST and its relatives, and the sources that consist of them.

torchvision's own reader is not used: where it finds an old processed file, it prefers this.
Nobody published a digest of such a file.
"""

import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning.data.published import Archive, bring, parts_of
from mia_pruning.types import DatasetSource, Loaded

COUNTS = {"train": 60_000, "test": 10_000}
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def idx_source(
    folder: Path,
    part: str,
    digests: Mapping[str, tuple[str, str]],
    mirrors: tuple[str, ...],
    **description: Any,
) -> DatasetSource:
    """Return the source of 60,000 training and 10,000 test images of 28 x 28 x 1.

    Its files are in `folder`, in torchvision's layout. digests maps each file to the digest of
    its gzipped archive and its own. part: `all`, `train` or `test`.
    """
    files = [
        (folder / images, folder / labels)
        for images, labels in map(FILES.__getitem__, parts_of(part))
    ]
    checked = {path: digests[path.name][1] for pair in files for path in pair}

    def fetch() -> None:
        for path, digest in checked.items():
            bring(
                Archive(f"{path.name}.gz", digests[path.name][0], mirrors), folder, {path: digest}
            )

    def load(work: Path) -> Loaded:
        images, labels = (
            np.concatenate([read_idx(path) for path in paths]) for paths in zip(*files, strict=True)
        )
        return Loaded(images[..., np.newaxis], labels)

    n_examples = sum(COUNTS[name] for name in parts_of(part))
    return DatasetSource(
        files=checked, n_examples=n_examples, image_shape=(28, 28, 1), load=load, fetch=fetch, **description
    )  # fmt: skip


def read_idx(path: Path) -> np.ndarray:
    """Return the uint8 array of an IDX file, gzipped or not.

    The file holds two zero bytes, type 8, the number of axes, big-endian sizes and the data.
    Raises ValueError for any other beginning.
    """
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    n_axes = content[3]
    shape = np.frombuffer(content, ">u4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
