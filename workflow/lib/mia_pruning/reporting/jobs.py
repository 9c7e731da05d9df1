"""The jobs that made a study's results, by the records beside their logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mia_pruning import storage

SUFFIX = ".provenance.json"


def read_records(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The record of each job with where its log is; what an earlier form of the study left behind is passed over."""
    paths = sorted(folder.rglob(f"logs/*{SUFFIX}"))
    read = [{**storage.read_json(path), "log": str(path.relative_to(folder)).replace(SUFFIX, ".log")} for path in paths]
    return [record for record in read if is_of(record["wildcards"], settings)]


def is_of(wildcards: Mapping[str, str], settings: Mapping[str, Any]) -> bool:
    """Whether a study has what a job's wildcards name.

    >>> defences = {"d": {"objective": "erm", "constraint": "none"}}
    >>> study = {"experiments": {"e": {}}, "seeds": [0], "defences": defences, "attacks": {}}
    >>> is_of({"experiment": "e", "objective": "erm"}, study), is_of({"experiment": "e", "seed": "1"}, study)
    (True, False)
    """
    pairs = [(pair["objective"], pair["constraint"]) for pair in settings["defences"].values()]
    named = {
        "experiment": settings["experiments"],
        "seed": [*map(str, settings["seeds"])],
        "objective": [objective for objective, _ in pairs],
        "attack": settings["attacks"],
    }
    if "constraint" in wildcards and (wildcards["objective"], wildcards["constraint"]) not in pairs:
        return False
    return all(value in named.get(name, [value]) for name, value in wildcards.items())
