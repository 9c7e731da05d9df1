"""Display names of a study's data sets, experiments, defences and attacks: what people read instead of keys."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mia_pruning import registry
from mia_pruning.types import BASELINE, StudyError

#: Sections whose entries may have a title.
TITLED = ("datasets", "experiments", "defences", "attacks")


def take_titles(filled: dict[str, Any]) -> None:
    """Move the key `title` of entries into the section `titles`, so that no job depends on a title.

    Raises:
        StudyError: `titles` names an entry that the study has not.
    """
    titles = filled["titles"]
    for section in TITLED:
        for name in titles.get(section, {}):
            if name not in filled[section]:
                raise StudyError(f"titles.{section}.{name}", f"{section} has no such name")
        for name, entry in filled[section].items():
            if "title" in entry:
                titles.setdefault(section, {})[name] = entry.pop("title")


def display_names(settings: Mapping[str, Any]) -> dict[str, str]:
    """Return the display names of keys and models: a title, or else a name made from plug-ins.

    settings: a complete study. A key that two sections share has a display name only if both give
    it the same.
    """
    found: dict[str, set[str]] = {}
    for section, default in DEFAULTS.items():
        titles = settings["titles"].get(section, {})
        made = _unambiguous({name: default(settings, name) for name in settings[section]})
        for name in settings[section]:
            title = titles.get(name) or made.get(name)
            if title:
                found.setdefault(name, set()).add(title)
    for entry in settings["experiments"].values():
        use = entry["model"]["use"]
        found.setdefault(use, set()).add(_title("model", use))
    return {name: titles.pop() for name, titles in found.items() if len(titles) == 1}


def _unambiguous(names: Mapping[str, str]) -> dict[str, str]:
    """Return the names that no other entry of the section has. Empty names are left out."""
    counts = Counter(names.values())
    return {key: name for key, name in names.items() if name and counts[name] == 1}


def _title(kind: str, use: str) -> str:
    """Return the title that a plug-in states of itself, or its name as words."""
    plug_in = registry.find(kind, use, f"{kind}.use")
    return plug_in.traits.title or plug_in.name.rpartition(".")[2].replace("_", " ")


def _dataset(settings: Mapping[str, Any], name: str) -> str:
    entry = settings["datasets"][name]
    stated = registry.find("dataset", entry["use"], f"datasets.{name}.use").traits.title
    return stated or entry.get("name") or name.replace("_", " ")


def _experiment(settings: Mapping[str, Any], name: str) -> str:
    entry = settings["experiments"][name]
    dataset = entry["dataset"]
    titles = settings["titles"].get("datasets", {})
    return f"{_title('model', entry['model']['use'])} on {titles.get(dataset) or _dataset(settings, dataset)}"


def _attack(settings: Mapping[str, Any], name: str) -> str:
    """Return the title that the plug-in states. Without one the key says more than the plug-in."""
    use = settings["attacks"][name]["use"]
    return registry.find("attack", use, f"attacks.{name}.use").traits.title


def _defence(settings: Mapping[str, Any], name: str) -> str:
    """Return the objective and the solver with its compression, such as Min-Max + ADMM 15.78x.

    A dense network of plain training has no name of this kind: only its key says what is special.
    """
    pair = settings["defences"][name]
    objective = settings["objectives"][pair["objective"]]
    constraint = settings["constraints"][pair["constraint"]]
    parts = [] if objective["use"] == "erm" else [_title("objective", objective["use"])]
    if constraint["use"] != "none":
        parts.append(_title("solver", constraint["solver"]) + _rate(settings, pair["constraint"]))
    return "" if name == BASELINE else " + ".join(parts)


def _rate(settings: Mapping[str, Any], constraint: str) -> str:
    """Return the compression of a constraint, if it has one and it is the same everywhere."""
    base = settings["constraints"][constraint]
    overlays = [
        entry["constraints"].get(constraint, base) for entry in settings["experiments"].values()
    ]
    rates = {entry.get("compression") for entry in overlays}
    rate = rates.pop() if len(rates) == 1 else None
    return f" {rate:g}x" if rate else ""


DEFAULTS = {
    "datasets": _dataset,
    "experiments": _experiment,
    "defences": _defence,
    "attacks": _attack,
}
