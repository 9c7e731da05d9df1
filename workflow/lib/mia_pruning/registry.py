"""Plug-ins: marking them, finding them and checking the options that a study gives them.

A plug-in is a module-level function or dataclass with the decorator of its kind (`@attack`,
`@model`, ...). Its options are a function's keyword-only arguments, or a dataclass's fields
(`options.py`). A class `OneShot` is named `one_shot`. The decorator states its traits
(`traits.py`). The catalogue is read from the source text (`declarations.py`), not by importing. So
planning a study costs milliseconds instead of torch's three seconds, and a change in one plug-in's
file concerns that plug-in alone.
"""

import importlib.util
from collections import Counter
from collections.abc import Callable
from dataclasses import fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from mia_pruning.declarations import PIPELINE_KEYS, Faulty, PlugIn, read_plug_ins
from mia_pruning.options import REQUIRED, suggest
from mia_pruning.traits import NOT_INHERITED, make_traits, traits_of
from mia_pruning.types import StudyError

#: For each kind, the modules of this sub-package are scanned for functions and classes with its
#: decorator.
PACKAGES = {
    "dataset": "mia_pruning.data",
    "model": "mia_pruning.models",
    "objective": "mia_pruning.objectives",
    "constraint": "mia_pruning.constraints",
    "solver": "mia_pruning.constraints",
    "probe": "mia_pruning.probes",
    "attack": "mia_pruning.attacks",
    "figure": "mia_pruning.reporting.figures",
}


def marker(kind: str) -> Callable:
    """Return the decorator of a kind.

    It leaves a function as it is, and gives a class its traits as attributes.
    """

    def mark(marked: Callable | None = None, **given: Any) -> Callable:
        if marked is None:
            return partial(mark, **given)
        if isinstance(marked, type):
            traits = make_traits(kind, {**_inherited_traits(marked, kind), **given})
            for name, value in vars(traits).items():
                setattr(marked, name, value)
        else:
            make_traits(kind, given)
        marked.plug_in_kind = kind
        return marked

    return mark


def _inherited_traits(marked: type, kind: str) -> dict[str, Any]:
    names = [trait.name for trait in fields(traits_of(kind))]
    inherited = [name for name in names if name not in NOT_INHERITED and hasattr(marked, name)]
    return {name: getattr(marked, name) for name in inherited}


dataset, model, objective = marker("dataset"), marker("model"), marker("objective")
constraint, solver, figure = marker("constraint"), marker("solver"), marker("figure")
probe, attack = marker("probe"), marker("attack")


def catalogue(kind: str) -> dict[str, PlugIn]:
    """Return every built-in plug-in of a kind that can be used, by name."""
    return {name: found for name, found in _survey(kind).items() if isinstance(found, PlugIn)}


def faults(kind: str) -> dict[str, Faulty]:
    """Return the built-in plug-ins of a kind that cannot be used, by name.

    A file that cannot be read has its own name.
    """
    return {name: found for name, found in _survey(kind).items() if isinstance(found, Faulty)}


def names_of(kind: str) -> list[str]:
    """Return the names of all built-in plug-ins of a kind.

    Raises:
        StudyError: One of them cannot be used.
    """
    for faulty in faults(kind).values():
        raise StudyError(f"{kind} {faulty.name}", faulty)
    return list(catalogue(kind))


@cache
def _survey(kind: str) -> dict[str, PlugIn | Faulty]:
    """Return everything in the folder of a kind that is meant to be a plug-in, by name."""
    found = [
        each for path in sorted(_folder(kind).glob("*.py")) for each in _read_built_in(kind, path)
    ]
    counts = Counter(each.name for each in found)
    return {each.name: each if counts[each.name] == 1 else _ambiguous(each, kind) for each in found}


def _read_built_in(kind: str, path: Path) -> list[PlugIn | Faulty]:
    module = PACKAGES[kind] + ("" if path.stem == "__init__" else f".{path.stem}")
    try:
        return read_plug_ins(kind, module, path)
    except (OSError, ValueError, SyntaxError) as error:
        return [Faulty(path.stem, path, "", str(error))]


def _ambiguous(found: PlugIn | Faulty, kind: str) -> Faulty:
    reason = (
        f"the name {found.name} stands twice in this folder; each {kind} needs a name of its own"
    )
    return Faulty(found.name, _folder(kind), found.symbol, reason)


def find(kind: str, use: str, where: str) -> PlugIn:
    """Return the plug-in that a config entry names.

    A built-in is found by its name, any other plug-in by `package.module.function`.

    Raises:
        StudyError: There is none. The error quotes the config key (where), the value and what is
            allowed.
    """
    found = _find_dotted(kind, use, where) if "." in use else _survey(kind).get(use)
    if found is None:
        unreadable = "".join(f". {faulty}" for faulty in faults(kind).values() if not faulty.symbol)
        raise StudyError(
            f"{where} = {use!r}", f"no such {kind}", f"{suggest(use, catalogue(kind))}{unreadable}"
        )
    if isinstance(found, Faulty):
        raise StudyError(f"{where} = {use!r}", found)
    return found


def check_options(
    given: dict[str, Any], plug_ins: list[PlugIn], where: str, own: tuple[str, ...] = ()
) -> dict[str, Any]:
    """Return the options with their defaults filled in.

    The plug-ins share one entry, so an option may be of any of them.

    own: the entry's other keys, suggested to a user who mistypes one.

    Raises:
        StudyError: Two plug-ins have an option of the same name, a key is unknown, a value is not
            accepted or a required option is missing.
    """
    counts = Counter(name for plug_in in plug_ins for name in plug_in.options)
    if shared := [name for name, count in counts.items() if count > 1]:
        both = " and ".join(f"{plug_in.kind} {plug_in.name}" for plug_in in plug_ins)
        raise StudyError(
            where,
            f"{both} share one entry and both have an option {shared[0]}",
            "allowed are different names",
        )
    accepted = {name: option for plug_in in plug_ins for name, option in plug_in.options.items()}
    for name, value in given.items():
        if name not in accepted:
            raise StudyError(f"{where}.{name}", "unknown key", suggest(name, [*own, *accepted]))
        if not accepted[name].accepts(value):
            raise StudyError(
                f"{where}.{name} = {value!r}", allowed=f"allowed is {accepted[name].allowed}"
            )
    missing = [
        name
        for name, option in accepted.items()
        if option.default is REQUIRED and name not in given
    ]
    if missing:
        raise StudyError(
            f"{where}.{missing[0]}", "missing", f"it takes {accepted[missing[0]].allowed}"
        )
    return {name: given.get(name, option.default) for name, option in accepted.items()}


def options_of(plug_in: PlugIn, options: dict[str, Any]) -> dict[str, Any]:
    """Return the part of checked options that belongs to this plug-in."""
    return {name: value for name, value in options.items() if name in plug_in.options}


def own_keys(section: str) -> tuple[str, ...]:
    """Return the keys of a section's entries besides the options of their plug-ins.

    >>> own_keys("constraints"), own_keys("probes")
    (('use', 'solver', 'retrain_epochs'), ('use',))
    """
    return PIPELINE_KEYS.get(section.removesuffix("s"), ("use",))


def _folder(kind: str) -> Path:
    return Path(__file__).parent.joinpath(*PACKAGES[kind].split(".")[1:])


def _find_dotted(kind: str, use: str, where: str) -> PlugIn | Faulty:
    """Return a user's plug-in; its package, if it has one, is imported."""
    module, _, name = use.rpartition(".")
    spec = _find_module(module, f"{where} = {use!r}")
    try:
        found = {each.symbol: each for each in read_plug_ins(kind, module, Path(spec.origin))}
    except (OSError, ValueError, SyntaxError) as error:
        raise StudyError(
            f"{where} = {use!r}", f"{spec.origin} cannot be read as a plug-in: {error}"
        ) from error
    if name not in found:
        raise StudyError(
            f"{where} = {use!r}", f"{spec.origin} has no {name!r} with the decorator @{kind}"
        )
    return found[name]


def _find_module(module: str, place: str) -> importlib.machinery.ModuleSpec:
    try:
        spec = importlib.util.find_spec(module)
    except Exception as error:  # A user's package may raise anything.
        absent = isinstance(error, ModuleNotFoundError) and module.startswith(error.name or "")
        if not absent:
            package = module.rpartition(".")[0]
            raise StudyError(
                place, f"the package {package} cannot be imported: {type(error).__name__}: {error}"
            ) from error
        spec = None
    if spec is None or spec.origin is None:
        raise StudyError(place, f"there is no module {module!r} on Python's path")
    return spec
