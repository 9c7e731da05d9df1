"""Fashion-MNIST: its official test files, and all files.

The repository carries the test files so that the default study needs no network.
"""

from pathlib import Path

import numpy as np

from mia_pruning.data.idx import idx_source, read_idx
from mia_pruning.data.published import data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource, Loaded

CARRIED = Path(__file__).parents[3] / "resources" / "fashion_mnist"
SHA256 = {
    "t10k-images-idx3-ubyte.gz": "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa",
    "t10k-labels-idx1-ubyte.gz": "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05",
}
MIRRORS = ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",)
#: These are digests of the gzipped file, as published, and of its content.
DIGESTS = {
    "train-images-idx3-ubyte": (
        "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "md5:f4a8712d7a061bf5bd6d2ca38dc4d50a",
    ),
    "train-labels-idx1-ubyte": (
        "md5:25c81989df183df01b3e8a0aad5dffbe",
        "md5:9018921c3c673c538a1fc5bad174d6f9",
    ),
    "t10k-images-idx3-ubyte": (
        "md5:bef4ecab320f06d8554ea6380940ec79",
        "md5:8181f5470baa50b63fa0f6fddb340f0a",
    ),
    "t10k-labels-idx1-ubyte": (
        "md5:bb300cfdad3c16e7a12a480ee83cd310",
        "md5:15d484375f8d13e6eb1aabb0c3f46965",
    ),
}
CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
LICENCE = "MIT"
CITATION = "Xiao, Rasul, Vollgraf: Fashion-MNIST, arXiv 1708.07747 (2017)"


@dataset(title="Fashion-MNIST")
def fashion_mnist_t10k(*, folder: str | None = None) -> DatasetSource:
    """Return the source of Fashion-MNIST's test set (Xiao, Rasul, Vollgraf 2017).

    It has 10,000 images of 28 x 28 x 1 in 10 classes. `folder` replaces the folder of the
    carried copy.
    """
    root = CARRIED if folder is None else Path(folder)
    images, labels = (root / name for name in SHA256)
    return DatasetSource(
        name="Fashion-MNIST, official 10,000-image test set",
        files={root / name: f"sha256:{digest}" for name, digest in SHA256.items()},
        n_examples=10_000,
        image_shape=(28, 28, 1),
        class_names=CLASSES,
        licence=LICENCE,
        citation=CITATION,
        load=lambda work: Loaded(read_idx(images)[..., np.newaxis], read_idx(labels)),
    )


@dataset(title="Fashion-MNIST")
def fashion_mnist(*, folder: str | None = None, part: str = "all") -> DatasetSource:
    """Return the source of Fashion-MNIST (Xiao, Rasul, Vollgraf 2017).

    It has 70,000 images of 28 x 28 x 1 in 10 classes, 60,000 for training and 10,000 for test.
    """
    raw = data_folder(folder) / "FashionMNIST" / "raw"
    description = {
        "name": f"Fashion-MNIST, {part}",
        "class_names": CLASSES,
        "licence": LICENCE,
        "citation": CITATION,
    }
    return idx_source(raw, part, DIGESTS, MIRRORS, **description)
