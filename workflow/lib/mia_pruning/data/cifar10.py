"""CIFAR-10, downloaded or from an existing torchvision folder."""

from pathlib import Path

from mia_pruning.data.cifar import MIRRORS, cifar_source
from mia_pruning.data.published import Archive, data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource

ARCHIVE = Archive("cifar-10-python.tar.gz", "md5:c58f30108f718f92721af3b95e74349a", MIRRORS)
BATCHES = Path("cifar-10-batches-py")
DIGESTS = {
    BATCHES / "data_batch_1": "md5:c99cafc152244af753f735de768cd75f",
    BATCHES / "data_batch_2": "md5:d4bba439e000b95fd0a9bffe97cbabec",
    BATCHES / "data_batch_3": "md5:54ebc095f3ab1f0389bbae665268c751",
    BATCHES / "data_batch_4": "md5:634d18415352ddfa80567beed471001a",
    BATCHES / "data_batch_5": "md5:482c414d41f54cd18b22e5b47cb7c3cb",
    BATCHES / "test_batch": "md5:40351d587109b95175f43aff81a1287e",
    BATCHES / "batches.meta": "md5:5ff9c542aee3614f3951f8cda6e48888",
}
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataset(title="CIFAR-10")
def cifar10(*, folder: str | None = None, part: str = "all") -> DatasetSource:
    """Return the source of CIFAR-10 (Krizhevsky 2009).

    It has 60,000 images of 32 x 32 x 3 in 10 classes, 50,000 for training and 10,000 for test.
    """
    return cifar_source(
        "CIFAR10", data_folder(folder), part, ARCHIVE, DIGESTS, name=f"CIFAR-10, {part}", class_names=CLASSES
    )  # fmt: skip
