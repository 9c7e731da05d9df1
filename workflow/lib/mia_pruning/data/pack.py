"""Packing: a data set becomes one memory-mapped uint8 array, its labels and a description.

The data set may be of any source. Pixels are read in chunks, so that memory does not grow with
it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning.provenance import file_digest
from mia_pruning.types import DatasetSource, Loaded, StudyError

DIGEST_BYTES = 16


@dataclass(frozen=True)
class Summary:
    """Results of one pass over the pixels.

    mean, deviation  (n_channels,) float64, on the 0-255 scale
    first_copies     (n,) for each example the index of the first example with the same pixels
    """

    mean: np.ndarray
    deviation: np.ndarray
    first_copies: np.ndarray


def check_contents(images: np.ndarray, loaded: Loaded, source: DatasetSource) -> None:
    """Refuse arrays that are not what the source promised, by StudyError."""
    labels = loaded.labels
    expected = (source.n_examples - len(loaded.skipped), *source.image_shape)
    if images.shape != expected or images.dtype != np.uint8:
        raise StudyError(
            source.name, f"images are {images.dtype} {images.shape}, promised were uint8 {expected}"
        )
    if labels.shape != expected[:1]:
        raise StudyError(source.name, f"{labels.shape[0]} labels for {images.shape[0]} images")
    if not labels.size:
        raise StudyError(
            source.name, f"no example is left of {source.n_examples}, all were skipped"
        )
    if labels.min() < 0 or labels.max() >= len(source.class_names):
        raise StudyError(
            source.name,
            f"labels lie in {labels.min()}..{labels.max()}",
            f"allowed is 0..{len(source.class_names) - 1}",
        )


def summarise(chunks: Iterable[np.ndarray], name: str) -> Summary:
    """Return the summary of uint8 images that come in chunks (k, height, width, channels).

    Raises StudyError for a channel that is constant.
    """
    counts: Any = 0
    digests = []
    for chunk in chunks:
        counts = counts + value_counts(chunk)
        digests.append(image_digests(chunk))
    mean, deviation = moments(counts)
    constant = np.flatnonzero(deviation == 0)
    if constant.size:
        raise StudyError(
            name,
            f"channel {constant[0]} is {mean[constant[0]]:g} in every pixel of every image",
            "it tells nothing and cannot be normalised, so leave it out",
        )
    return Summary(mean, deviation, first_copies(np.concatenate(digests)))


def value_counts(images: np.ndarray) -> np.ndarray:
    """Return how often each of the 256 values occurs in each channel, shape (n_channels, 256).

    >>> value_counts(np.array([[[[7, 0]]], [[[7, 1]]]], dtype=np.uint8))[:, [0, 1, 7]].tolist()
    [[0, 0, 2], [1, 1, 0]]
    """
    return np.stack(
        [
            np.bincount(images[..., channel].ravel(), minlength=256)
            for channel in range(images.shape[-1])
        ]
    )


def moments(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of each row's values 0..255.

    counts: how often each value occurs, (n_channels, 256).

    >>> moments(np.eye(256)[[0, 2]].sum(axis=0, keepdims=True))
    (array([1.]), array([1.]))
    """
    values, n = np.arange(counts.shape[1]), counts.sum(axis=1)
    mean = counts @ values / n
    squared_distances = (values - mean[:, np.newaxis]) ** 2
    return mean, np.sqrt((counts * squared_distances).sum(axis=1) / n)


def image_digests(images: np.ndarray) -> np.ndarray:
    """Return a 128-bit digest of each image's bytes, shape (n,).

    Two of n images collide by chance with probability n^2 / 2^129.
    """
    rows = np.ascontiguousarray(images).reshape(images.shape[0], -1)
    digests = b"".join(blake2b(row.data, digest_size=DIGEST_BYTES).digest() for row in rows)
    return np.frombuffer(digests, np.dtype((np.void, DIGEST_BYTES)))


def first_copies(keys: np.ndarray) -> np.ndarray:
    """Return for each key (n,) the index of the first equal one, shape (n,).

    >>> first_copies(np.array([5, 8, 5])).tolist()
    [0, 1, 0]
    """
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return first[inverse]


def describe(summary: Summary, loaded: Loaded, source: DatasetSource) -> dict[str, Any]:
    """Return the description that is stored next to the arrays.

    mean and deviation are per channel, on the 0-255 scale.
    """
    return {
        "name": source.name,
        "licence": source.licence,
        "citation": source.citation,
        "files": {Path(path).name: file_digest(path) for path in source.files},
        "identity": source.identity,
        "n_examples": int(loaded.labels.size),
        "image_shape": list(source.image_shape),
        "class_names": list(loaded.class_names or source.class_names),
        "class_counts": np.bincount(loaded.labels, minlength=len(source.class_names)).tolist(),
        "mean": summary.mean.tolist(),
        "deviation": summary.deviation.tolist(),
        "n_duplicates": int((summary.first_copies != np.arange(summary.first_copies.size)).sum()),
        "skipped": {"count": len(loaded.skipped), "names": list(loaded.skipped)},
        "notes": list(loaded.notes),
    }
