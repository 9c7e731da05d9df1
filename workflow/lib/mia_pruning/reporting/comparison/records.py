"""What the records of a study's jobs say of it: which examples it drew, how it was configured, and what made it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

#: what the page calls them -> what records do
MACHINE = {"node": "node", "processor": "cpu", "system": "platform", "Python": "python"}


def splits(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each split was drawn from, by experiment and seed: its settings, and digests of the data's labels and duplicates."""
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
    """The seeds of one experiment whose split is the same in both: its settings and its data are.

    >>> shared_seeds({"0": ({"models": 8}, {}), "1": ({"models": 8}, {})}, {"0": ({"models": 8}, {}), "1": ({"models": 6}, {})})
    ['0']
    """
    return sorted((seed for seed in a if seed in b and a[seed] == b[seed]), key=int)


def settings_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The study's configuration by the record of its report, flat: `{"experiments.lenet5.split.models": 8}`; None without one."""
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
    """What made a study, by its records: commits, nodes, processors, systems and versions, each value that occurs."""
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
