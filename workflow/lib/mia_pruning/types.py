"""The few data structures that the stages hand to each other. No behaviour beyond checking and slicing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: the defence that every other is compared with; its models are the dense shadows
BASELINE = "baseline"


class StudyError(ValueError):
    """Something the user wrote or provided cannot work; the message says what, the value, and what is allowed."""


@dataclass(frozen=True)
class DatasetSource:
    """What a data set is, known before a byte of it is decoded.

    files maps each source file to its SHA-256 in hex, or to None where nobody published one.
    load() returns images, uint8 (n, height, width, channels), and labels, integers (n,) in [0, n_classes).
    """

    name: str
    files: Mapping[Path, str | None]
    n_examples: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    licence: str
    citation: str
    load: Callable[[], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Signals:
    """Recorded outputs of models on the examples of a pool.

    logits     (n_models, n_examples, n_classes) float
    labels     (n_examples,) int
    candidates (n_models, n_examples) bool: the examples that the model could have been trained on
    membership (n_models, n_examples) bool: those it was trained on; None where the reader must not know (an attack's targets)
    """

    logits: np.ndarray
    labels: np.ndarray
    candidates: np.ndarray
    membership: np.ndarray | None = None

    def known_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (r, n_classes), labels (r,) and membership (r,) of every candidate example of every model, model by model."""
        if self.membership is None:
            raise ValueError("the membership of these models is not known to the attacker")
        labels = np.broadcast_to(self.labels, self.candidates.shape)
        return self.logits[self.candidates], labels[self.candidates], self.membership[self.candidates]
