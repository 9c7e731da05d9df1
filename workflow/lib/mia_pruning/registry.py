"""Plug-ins: finding them, describing their options and loading them.

A plug-in is a module-level function or dataclass with the decorator of its kind (`@attack`, `@model`, ...). A function's
keyword-only arguments, or a dataclass's fields, are its options; a class `OneShot` is named `one_shot`. The decorator states
its traits (`traits.py`). The catalogue is read from the source text, not by importing: planning a study then costs milliseconds
instead of torch's three seconds, and a change in one plug-in's file concerns that plug-in alone.

An annotation `Annotated[float, ">= 1"]` states the range of an option, `Literal["this", "that"]` the words that it takes. Both
may be joined: `Annotated[Literal["auto"] | float, ">= 1"]` takes the word, or a number in the range.
"""

import ast
import difflib
import importlib
import importlib.util
import math
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from functools import cache, partial
from pathlib import Path
from typing import Any

from mia_pruning.traits import Traits, make_traits, traits_of
from mia_pruning.types import StudyError

#: kind -> the sub-package whose modules are scanned for functions decorated with the kind's name
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
REQUIRED = object()
#: Positional arguments of a function of each kind. A recorded probe is asked for epochs instead.
ARGUMENTS = {
    "dataset": (),
    "model": ("image_shape", "n_classes"),
    "constraint": (),
    "probe": ("asked",),
    "recorded probe": ("n_epochs",),
    "attack": ("targets", "shadows", "rng"),
    "figure": ("tables", "headline"),
}
#: Arguments of the methods of a class of each kind.
METHODS = {
    "objective": {"loss": ("self", "model", "images", "labels")},
    "solver": {"start": ("self", "task", "sparsity_set", "rng")},
    "constraint": {"budgets": ("self", "shapes"), "masks": ("self", "weights")},
}
_TYPES = {"int": int, "float": (int, float), "str": str, "bool": bool, "Sequence": (list, tuple), "dict": dict}
_RANGES = {
    ">=": lambda value, bound: value >= bound,
    ">": lambda value, bound: value > bound,
    "<=": lambda value, bound: value <= bound,
    "<": lambda value, bound: value < bound,
}


@dataclass(frozen=True)
class Option:
    """One keyword of a plug-in: its annotation as written, its range ('>= 1, < 5' or '') and its default, or REQUIRED."""

    name: str
    annotation: str
    range: str
    default: Any

    @property
    def allowed(self) -> str:
        """What the option takes, for a message.

        >>> Option("a", "Literal['auto'] | float", ">= 0, <= 1", 0.5).allowed
        'float >= 0, <= 1, or the word auto'
        """
        words, types = self._alternatives
        listed = ", ".join(map(str, words))
        typed = f"{' | '.join(types)} {self.range}".strip()
        if not words:
            return typed
        return f"{typed}, or the word {listed}" if types else f"one of {listed}"

    @property
    def _alternatives(self) -> tuple[tuple[Any, ...], list[str]]:
        """The words of `Literal["this", "that"]`, and the other types of the annotation."""
        parts = list(_parts(ast.parse(self.annotation, mode="eval").body))
        literals = [part for part in parts if isinstance(part, ast.Subscript) and ast.unparse(part.value) == "Literal"]
        words = [word for part in literals for word in _words(part)]
        return tuple(words), [ast.unparse(part) for part in parts if part not in literals]

    def accepts(self, value: Any) -> bool:
        """Whether a value read from YAML is one of the option's words, or has its type and lies in its range."""
        words, types = self._alternatives
        if any(value == word and type(value) is type(word) for word in words):
            return True
        if value is None:
            return "None" in types
        fits_type = any(
            isinstance(value, _TYPES[kind]) and (not isinstance(value, bool) or kind == "bool")
            for kind in (part.split("[")[0] for part in types)
            if kind in _TYPES
        )
        if isinstance(value, list | tuple):
            item_type = self.annotation.partition("[")[2].partition("]")[0]
            return (
                fits_type
                and len(value) > 0
                and all(Option(self.name, item_type, self.range, None).accepts(item) for item in value)
            )
        return fits_type and _is_finite(value) and self._in_range(value)

    def _in_range(self, value: Any) -> bool:
        conditions = [condition.split() for condition in self.range.split(",") if condition.strip()]
        return all(isinstance(value, int | float) and _RANGES[operator](value, float(bound)) for operator, bound in conditions)


@dataclass(frozen=True)
class PlugIn:
    """A plug-in as its source text describes it; `traits` is what its decorator states, of the class of its kind."""

    kind: str
    name: str
    module: str
    symbol: str
    options: dict[str, Option]
    traits: Any = field(default_factory=Traits)

    def load(self) -> Callable:
        """The function or class itself; this imports its module."""
        return getattr(importlib.import_module(self.module), self.symbol)


def _parts(annotation: ast.expr) -> Iterator[ast.expr]:
    """The alternatives of an annotation that are joined by `|`, in their order."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        yield from _parts(annotation.left)
        yield from _parts(annotation.right)
    else:
        yield annotation


def _words(literal: ast.Subscript) -> list[Any]:
    """The words of an annotation `Literal["this", "that"]`."""
    listed = literal.slice.elts if isinstance(literal.slice, ast.Tuple) else [literal.slice]
    return [ast.literal_eval(word) for word in listed]


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def marker(kind: str) -> Callable:
    """The decorator of a kind. It leaves a function as it is, and gives a class its traits as attributes."""

    def mark(marked: Callable | None = None, **given: Any) -> Callable:
        if marked is None:
            return partial(mark, **given)
        traits = make_traits(kind, given)
        if isinstance(marked, type):
            for name, value in vars(traits).items():
                setattr(marked, name, value)
        marked.plug_in_kind = kind
        return marked

    return mark


dataset, model, objective = marker("dataset"), marker("model"), marker("objective")
constraint, solver, figure = marker("constraint"), marker("solver"), marker("figure")
probe, attack = marker("probe"), marker("attack")


@cache
def catalogue(kind: str) -> dict[str, PlugIn]:
    """Every built-in plug-in of a kind, by name."""
    found = {}
    for path in sorted(_folder(PACKAGES[kind]).glob("*.py")):
        module = PACKAGES[kind] + ("" if path.stem == "__init__" else f".{path.stem}")
        found.update({plug_in.name: plug_in for plug_in in _read(kind, module, path)})
    return found


def find(kind: str, use: str, where: str) -> PlugIn:
    """The plug-in that a config entry names: a built-in by its name, anybody else's by `package.module.function`.

    Raises StudyError that quotes the config key (where), the value and what is allowed.
    """
    if "." in use:
        return _find_dotted(kind, use, where)
    if use not in catalogue(kind):
        raise StudyError(f"{where} = {use!r}: no such {kind}; {suggest(use, catalogue(kind))}")
    return catalogue(kind)[use]


def check_options(given: dict[str, Any], plug_ins: list[PlugIn], where: str, own: tuple[str, ...] = ()) -> dict[str, Any]:
    """The options with their defaults filled in, taken from the union of what the plug-ins accept.

    own: the entry's other keys, to be offered to who mistypes one.
    """
    accepted = {name: option for plug_in in plug_ins for name, option in plug_in.options.items()}
    for name, value in given.items():
        if name not in accepted:
            raise StudyError(f"{where}.{name}: unknown key; {suggest(name, [*own, *accepted])}")
        if not accepted[name].accepts(value):
            raise StudyError(f"{where}.{name} = {value!r}: allowed is {accepted[name].allowed}")
    missing = [name for name, option in accepted.items() if option.default is REQUIRED and name not in given]
    if missing:
        raise StudyError(f"{where}.{missing[0]}: missing; it takes {accepted[missing[0]].allowed}")
    return {name: given.get(name, option.default) for name, option in accepted.items()}


def options_of(plug_in: PlugIn, options: dict[str, Any]) -> dict[str, Any]:
    """The part of checked options that belongs to this plug-in."""
    return {name: value for name, value in options.items() if name in plug_in.options}


def suggest(name: str, allowed: Iterable[str]) -> str:
    """The nearest of the allowed names, if one is near, and all of them.

    >>> suggest("epohcs", ["epochs", "rho"])
    "did you mean 'epochs'? Allowed: epochs, rho"
    """
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    label = "Allowed" if near else "allowed"
    return f"{hint}{label}: {', '.join(sorted(allowed)) or 'none'}"


def _folder(package: str) -> Path:
    return Path(__file__).parent.joinpath(*package.split(".")[1:])


def _find_dotted(kind: str, use: str, where: str) -> PlugIn:
    module, _, name = use.rpartition(".")
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:
        spec = None
    if spec is None or spec.origin is None:
        raise StudyError(f"{where} = {use!r}: there is no module {module!r} on Python's path")
    try:
        plug_ins = _read(kind, module, Path(spec.origin))
    except (OSError, ValueError, SyntaxError) as error:
        raise StudyError(f"{where} = {use!r}: {spec.origin} cannot be read as a plug-in: {error}") from error
    for plug_in in plug_ins:
        if plug_in.symbol == name:
            return plug_in
    raise StudyError(f"{where} = {use!r}: {spec.origin} has no {name!r} with the decorator @{kind}")


def _read(kind: str, module: str, path: Path) -> list[PlugIn]:
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    definitions = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    plug_ins = [node for node in definitions if kind in map(_decorator_name, node.decorator_list)]
    return [_plug_in(kind, module, node) for node in plug_ins]


def _plug_in(kind: str, module: str, node: ast.FunctionDef | ast.ClassDef) -> PlugIn:
    """Raise ValueError where the definition is no plug-in of its kind."""
    try:
        traits = make_traits(kind, dict(_stated(node, kind)))
        if isinstance(node, ast.ClassDef):
            _check_class(node, kind)
        else:
            recorded = "recorded " if getattr(traits, "recorded", False) else ""
            _check_arguments(node, ARGUMENTS.get(recorded + kind), kind)
        options = {option.name: option for option in _options(node)}
        for name in getattr(traits, "named_options", ()):
            if name not in options:
                raise ValueError(f"a trait refers to the option {name}; {suggest(name, options)}")
    except ValueError as error:
        raise ValueError(f"line {node.lineno}, {node.name}: {error}") from error
    return PlugIn(kind, _snake_case(node.name), module, node.name, options, traits)


def _check_arguments(node: ast.FunctionDef, expected: tuple[str, ...] | None, what: str) -> None:
    """Compare the positional arguments with those that the caller passes."""
    found = tuple(argument.arg for argument in [*node.args.posonlyargs, *node.args.args])
    if expected is None:
        raise ValueError(f"@{what} marks a class with the method {', '.join(METHODS[what])}; this is a function")
    if found != expected:
        raise ValueError(f"its arguments are ({', '.join(found)}); those of this {what} must be ({', '.join(expected)})")


def _check_class(node: ast.ClassDef, kind: str) -> None:
    """Check the methods that the class defines itself, and that its body assigns no trait."""
    if kind not in METHODS:
        raise ValueError(f"@{kind} marks a function of ({', '.join(ARGUMENTS[kind])}); this is a class")
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name in METHODS[kind]:
            _check_arguments(method, METHODS[kind][method.name], kind)
    names = {target.id for item in node.body for target in _targets(item) if isinstance(target, ast.Name)}
    if wrong := sorted(names & {trait.name for trait in fields(traits_of(kind))}):
        raise ValueError(f"{wrong[0]} is a trait, not an attribute; write @{kind}({wrong[0]}=...)")


def _targets(item: ast.stmt) -> list[ast.expr]:
    """What a statement assigns to."""
    if isinstance(item, ast.Assign):
        return item.targets
    return [item.target] if isinstance(item, ast.AnnAssign) else []


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _decorator_name(node: ast.expr) -> str:
    if isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _options(node: ast.FunctionDef | ast.ClassDef) -> list[Option]:
    """The keyword-only arguments of a function, or the annotated fields of a dataclass."""
    if isinstance(node, ast.ClassDef):
        fields = [item for item in node.body if isinstance(item, ast.AnnAssign)]
        return [_option(field.target.id, field.annotation, field.value) for field in fields]
    arguments = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    return [_option(argument.arg, argument.annotation, default) for argument, default in arguments]


def _stated(node: ast.FunctionDef | ast.ClassDef, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the keywords of the decorator of a kind."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and _decorator_name(decorator) == kind:
            for keyword in decorator.keywords:
                try:
                    yield keyword.arg, ast.literal_eval(keyword.value)
                except ValueError as error:
                    written = ast.unparse(keyword.value)
                    raise ValueError(f"the trait {keyword.arg} is not written out: {written}") from error


def _option(name: str, annotation: ast.expr, default: ast.expr | None) -> Option:
    range_ = ""
    if annotation is None:
        raise ValueError(f"the option {name} has no annotation")
    if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") == "Annotated":
        annotation, range_ = annotation.slice.elts[0], annotation.slice.elts[1].value
    try:
        value = REQUIRED if default is None else ast.literal_eval(default)
    except ValueError as error:
        raise ValueError(f"the default of option {name} is not written out: {ast.unparse(default)}") from error
    return Option(name, ast.unparse(annotation), range_, value)
