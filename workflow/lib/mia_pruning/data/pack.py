"""Packing: a data set of any source becomes one memory-mapped uint8 array, its labels and a description."""

from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning.provenance import file_digest
from mia_pruning.types import DatasetSource, StudyError


def check_sources(source: DatasetSource, where: str) -> None:
    """Refuse a data set whose files are missing or are not the published ones. `where` names the config entry."""
    for path, expected in source.files.items():
        if not path.is_file():
            raise StudyError(f"{where}: the file {path} is missing")
        if expected is not None and (found := file_digest(path)) != expected:
            raise StudyError(f"{where}: {path} is damaged or altered: its SHA-256 is {found}, published is {expected}")


def check_contents(images: np.ndarray, labels: np.ndarray, source: DatasetSource) -> None:
    """Refuse arrays that are not what the source promised."""
    expected = (source.n_examples, *source.image_shape)
    if images.shape != expected or images.dtype != np.uint8:
        raise StudyError(f"{source.name}: images are {images.dtype} {images.shape}, promised were uint8 {expected}")
    if labels.shape != expected[:1]:
        raise StudyError(f"{source.name}: {labels.shape[0]} labels for {images.shape[0]} images")
    if labels.min() < 0 or labels.max() >= len(source.class_names):
        raise StudyError(
            f"{source.name}: labels lie in {labels.min()}..{labels.max()}, allowed is 0..{len(source.class_names) - 1}"
        )


def describe(images: np.ndarray, labels: np.ndarray, source: DatasetSource) -> dict[str, Any]:
    """The description that is stored beside the arrays; mean and deviation are per channel, on the 0-255 scale."""
    channels = images.reshape(-1, images.shape[-1])
    return {
        "name": source.name,
        "licence": source.licence,
        "citation": source.citation,
        "files": {Path(path).name: file_digest(path) for path in source.files},
        "n_examples": int(images.shape[0]),
        "image_shape": list(images.shape[1:]),
        "class_names": list(source.class_names),
        "class_counts": np.bincount(labels, minlength=len(source.class_names)).tolist(),
        "mean": channels.mean(axis=0, dtype=np.float64).tolist(),
        "deviation": channels.std(axis=0, dtype=np.float64).tolist(),
        "n_duplicates": int((first_copies(images) != np.arange(images.shape[0])).sum()),
    }


def first_copies(images: np.ndarray) -> np.ndarray:
    """For each example the index of the first example with the same pixels, shape (n,).

    >>> first_copies(np.array([[1, 2], [3, 4], [1, 2]], dtype=np.uint8)).tolist()
    [0, 1, 0]
    """
    rows = np.ascontiguousarray(images).reshape(images.shape[0], -1)
    as_bytes = rows.view(np.dtype((np.void, rows.shape[1]))).ravel()
    _, first, inverse = np.unique(as_bytes, return_index=True, return_inverse=True)
    return first[inverse]
