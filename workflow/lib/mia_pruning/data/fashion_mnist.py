"""Fashion-MNIST's official test files, which the repository carries so that the default study needs no network."""

import gzip
from pathlib import Path

import numpy as np

from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource

CARRIED = Path(__file__).parents[3] / "resources" / "fashion_mnist"
SHA256 = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


@dataset
def fashion_mnist_t10k(*, folder: str | None = None) -> DatasetSource:
    """10,000 images of 28 x 28 x 1 in 10 classes (Xiao, Rasul, Vollgraf 2017). `folder` replaces the carried copy's folder."""
    root = CARRIED if folder is None else Path(folder)
    images, labels = (root / name for name in SHA256)
    return DatasetSource(
        name="Fashion-MNIST, official 10,000-image test set",
        files={root / name: digest for name, digest in SHA256.items()},
        n_examples=10_000,
        image_shape=(28, 28, 1),
        class_names=CLASSES,
        licence="MIT",
        citation="Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747 (2017)",
        load=lambda: (read_idx(images)[..., np.newaxis], read_idx(labels)),
    )


def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of a gzipped IDX file: two zero bytes, type 8, the number of axes, big-endian sizes, then the data."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path}: not an IDX file of unsigned bytes")
    n_axes = content[3]
    shape = np.frombuffer(content, ">u4", n_axes, offset=4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * n_axes).reshape(shape)
