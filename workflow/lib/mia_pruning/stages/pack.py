"""Stage: pack a data set."""

from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data import pack
from mia_pruning.stages.job import logger
from mia_pruning.types import DatasetSource


def pack_dataset(source: DatasetSource, description_file: str, record: dict[str, Any]) -> None:
    """Write images, labels, the first copy of each duplicate, and the description last."""
    pack.check_sources(source, source.name)
    images, labels = source.load()
    pack.check_contents(images, labels, source)
    folder = Path(description_file).parent
    description = pack.describe(images, labels, source)
    storage.write_array(folder / "images.npy", images)
    storage.write_array(folder / "labels.npy", labels.astype(np.int64))
    storage.write_array(folder / "first_copies.npy", pack.first_copies(images))
    storage.write_json(description_file, {**description, "provenance": record})
    logger.info("%d examples, %d duplicates", description["n_examples"], description["n_duplicates"])
