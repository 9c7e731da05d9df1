"""The jobs that made a study's results, by the records beside their logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mia_pruning import storage
from mia_pruning.study.generated import experiment_names
from mia_pruning.types import BASELINE

SUFFIX = ".provenance.json"


def read_records(folder: Path, settings: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the record of each job, with where its log is.

    Records that an earlier form of the study left behind are not among them.
    """
    read = all_records(folder).items()
    records = [
        {**record, "log": str(path.relative_to(folder)).replace(SUFFIX, ".log")}
        for path, record in read
    ]
    return [record for record in records if is_of(record["wildcards"], settings)]


def read_names(folder: Path) -> dict[str, str]:
    """Return the display names that the report of a study was written with.

    Reports of earlier versions have none.
    """
    record = folder / "logs" / f"write_report{SUFFIX}"
    if not record.is_file():
        return {}
    return storage.read_json(record)["params"].get("names", {})


def all_records(folder: Path) -> dict[Path, dict[str, Any]]:
    return {path: storage.read_json(path) for path in sorted(folder.rglob(f"logs/*{SUFFIX}"))}


def is_of(wildcards: Mapping[str, str], settings: Mapping[str, Any]) -> bool:
    """Return whether a study has what a job is about.

    That is the experiment, the seed, the defence or dense network, and the attack.

    >>> study = {"experiments": {"e": {}}, "seeds": [0], "attacks": {"loss": {}}}
    >>> baseline, other = {"objective": "erm", "constraint": "none"}, {"objective": "game", "constraint": "c"}
    >>> study["defences"] = {"baseline": baseline, "other": other}
    >>> pairs = [("erm", "none"), ("game", "c"), ("game", "none"), ("erm", "c")]
    >>> [is_of({"experiment": "e", "objective": objective, "constraint": constraint}, study) for objective, constraint in pairs]
    [True, True, True, False]
    >>> is_of({"seed": "1"}, study), is_of({"attack": "other"}, study), is_of({"experiment": "f"}, study)
    (False, False, False)
    """
    pairs = {(pair["objective"], pair["constraint"]) for pair in settings["defences"].values()}
    objectives = {objective for objective, _ in pairs}
    # Attackers who see the dense release ask the dense networks of any objective.
    if BASELINE in settings["defences"]:
        pairs |= {
            (objective, settings["defences"][BASELINE]["constraint"]) for objective in objectives
        }
    if "constraint" in wildcards and (wildcards["objective"], wildcards["constraint"]) not in pairs:
        return False
    seeds = [*map(str, settings["seeds"])]
    named = {
        "experiment": experiment_names(settings),
        "seed": seeds,
        "objective": objectives,
        "attack": settings["attacks"],
    }
    return all(value in named.get(name, [value]) for name, value in wildcards.items())
