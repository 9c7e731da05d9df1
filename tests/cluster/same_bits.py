"""Two runs of one study, file by file: equal but for what says when, where and by whom each was made."""

from pathlib import Path

import numpy as np

from mia_pruning import storage

#: what tells of the machine and the moment, and so differs between two runs
OF_THE_RUN = (
    "benchmarks",
    "logs",
    "report.html",
    "snakemake_report.html",
    "plan.json",
    "ro-crate-metadata.json",
)


def result_files(results: Path) -> list[str]:
    """Every result of a study, below its folder."""
    names = [
        path.relative_to(results)
        for path in results.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    ]
    return sorted(str(name) for name in names if not set(OF_THE_RUN) & set(name.parts))


def differences(one: Path, other: Path) -> list[str]:
    """The files that only one folder has, and those whose content is not the same in both."""
    mine, theirs = result_files(one), result_files(other)
    return sorted(set(mine) ^ set(theirs)) + [
        name for name in mine if name in theirs and not same(one / name, other / name)
    ]


def same(one: Path, other: Path) -> bool:
    """Whether two files hold the same bits, but for their provenance records."""
    if one.suffix == ".safetensors":
        mine, theirs = (storage.read_tensors(path)[0] for path in (one, other))
        return _same_arrays(
            {name: each.numpy() for name, each in mine.items()},
            {name: each.numpy() for name, each in theirs.items()},
        )
    if one.suffix == ".npz":
        return _same_arrays(storage.read_arrays(one), storage.read_arrays(other))
    if one.suffix == ".json":
        mine, theirs = (storage.read_json(path) for path in (one, other))
        return _without_provenance(mine) == _without_provenance(theirs)
    return one.read_bytes() == other.read_bytes()


def _same_arrays(mine: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> bool:
    return mine.keys() == theirs.keys() and all(
        (value.dtype, value.shape, value.tobytes())
        == (theirs[name].dtype, theirs[name].shape, theirs[name].tobytes())
        for name, value in mine.items()
    )


def _without_provenance(content: object) -> object:
    if isinstance(content, dict):
        return {
            key: _without_provenance(value) for key, value in content.items() if key != "provenance"
        }
    return content
