"""Find the plug-ins that the sections of a study use, and check their options."""

from collections.abc import Mapping
from typing import Any

from mia_pruning import registry
from mia_pruning.data.sources import check_sources
from mia_pruning.options import suggest
from mia_pruning.traits import AttackTraits
from mia_pruning.types import DatasetSource, StudyError


def plug_ins_of(section: str, entry: Mapping[str, Any], where: str) -> list[registry.PlugIn]:
    """Return the plug-ins that an entry of a section uses: one, or a constraint and its solver."""
    kind = section.removesuffix("s")
    plug_ins = [registry.find(kind, entry["use"], f"{where}.use")]
    if kind == "constraint" and entry["use"] != "none":
        plug_ins.append(registry.find("solver", entry["solver"], f"{where}.solver"))
    return plug_ins


def fill_options(section: str, entry: dict[str, Any], where: str) -> None:
    """Check the options of an entry's plug-ins and write their defaults into the entry."""
    own = registry.own_keys(section)
    options = {key: value for key, value in entry.items() if key not in own}
    plug_ins = plug_ins_of(section, entry, where)
    entry.update(registry.check_options(options, plug_ins, where, own))


def model_options(model: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return the options of a model section, completed with the model's defaults."""
    plug_in = registry.find("model", model["use"], f"{where}.use")
    options = {key: value for key, value in model.items() if key != "use"}
    return registry.check_options(options, [plug_in], where, ("use",))


def source_of(entry: Mapping[str, Any], where: str) -> DatasetSource:
    """Return a data set's description. Its files are checked as far as they exist."""
    plug_in = registry.find("dataset", entry["use"], f"{where}.use")
    own = registry.own_keys("datasets")
    options = {key: value for key, value in entry.items() if key not in own}
    checked = registry.check_options(options, [plug_in], where, own)
    try:
        source = plug_in.load()(**checked)
    except StudyError as error:
        raise error.below(where, ": ") from error
    except Exception as error:  # whatever a user's data set raises
        raise StudyError(where, plug_in.explain(error)) from error
    if not isinstance(source, DatasetSource):
        problem = f"it returns {type(source).__name__}"
        raise StudyError(f"{where}.use = {entry['use']!r}", problem, "allowed is a DatasetSource")
    check_sources(source, where)
    return source


def attack_traits(attack: Mapping[str, Any], where: str) -> AttackTraits:
    """Return what an attack's plug-in says of itself."""
    return registry.find("attack", attack["use"], f"{where}.use").traits


def require_one_of(value: str, allowed: Mapping[str, Any], where: str) -> None:
    """Refuse a name that the study does not define."""
    if value not in allowed:
        raise StudyError(f"{where} = {value!r}", "not defined", suggest(value, allowed))
