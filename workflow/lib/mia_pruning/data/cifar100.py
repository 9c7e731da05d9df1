"""CIFAR-100, downloaded or from an existing torchvision folder."""

from pathlib import Path

from mia_pruning.data.cifar import MIRRORS, cifar_source
from mia_pruning.data.published import Archive, data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource

ARCHIVE = Archive("cifar-100-python.tar.gz", "md5:eb9058c3a382ffc7106e4002c42a8d85", MIRRORS)
BATCHES = Path("cifar-100-python")
DIGESTS = {
    BATCHES / "train": "md5:16019d7e3df5f24257cddd939b257f8d",
    BATCHES / "test": "md5:f0ef6b0ae62326f3e7ffdfab6717acfc",
    BATCHES / "meta": "md5:7973b15100ade9c7d40fb424638fde48",
}
CLASSES = (
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
)  # fmt: skip


@dataset(title="CIFAR-100")
def cifar100(*, folder: str | None = None, part: str = "all") -> DatasetSource:
    """Return the source of CIFAR-100 (Krizhevsky 2009).

    It has 60,000 images of 32 x 32 x 3 in 100 fine classes, 50,000 for training and 10,000 for
    test.
    """
    return cifar_source(
        "CIFAR100", data_folder(folder), part, ARCHIVE, DIGESTS, name=f"CIFAR-100, {part}", class_names=CLASSES
    )  # fmt: skip
