"""Data structures that the stages hand to each other; they only check and slice their data."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

#: Every other defence is compared with this one. Its models are the dense shadow models.
BASELINE = "baseline"


class StudyError(ValueError):
    """An error in something that a user wrote or provided.

    place: key with its value, file or command that is at fault.
    problem: the fault, as a clause.
    allowed: what is allowed instead, or what to do next.

    >>> print(StudyError("split.models = 3", "models come in pairs", "allowed are even numbers"))
    split.models = 3: models come in pairs; allowed are even numbers
    """

    def __init__(self, place: object, problem: object = "", allowed: str = "") -> None:
        super().__init__(place, problem, allowed)
        self.place = str(place)
        self.problem = str(problem)
        self.allowed = allowed

    def __str__(self) -> str:
        reason = "; ".join(filter(None, [self.problem, self.allowed]))
        return f"{self.place}: {reason}" if reason else self.place

    def below(self, place: str, joint: str = ".") -> "StudyError":
        """Return the same error with its place as a part of another place.

        >>> print(StudyError("models = 3", "too few").below("experiments.e.split"))
        experiments.e.split.models = 3: too few
        """
        return StudyError(f"{place}{joint}{self.place}", self.problem, self.allowed)

    def with_end(self, end: str) -> "StudyError":
        """Return the same error with words at its end.

        >>> print(StudyError("rho = 0", allowed="allowed is > 0").with_end(" (in experiments.e)"))
        rho = 0: allowed is > 0 (in experiments.e)
        """
        if self.allowed:
            return StudyError(self.place, self.problem, self.allowed + end)
        return StudyError(self.place, self.problem + end)


class ConfigurationError(StudyError):
    """All reasons why a file cannot be used, as one error."""

    def __init__(self, problems: Iterable[StudyError], place: object = "the configuration") -> None:
        self.problems = list({str(problem): problem for problem in problems}.values())
        lines = "".join(f"\n  - {problem}" for problem in self.problems)
        super().__init__(place, f"it cannot be used{lines}")


@dataclass(frozen=True)
class Loaded:
    """The examples of a data set.

    images      uint8 (n, height, width, channels): an array, or the .npy file in the work folder
                that holds it
    labels      (n,) integers in [0, n_classes)
    skipped     names of the source's examples that were left out
    notes       sentences on changes of the pixels
    class_names given if the source knew before only how many there are
    """

    images: np.ndarray | Path
    labels: np.ndarray
    skipped: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetSource:
    """The description of a data set, known before a byte of it is decoded.

    files maps each source file to its published digest, `md5:...` or `sha256:...` in hex, or to
    None if no digest is published.
    load(work) returns the examples; it may keep unfinished work in the folder `work`, which it
    makes if it needs it.
    fetch() downloads the missing files; None if only the user can provide them.
    identity says which data these are if the source is a folder rather than files.
    n_processes is the largest number of processes that load() uses.
    """

    name: str
    files: Mapping[Path, str | None]
    n_examples: int
    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    licence: str
    citation: str
    load: Callable[[Path], Loaded]
    fetch: Callable[[], None] | None = None
    identity: str | None = None
    n_processes: int = 1


@dataclass(frozen=True)
class Signals:
    """Recorded outputs of models on the examples of a pool.

    logits     (n_models, n_examples, n_classes) float
    labels     (n_examples,) int
    candidates (n_models, n_examples) bool: examples that the model could have been trained on
    membership (n_models, n_examples) bool: examples that it was trained on; None if the reader
               must not know (an attack's targets)
    population (n_models, n_population, n_classes) logits on examples that no model could have been
               trained on
    probes     (n_models, n_examples, ...) by name: answers of the models to further questions
               about the examples
    dense      (n_models, n_examples, n_classes) logits of the dense models that these were pruned
               from, for an attacker who sees both
    images     (n_examples, height, width, channels) uint8, and population_images
    """

    logits: np.ndarray
    labels: np.ndarray
    candidates: np.ndarray
    membership: np.ndarray | None = None
    population: np.ndarray | None = None
    population_labels: np.ndarray | None = None
    probes: Mapping[str, np.ndarray] = field(default_factory=dict)
    dense: np.ndarray | None = None
    images: np.ndarray | None = None
    population_images: np.ndarray | None = None

    def of_models(self, rows: np.ndarray | slice, membership: np.ndarray | None) -> "Signals":
        """Return some of the models, with the membership that the reader may know of them."""
        return replace(
            self,
            logits=self.logits[rows],
            candidates=self.candidates[rows],
            membership=membership,
            population=None if self.population is None else self.population[rows],
            probes={name: answers[rows] for name, answers in self.probes.items()},
            dense=None if self.dense is None else self.dense[rows],
        )

    def known_rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return all candidate examples of all models, model by model.

        They are logits (r, n_classes), labels (r,) and membership (r,).

        Raises:
            ValueError: The attacker does not know the membership of these models.
        """
        if self.membership is None:
            raise ValueError("the membership of these models is not known to the attacker")
        labels = np.broadcast_to(self.labels, self.candidates.shape)
        return (
            self.logits[self.candidates],
            labels[self.candidates],
            self.membership[self.candidates],
        )
