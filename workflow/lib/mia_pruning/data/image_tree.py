"""Image files in one folder for each class: listing them, and loading them as examples."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np

from mia_pruning.data.decode import decode
from mia_pruning.types import Loaded, StudyError

SUFFIXES = (".jpeg", ".jpg", ".png")
#: An image that does not decode is refused or left out.
UNDECODABLE = ("refuse", "skip")


@dataclass(frozen=True)
class ImageTree:
    """The images of a folder: names `class/file` in sorted order, and the label of each, (n,).

    The order is class by class.
    """

    folder: Path
    classes: tuple[str, ...]
    names: tuple[str, ...]
    labels: np.ndarray

    def identity(self) -> str:
        """Return a digest of the images' names, sizes and times of change."""
        digest = blake2b(digest_size=16)
        for name in self.names:
            status = os.stat(f"{self.folder}/{name}")
            digest.update(f"{name}\0{status.st_size} {status.st_mtime_ns}\n".encode())
        return f"names, sizes and times of change: {digest.hexdigest()}"

    def load(self, resolution: int, undecodable: str, work: Path) -> Loaded:
        """Return the examples: the centre square of each image, resized to the resolution."""
        skip = undecodable == "skip"
        images, failed = decode(
            self.folder, self.names, self.identity(), resolution=resolution, skip=skip, work=work
        )
        kept = np.array([name not in failed for name in self.names])
        notes = (
            f"each image is its centre square, its shorter side resized to {resolution} pixels",
        )
        return Loaded(images, self.labels[kept], tuple(failed), notes, self.classes)


def list_tree(
    folder: Path, n_classes: int | None = None, per_class: int | None = None
) -> ImageTree:
    """Return the first images of the first classes of a folder, all by default.

    Raises StudyError for too few classes, and for a class with too few images.
    """
    if not folder.is_dir():
        raise StudyError(folder, "there is no such folder")
    classes = sorted(
        entry.name
        for entry in os.scandir(folder)
        if entry.is_dir() and not entry.name.startswith(".")
    )
    if len(classes) < max(2, n_classes or 0):
        raise StudyError(
            folder, f"holds {len(classes)} folders of classes, needed are {max(2, n_classes or 0)}"
        )
    files = {name: _images(folder / name, per_class) for name in classes[:n_classes]}
    names = tuple(f"{name}/{file}" for name, images in files.items() for file in images)
    return ImageTree(
        folder,
        tuple(files),
        names,
        np.repeat(np.arange(len(files)), list(map(len, files.values()))),
    )


def _images(folder: Path, wanted: int | None) -> Sequence[str]:
    found = sorted(
        entry.name for entry in os.scandir(folder) if entry.is_file() and _is_image(entry.name)
    )
    if len(found) < (wanted or 1):
        raise StudyError(
            folder,
            f"holds {len(found)} images ({', '.join(SUFFIXES)}), needed are {wanted or 'some'}",
        )
    return found[:wanted]


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def check_undecodable(undecodable: str) -> None:
    if undecodable not in UNDECODABLE:
        raise StudyError(
            f"undecodable = {undecodable!r}", allowed=f"allowed is one of {', '.join(UNDECODABLE)}"
        )
