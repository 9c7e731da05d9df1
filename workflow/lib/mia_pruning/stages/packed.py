"""Reading a packed data set and its split.

It needs no torch, so that attacks and evaluation start fast.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data.split import Split


@dataclass(frozen=True)
class PackedData:
    images: np.ndarray
    labels: np.ndarray
    description: dict[str, Any]

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return tuple(self.description["image_shape"])

    @property
    def n_classes(self) -> int:
        return len(self.description["class_names"])


def read_packed(description_file: str | Path) -> PackedData:
    """Return the data set that this `dataset.json` describes."""
    folder = Path(description_file).parent
    images, labels = (
        storage.read_array(folder / "images.npy"),
        storage.read_array(folder / "labels.npy"),
    )
    return PackedData(images, labels, storage.read_json(description_file))


def read_split(path: str | Path) -> Split:
    return Split(**storage.read_arrays(path))
