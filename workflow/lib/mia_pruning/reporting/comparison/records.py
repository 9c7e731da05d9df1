"""A study by the records of its jobs: the examples it drew, its configuration and what made it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

#: Each name that the page uses is mapped to the key of the records.
MACHINE = {"node": "node", "processor": "cpu", "system": "platform", "Python": "python"}


def splits(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what each split was drawn from, by experiment and seed.

    That is its settings, and digests of the data's labels and duplicates.
    """
    found: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["rule"] == "split_examples":
            data = {
                Path(path).name: digest
                for path, digest in record["inputs"].items()
                if path.endswith(".npy")
            }
            seeds = found.setdefault(record["wildcards"]["experiment"], {})
            seeds[str(record["params"]["seed"])] = (record["params"]["split"], data)
    return found


def shared_seeds(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return the seeds of one experiment whose split has the same settings and data in both.

    >>> shared_seeds({"0": ({"models": 8}, {}), "1": ({"models": 8}, {})}, {"0": ({"models": 8}, {}), "1": ({"models": 6}, {})})
    ['0']
    """
    return sorted((seed for seed in a if seed in b and a[seed] == b[seed]), key=int)


def settings_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Return the study's configuration by the record of its report; None without one.

    It is flat, as `{"experiments.lenet5.split.models": 8}`.
    """
    found = next(
        (record["params"]["settings"] for record in records if record["rule"] == "write_report"),
        None,
    )
    return None if found is None else dict(_flat(found, ""))


def _flat(settings: Mapping[str, Any], above: str) -> Iterator[tuple[str, Any]]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def machine_facts(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return what made a study, by its records.

    These are commits, nodes, processors, systems and versions, each value that occurs.
    """
    found: dict[str, dict[str, None]] = {}
    for record in records:
        commit = f"{record['commit'] or 'none'}{' and changes' if record['dirty'] else ''}"
        named = {
            "commit": commit,
            **{name: record.get(key) for name, key in MACHINE.items()},
            **record["packages"],
        }
        for name, value in named.items():
            found.setdefault(name, {})[str(value or "not recorded")] = None
    return {name: ", ".join(values) for name, values in found.items()}
