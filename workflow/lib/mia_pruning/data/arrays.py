"""A user's own arrays, from an .npz file or from two .npy files.

Planning reads headers and labels. Nothing is unpickled.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import cast

import numpy as np

from mia_pruning import storage
from mia_pruning.data.stored_array import StoredArray, open_arrays
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource, Loaded, StudyError

FLOATS_NOTE = "pixels were floats in [0, 1] and are stored as round(255 x)"


@dataset
def arrays(
    *,
    file: str,
    images: str | Sequence[str] = "images",
    labels: str | Sequence[str] = "labels",
    label_file: str | None = None,
    class_names: str | Sequence[str] | None = None,
    name: str | None = None,
    licence: str = "not stated",
    citation: str = "not stated",
) -> DatasetSource:
    """Return the source of images and labels in arrays of a file.

    Images are n x height x width (x channels) of uint8, or of floats in [0, 1]. Labels are n
    integers from 0.

    images, labels: the keys of an .npz file, joined in this order; an .npy file of images has
    its labels in label_file. class_names: the names, or the key of the .npz file that holds
    them; by default the labels' numbers.
    """
    image_arrays, label_arrays = _opened(file, images, labels, label_file)
    _check_images(image_arrays)
    _check_lengths(image_arrays, label_arrays)
    targets = np.concatenate([_integers(array) for array in label_arrays])
    names = _class_names(class_names, Path(file), targets)
    _check_labels(targets, names, label_arrays, are_named=class_names is not None)
    shape, dtype = image_arrays[0].shape[1:], image_arrays[0].dtype
    image_shape = cast(tuple[int, int, int], shape if len(shape) == 3 else (*shape, 1))
    notes = () if dtype == np.uint8 else (FLOATS_NOTE,)

    def load(work: Path) -> Loaded:
        pixels = (
            chunk.reshape(-1, *image_shape) for array in image_arrays for chunk in _pixels(array)
        )
        storage.write_chunks(work / "images.npy", (targets.size, *image_shape), pixels)
        return Loaded(work / "images.npy", targets, notes=notes)

    return DatasetSource(
        name=name or Path(file).stem,
        files=dict.fromkeys([Path(file), *([Path(label_file)] if label_file else [])]),
        n_examples=targets.size,
        image_shape=image_shape,
        class_names=names,
        licence=licence,
        citation=citation,
        load=load,
    )


def _opened(
    file: str, images: str | Sequence[str], labels: str | Sequence[str], label_file: str | None
) -> tuple[list[StoredArray], list[StoredArray]]:
    """Return the arrays of images and those of labels."""
    suffix = Path(file).suffix
    if suffix not in (".npz", ".npy"):
        raise StudyError(f"file = {file!r}", allowed="allowed is an .npz or .npy file")
    if (suffix == ".npy") != (label_file is not None):
        needs = (
            "the labels of an .npy file are needed"
            if suffix == ".npy"
            else "an .npz file has its labels under a key"
        )
        raise StudyError(f"label_file = {label_file!r}", needs)
    if suffix == ".npy":
        return open_arrays(Path(file), [None]), open_arrays(Path(str(label_file)), [None])
    image_keys, label_keys = (
        [keys] if isinstance(keys, str) else list(keys) for keys in (images, labels)
    )
    if len(image_keys) != len(label_keys):
        raise StudyError(
            f"labels = {label_keys}",
            f"{len(image_keys)} keys are needed, one for each of images = {image_keys}",
        )
    return open_arrays(Path(file), image_keys), open_arrays(Path(file), label_keys)


def _check_images(arrays: Sequence[StoredArray]) -> None:
    first = arrays[0]
    for array in arrays:
        if array.dtype != np.uint8 and array.dtype.kind != "f":
            raise StudyError(
                array, f"pixels are {array.dtype}", "allowed is uint8, or floats in [0, 1]"
            )
        if len(array.shape) not in (3, 4):
            raise StudyError(
                array,
                f"images have shape {array.shape}",
                "allowed is n x height x width (x channels)",
            )
        if 0 in array.shape:
            raise StudyError(array, f"images have shape {array.shape}", "no size may be 0")
        if array.shape[1:] != first.shape[1:] or array.dtype != first.dtype:
            raise StudyError(
                array,
                f"images are {array.dtype} {array.shape[1:]}, those of {first} are {first.dtype} {first.shape[1:]}",
                "arrays that are joined must agree",
            )


def _check_lengths(images: Iterable[StoredArray], labels: Iterable[StoredArray]) -> None:
    for image_array, label_array in zip(images, labels, strict=True):
        if len(label_array.shape) != 1:
            raise StudyError(
                label_array, f"labels have shape {label_array.shape}", "allowed is one axis"
            )
        if image_array.shape[0] != label_array.shape[0]:
            raise StudyError(
                label_array,
                f"{label_array.shape[0]} labels for the {image_array.shape[0]} images of {image_array}",
            )


def _integers(array: StoredArray) -> np.ndarray:
    if array.dtype.kind not in "iu":
        raise StudyError(array, f"labels are {array.dtype}", "allowed are integers")
    return np.concatenate(list(array.chunks())).astype(np.int64)


def _class_names(
    given: str | Sequence[str] | None, file: Path, targets: np.ndarray
) -> tuple[str, ...]:
    if given is None:
        return tuple(map(str, range(max(0, targets.max()) + 1)))
    if not isinstance(given, str):
        return tuple(given)
    if file.suffix != ".npz":
        raise StudyError(
            f"class_names = {given!r}", f"{file} has no keys", "allowed is a list of names"
        )
    (array,) = open_arrays(file, [given])
    if array.dtype.kind != "U" or len(array.shape) != 1:
        raise StudyError(
            array, f"class names are {array.dtype} {array.shape}", "allowed is one axis of strings"
        )
    return tuple(map(str, np.concatenate(list(array.chunks()))))


def _check_labels(
    targets: np.ndarray, names: Sequence[str], arrays: Sequence[StoredArray], *, are_named: bool
) -> None:
    """Refuse labels that do not fit the names of the classes.

    A class may lack examples only where classes are named: else a stray 255 would be a class of
    its own.
    """
    where = " and ".join(map(str, arrays))
    if len(set(names)) != len(names) or len(names) < 2:
        raise StudyError(
            "class_names", ", ".join(names), "at least 2 are needed, each of them once"
        )
    if targets.min() < 0 or targets.max() >= len(names):
        raise StudyError(
            where,
            f"labels lie in {targets.min()}..{targets.max()}",
            f"allowed is 0..{len(names) - 1}",
        )
    counts = np.bincount(targets, minlength=len(names))
    if not are_named and not counts.all():
        raise StudyError(
            where,
            f"labels lie in {targets.min()}..{targets.max()}, but none is {counts.argmin()}",
            "count labels from 0, or name the classes by class_names where one has no example",
        )


def _pixels(array: StoredArray) -> Iterator[np.ndarray]:
    """Yield the array's rows as uint8, in chunks."""
    for chunk in array.chunks():
        yield chunk if chunk.dtype == np.uint8 else _rounded(chunk.astype(np.float64), str(array))


def _rounded(floats: np.ndarray, where: str) -> np.ndarray:
    """Return round(255 x) of floats in [0, 1]."""
    if not np.isfinite(floats).all():
        raise StudyError(where, "a pixel is NaN or infinite", "allowed is [0, 1]")
    low, high = floats.min(), floats.max()
    if low < 0 or high > 1:
        raise StudyError(
            where,
            f"a pixel is {(low if low < 0 else high):g}",
            "allowed is uint8, or floats in [0, 1]",
        )
    return np.rint(255 * floats).astype(np.uint8)
