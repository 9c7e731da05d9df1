"""A user's own image files, one folder a class."""

from pathlib import Path
from typing import Annotated

from mia_pruning.data.decode import MAX_PROCESSES
from mia_pruning.data.image_tree import check_undecodable, list_tree
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource


@dataset
def image_folder(
    *,
    folder: str,
    resolution: Annotated[int, ">= 1"],
    undecodable: str = "refuse",
    name: str | None = None,
    licence: str = "not stated",
    citation: str = "not stated",
) -> DatasetSource:
    """Return the source of the JPEG and PNG files folder/class/*.

    They become RGB of resolution x resolution: shorter side resized, centre cropped.

    undecodable: an image that does not decode is refused (`refuse`), or left out and counted
    (`skip`).
    """
    check_undecodable(undecodable)
    tree = list_tree(Path(folder))
    return DatasetSource(
        name=name or Path(folder).name,
        files={},
        n_examples=len(tree.names),
        image_shape=(resolution, resolution, 3),
        class_names=tree.classes,
        licence=licence,
        citation=citation,
        load=lambda work: tree.load(resolution, undecodable, work),
        identity=tree.identity(),
        n_processes=MAX_PROCESSES,
    )
