"""Stage: pack a data set."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data import pack
from mia_pruning.data.sources import check_sources
from mia_pruning.stages.job import logger
from mia_pruning.types import DatasetSource, Loaded


def pack_dataset(source: DatasetSource, description_file: str, record: dict[str, Any]) -> None:
    """Write images, labels, the first copy of each duplicate and, last, the description.

    Unfinished work is in the folder `unfinished` until the description is there.
    """
    check_sources(source, source.name, fetched=True)
    folder = Path(description_file).parent
    work = folder / "unfinished"
    loaded = source.load(work)
    images = _checked_file(loaded, source, work)
    summary = pack.summarise(storage.read_chunks(images), source.name)
    description = pack.describe(summary, loaded, source)
    storage.write_array(folder / "labels.npy", loaded.labels.astype(np.int64))
    storage.write_array(folder / "first_copies.npy", summary.first_copies)
    images.replace(folder / "images.npy")
    storage.write_json(description_file, {**description, "provenance": record})
    shutil.rmtree(work)
    _report(description)


def _checked_file(loaded: Loaded, source: DatasetSource, work: Path) -> Path:
    """Return the file that holds the images, in the work folder."""
    if isinstance(loaded.images, Path):
        pack.check_contents(storage.read_array(loaded.images), loaded, source)
        return loaded.images
    pack.check_contents(loaded.images, loaded, source)
    storage.write_array(work / "images.npy", loaded.images)
    return work / "images.npy"


def _report(description: dict[str, Any]) -> None:
    logger.info(
        "%d examples, %d duplicates", description["n_examples"], description["n_duplicates"]
    )
    for note in description["notes"]:
        logger.info("%s", note)
    skipped = description["skipped"]
    if skipped["count"]:
        shown = ", ".join(skipped["names"][:5]) + (", ..." if skipped["count"] > 5 else "")
        logger.warning(
            "%d examples skipped: %s (all names in dataset.json)", skipped["count"], shown
        )
