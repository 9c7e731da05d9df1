"""Stage: fit a generator to the reference set and draw a data set from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data import pack
from mia_pruning.models.generator import Generator, fit_generator
from mia_pruning.seeds import stream
from mia_pruning.stages.job import logger
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.types import StudyError


def generate_examples(
    dataset: str,
    split: str,
    *,
    generator: Mapping[str, Any],
    seed: int,
    output: str,
    record: dict[str, Any],
) -> None:
    """Write a packed data set of generated examples; `output` is its description.

    generator: n_examples, and the settings of its fit: epochs, learning_rate. It sees only the
    reference set of the data. The generated classes have the proportions of the reference set.
    """
    packed, folder = read_packed(dataset), Path(output).parent
    rows = np.sort(read_split(split).reference)
    known = packed.labels[rows]
    fitted = fit_generator(
        packed.images[rows],
        known,
        packed.n_classes,
        stream(seed, "generator"),
        epochs=generator["epochs"],
        learning_rate=generator["learning_rate"],
    )
    labels = np.resize(known, generator["n_examples"])
    images = fitted.draw(labels, stream(seed, "generated"))
    summary = pack.summarise([images], "generator")
    _check_distinct(summary.first_copies)
    storage.write_array(folder / "images.npy", images)
    storage.write_array(folder / "labels.npy", labels)
    storage.write_array(folder / "first_copies.npy", summary.first_copies)
    description = _describe(packed.description, fitted, summary, labels)
    storage.write_json(output, {**description, "n_fitted": len(rows), "provenance": record})
    logger.info(
        "%d examples, squared error of reconstruction %.4f, of mean images %.4f",
        len(labels),
        fitted.error,
        fitted.error_of_means,
    )


def _check_distinct(first_copies: np.ndarray) -> None:
    """Refuse images that repeat: two of them could be a member and a non-member."""
    n_distinct = np.unique(first_copies).size
    if n_distinct < first_copies.size:
        raise StudyError(
            "generator",
            f"of {first_copies.size} generated images only {n_distinct} are distinct",
            "allow more generator.epochs or more examples in split.reference",
        )


def _describe(
    original: Mapping[str, Any], fitted: Generator, summary: pack.Summary, labels: np.ndarray
) -> dict[str, Any]:
    """Return the keys that stages read of any packed data set, and the generator's errors."""
    return {
        "name": f"generated after {original['name']}",
        "class_names": original["class_names"],
        "image_shape": original["image_shape"],
        "n_examples": int(labels.size),
        "class_counts": np.bincount(labels, minlength=len(original["class_names"])).tolist(),
        "mean": summary.mean.tolist(),
        "deviation": summary.deviation.tolist(),
        "error": fitted.error,
        "error_of_means": fitted.error_of_means,
    }
