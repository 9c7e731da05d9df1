"""ImageNet's training images (ILSVRC 2012), which every user must obtain by hand."""

from pathlib import Path
from typing import Annotated

from mia_pruning.data.decode import MAX_PROCESSES
from mia_pruning.data.image_tree import ImageTree, check_undecodable, list_tree
from mia_pruning.data.published import data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource, StudyError

N_CLASSES = 1000
N_EXAMPLES = 1_281_167


@dataset(title="ImageNet")
def imagenet(
    *,
    folder: str | None = None,
    resolution: Annotated[int, ">= 1"] = 64,
    classes: Annotated[int | None, ">= 2, <= 1000"] = None,
    per_class: Annotated[int | None, ">= 1, <= 732"] = None,
    undecodable: str = "refuse",
) -> DatasetSource:
    """Return the source of ImageNet's images, folder/train/class/* (Russakovsky et al. 2015).

    They are 1,281,167 in 1,000 classes, as RGB of resolution x resolution.

    classes: the first so many in sorted order. per_class: the first so many of each class by
    name; every class has 732 or more. A study can be planned before the images are there, so the
    number of examples must follow from the options alone.
    """
    check_undecodable(undecodable)
    if classes is not None and per_class is None:
        raise StudyError(
            "per_class",
            "missing",
            f"classes = {classes} needs it (1 to 732), because classes differ in size",
        )
    root = Path(folder) if folder else data_folder(None) / "imagenet"
    n_classes = classes or N_CLASSES
    n_examples = n_classes * per_class if per_class else N_EXAMPLES

    def tree() -> ImageTree:
        return _listed(root / "train", n_classes, per_class, n_examples)

    def fetch() -> None:
        tree()

    return DatasetSource(
        name="ImageNet, training images",
        files={},
        n_examples=n_examples,
        image_shape=(resolution, resolution, 3),
        class_names=tuple(f"class {number}" for number in range(n_classes)),
        licence="ImageNet's terms of access: research and education, no redistribution",
        citation="Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge, IJCV (2015)",
        load=lambda work: tree().load(resolution, undecodable, work),
        fetch=fetch,
        identity=f"ILSVRC 2012 training images, {n_examples} of {n_classes} classes",
        n_processes=MAX_PROCESSES,
    )


def _listed(train: Path, n_classes: int, per_class: int | None, n_examples: int) -> ImageTree:
    """Return the requested images; refuse a folder where some are missing.

    The error says what to do.
    """
    if not train.is_dir():
        raise StudyError(
            train,
            "there is no such folder, and ImageNet cannot be downloaded without an account",
            f"obtain ILSVRC2012_img_train.tar from image-net.org by hand and unpack it to {train.absolute()}/<class>/*.JPEG",
        )
    tree = list_tree(train, n_classes, per_class)
    if len(tree.names) != n_examples:
        raise StudyError(
            train, f"holds {len(tree.names)} images", f"ImageNet's training set has {n_examples}"
        )
    return tree
