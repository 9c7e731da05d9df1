"""Reading CIFAR-10 and CIFAR-100: archives of pickled batches, read by torchvision.

torchvision unpickles the batches. The MD5 digests of each batch and of the names of the classes
are checked before. `check_sources` does so at planning and before packing, and torchvision
itself before it opens one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mia_pruning.data.published import Archive, bring, parts_of
from mia_pruning.types import DatasetSource, Loaded

COUNTS = {"train": 50_000, "test": 10_000}
MIRRORS = ("https://www.cs.toronto.edu/~kriz/",)


def cifar_source(
    reader: str,
    folder: Path,
    part: str,
    archive: Archive,
    digests: Mapping[Path, str],
    **description: Any,
) -> DatasetSource:
    """Return the source of 50,000 training and 10,000 test images of 32 x 32 x 3.

    reader: torchvision's class. digests: of the files below `folder`.

    All batches must be there for any part, because torchvision insists on them.
    """
    files = {folder / path: digest for path, digest in digests.items()}

    def load(work: Path) -> Loaded:
        from torchvision import datasets

        parts = [
            getattr(datasets, reader)(folder, train=name == "train") for name in parts_of(part)
        ]
        return Loaded(
            np.concatenate([p.data for p in parts]),
            np.concatenate([np.array(p.targets) for p in parts]),
        )

    return DatasetSource(
        files=files,
        n_examples=sum(COUNTS[name] for name in parts_of(part)),
        image_shape=(32, 32, 3),
        licence="not stated",
        citation="Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009)",
        load=load,
        fetch=lambda: bring(archive, folder, files),
        **description,
    )
