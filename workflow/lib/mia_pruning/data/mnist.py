"""MNIST, downloaded or from an existing torchvision folder."""

from mia_pruning.data.idx import idx_source
from mia_pruning.data.published import data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/")
#: These are digests of the gzipped file, as published, and of its content.
DIGESTS = {
    "train-images-idx3-ubyte": (
        "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "md5:6bbc9ace898e44ae57da46a324031adb",
    ),
    "train-labels-idx1-ubyte": (
        "md5:d53e105ee54ea40749a09fcbcd1e9432",
        "md5:a25bea736e30d166cdddb491f175f624",
    ),
    "t10k-images-idx3-ubyte": (
        "md5:9fb629c4189551a2d022fa330f9573f3",
        "md5:2646ac647ad5339dbf082846283269ea",
    ),
    "t10k-labels-idx1-ubyte": (
        "md5:ec29112dd5afa0611ce80d1b7f02629c",
        "md5:27ae3e4e09519cfbb04c329615203637",
    ),
}


@dataset(title="MNIST")
def mnist(*, folder: str | None = None, part: str = "all") -> DatasetSource:
    """Return the source of MNIST (LeCun et al. 1998).

    It has 70,000 images of 28 x 28 x 1 in 10 classes, 60,000 for training and 10,000 for test.
    """
    return idx_source(
        data_folder(folder) / "MNIST" / "raw",
        part,
        DIGESTS,
        MIRRORS,
        name=f"MNIST, {part}",
        class_names=tuple("0123456789"),
        licence="not stated",
        citation="LeCun, Bottou, Bengio, Haffner: Gradient-based learning applied to document recognition, Proc. IEEE (1998)",
    )
