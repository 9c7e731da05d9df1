"""Stage: fill the membership matrix."""

from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning import storage
from mia_pruning.data.split import make_split
from mia_pruning.seeds import stream


def split_examples(
    description_file: str, split: dict[str, Any], seed: int, output: str, record: dict[str, Any]
) -> None:
    """Write the split of a data set, with one copy of each duplicate.

    So no member has a copy among the non-members or the test examples.
    """
    folder = Path(description_file).parent
    first_copies = storage.read_array(folder / "first_copies.npy")
    usable = np.flatnonzero(first_copies == np.arange(first_copies.size))
    made = make_split(
        split, storage.read_array(folder / "labels.npy"), usable, stream(seed, "split")
    )
    storage.write_arrays(output, record, **made.as_arrays())
