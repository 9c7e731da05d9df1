"""Plug-ins as the source text of a file declares them, read without running it.

A class inherits options and traits. Its base classes are looked up in the same file and in
first-party files that it imports from. Definitions that no study could use are found here, each by
itself: a faulty one leaves its neighbours usable.
"""

import ast
import importlib
import re
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

from mia_pruning.modules import module_file, source_file
from mia_pruning.options import Option, name_of, read_option, suggest
from mia_pruning.traits import NOT_INHERITED, Traits, make_traits, traits_of
from mia_pruning.types import StudyError

#: A function of each kind has these positional arguments. A recorded probe gets the number of
#: epochs instead.
ARGUMENTS = {
    "dataset": (),
    "model": ("image_shape", "n_classes"),
    "constraint": (),
    "probe": ("asked",),
    "recorded probe": ("n_epochs",),
    "attack": ("targets", "shadows", "rng"),
    "figure": ("tables", "headline"),
}
#: A class of each kind has these methods, with these arguments.
METHODS = {
    "objective": {"loss": ("self", "model", "images", "labels")},
    "solver": {"start": ("self", "task", "sparsity_set", "rng")},
    "constraint": {"budgets": ("self", "shapes"), "masks": ("self", "weights")},
}
#: These keys of an entry of a study belong to the pipeline, by the kind of plug-in that the entry
#: uses.
PIPELINE_KEYS = {
    "objective": ("use", "training", "model"),
    "constraint": ("use", "solver", "retrain_epochs"),
    "attack": ("use", "title", "targets_per_group", "attackers", "defences"),
    "dataset": ("use", "title"),
}
RESERVED = {key for keys in PIPELINE_KEYS.values() for key in keys}
#: The training loop records only the probe of this module.
RECORDED = "mia_pruning.probes.loss_trace"


@dataclass(frozen=True)
class PlugIn:
    """A plug-in as its source text describes it.

    traits: those that its decorator states, an instance of the class for its kind.
    """

    kind: str
    name: str
    module: str
    symbol: str
    options: dict[str, Option]
    traits: Any = field(default_factory=Traits)
    line: int = 0

    @property
    def place(self) -> str:
        """Key and value that name the plug-in in a study, and the place of its definition.

        They begin a message.
        """
        key = "solver" if self.kind == "solver" else "use"
        return (
            f"{key} = '{self.module}.{self.symbol}': {module_file(self.module)}, line {self.line}"
        )

    def load(self) -> Callable:
        """Return the function or class itself; this imports its module.

        Raises:
            StudyError: A class lacks a method, or has options or traits that its source text does
                not show.
        """
        loaded = getattr(importlib.import_module(self.module), self.symbol)
        if isinstance(loaded, type):
            self._check_methods(loaded)
            self._check_inherited(loaded)
        return loaded

    def explain(self, error: BaseException) -> str:
        """Return a sentence on an error that the plug-in raised: type, message, file and line."""
        lines = self._lines_of(error) or [self.line]
        return f"{type(error).__name__}: {error} ({module_file(self.module)}, line {lines[-1]})"

    def has_raised(self, error: BaseException) -> bool:
        """Return whether the error passed through the plug-in's file."""
        return bool(self._lines_of(error))

    def _lines_of(self, error: BaseException) -> list[int]:
        file, frames = module_file(self.module), traceback.extract_tb(error.__traceback__)
        return [frame.lineno for frame in frames if Path(frame.filename) == file]

    def _check_methods(self, loaded: type) -> None:
        for name, arguments in METHODS.get(self.kind, {}).items():
            method = getattr(loaded, name, None)
            if method is None or getattr(method, "__isabstractmethod__", False):
                raise StudyError(
                    self.place,
                    f"it has no method {name}",
                    f"this kind, {self.kind}, needs {name}({', '.join(arguments)})",
                )

    def _check_inherited(self, loaded: type) -> None:
        """Refuse a class whose options or traits differ from those that its source text shows."""
        options = (
            {each.name for each in fields(loaded) if each.init} if is_dataclass(loaded) else set()
        )
        traits = {
            each.name
            for each in fields(self.traits)
            if getattr(loaded, each.name) != getattr(self.traits, each.name)
        }
        if hidden := sorted((options ^ set(self.options)) | traits):
            raise StudyError(
                self.place,
                f"{hidden[0]} is inherited from a base class whose source was not found",
                "allowed is a base class of the same file, or one that `from module import name` brings from a file beside it",
            )


@dataclass(frozen=True)
class Faulty:
    """A definition that cannot be used as a plug-in.

    symbol: its name in the file; empty if the complete file cannot be read.
    """

    name: str
    path: Path
    symbol: str
    reason: str

    def __str__(self) -> str:
        return f"{self.path} cannot be read as a plug-in: {self.reason}"


@dataclass(frozen=True)
class _Source:
    path: Path
    tree: ast.Module


def read_plug_ins(kind: str, module: str, path: Path) -> list[PlugIn | Faulty]:
    """Return the definitions of a file that bear the decorator of a kind, in their order."""
    source = _parse(path)
    definitions = [
        node for node in source.tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)
    ]
    return [
        _read_plug_in(kind, module, node, source) for node in definitions if _is_marked(node, kind)
    ]


def _parse(path: Path) -> _Source:
    return _Source(path, ast.parse(path.read_text(encoding="utf-8"), filename=str(path)))


def _read_plug_in(
    kind: str, module: str, node: ast.FunctionDef | ast.ClassDef, source: _Source
) -> PlugIn | Faulty:
    name = _snake_case(node.name)
    try:
        return PlugIn(
            kind, name, module, node.name, *_declared(kind, module, node, source), node.lineno
        )
    except ValueError as error:
        return Faulty(name, source.path, node.name, f"line {node.lineno}, {node.name}: {error}")


def _declared(
    kind: str, module: str, node: ast.FunctionDef | ast.ClassDef, source: _Source
) -> tuple[dict[str, Option], Traits]:
    """Return options and traits of a definition.

    Raises:
        ValueError: The definition is no plug-in of its kind.
    """
    lineage = list(_lineage(node, source)) if isinstance(node, ast.ClassDef) else [node]
    stated = {
        name: value
        for each in lineage
        for name, value in _stated(each, kind)
        if each is node or name not in NOT_INHERITED
    }
    traits = make_traits(kind, stated)
    is_recorded = getattr(traits, "recorded", False)
    if is_recorded and module != RECORDED:
        raise ValueError(
            "the trait recorded is that of loss_trace, which the training loop records; allowed is to leave it out"
        )
    if isinstance(node, ast.ClassDef):
        for each in lineage:
            _check_class(each, kind)
    else:
        _check_arguments(node, ARGUMENTS.get("recorded probe" if is_recorded else kind), kind)
    options = _options(node, lineage)
    _check_names(options, traits)
    return options, traits


def _check_names(options: dict[str, Option], traits: Traits) -> None:
    if taken := sorted(RESERVED & set(options)):
        allowed = f"allowed is any name but {', '.join(sorted(RESERVED))}"
        raise ValueError(f"the option {taken[0]} has the name of a key of the pipeline; {allowed}")
    for name in getattr(traits, "named_options", ()):
        if name not in options:
            raise ValueError(f"a trait refers to the option {name}; {suggest(name, options)}")


def _check_arguments(node: ast.FunctionDef, expected: tuple[str, ...] | None, what: str) -> None:
    """Refuse positional arguments that differ from those that the caller passes."""
    found = tuple(argument.arg for argument in [*node.args.posonlyargs, *node.args.args])
    if expected is None:
        raise ValueError(
            f"@{what} marks a class with the method {', '.join(METHODS[what])}; this is a function"
        )
    if found != expected:
        raise ValueError(
            f"its arguments are ({', '.join(found)}); those of this {what} must be ({', '.join(expected)})"
        )


def _check_class(node: ast.ClassDef, kind: str) -> None:
    """Check the methods that the class defines itself, and that its body assigns no trait."""
    if kind not in METHODS:
        raise ValueError(
            f"@{kind} marks a function of ({', '.join(ARGUMENTS[kind])}); this is a class"
        )
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name in METHODS[kind]:
            _check_arguments(method, METHODS[kind][method.name], kind)
    names = {
        target.id for item in node.body for target in _targets(item) if isinstance(target, ast.Name)
    }
    if wrong := sorted(names & {trait.name for trait in fields(traits_of(kind))}):
        raise ValueError(f"{wrong[0]} is a trait, not an attribute; write @{kind}({wrong[0]}=...)")


def _targets(item: ast.stmt) -> list[ast.expr]:
    """Return the expressions that a statement assigns to."""
    if isinstance(item, ast.Assign):
        return item.targets
    return [item.target] if isinstance(item, ast.AnnAssign) else []


def _lineage(node: ast.ClassDef, source: _Source) -> Iterator[ast.ClassDef]:
    """Yield the base classes whose source is found, the most basic first, and then the class."""
    for base in reversed(node.bases):
        found = (
            _class_before(node.lineno, name_of(base), source)
            if isinstance(base, ast.Name)
            else None
        )
        if found is not None:
            yield from _lineage(*found)
    yield node


def _class_before(line: float, name: str, source: _Source) -> tuple[ast.ClassDef, _Source] | None:
    """Return the class that a name means above a line, with its file; None if none is found.

    The class is defined in this file or in a file that it is imported from.
    """
    for item in reversed(source.tree.body):
        if item.lineno < line and isinstance(item, ast.ClassDef) and item.name == name:
            return item, source
        for alias in item.names if isinstance(item, ast.ImportFrom) else []:
            if (alias.asname or alias.name) == name:
                file = source_file(item.module or "", source.path, item.level)
                return (
                    None if file is None else _class_before(float("inf"), alias.name, _parse(file))
                )
    return None


def _options(
    node: ast.FunctionDef | ast.ClassDef, lineage: Sequence[ast.ClassDef]
) -> dict[str, Option]:
    """Return the options: keyword-only arguments of a function, or fields of a dataclass.

    Fields of base classes are included.
    """
    if isinstance(node, ast.FunctionDef):
        arguments = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
        declared = [(argument.arg, argument.annotation, default) for argument, default in arguments]
    else:
        if _fields(node) and not _is_marked(node, "dataclass"):
            raise ValueError(
                "its fields are no options yet; write @dataclass(frozen=True) below the decorator"
            )
        owners = [each for each in lineage if _is_marked(each, "dataclass")]
        declared = [
            (each.target.id, each.annotation, each.value)
            for owner in owners
            for each in _fields(owner)
        ]
    return {name: read_option(name, annotation, default) for name, annotation, default in declared}


def _fields(node: ast.ClassDef) -> list[ast.AnnAssign]:
    annotated = [item for item in node.body if isinstance(item, ast.AnnAssign)]
    return [item for item in annotated if name_of(item.annotation) != "ClassVar"]


def _stated(node: ast.FunctionDef | ast.ClassDef, kind: str) -> Iterator[tuple[str, Any]]:
    """Yield the keywords of the decorator of a kind."""
    for decorator in node.decorator_list:
        if isinstance(decorator, ast.Call) and name_of(decorator.func) == kind:
            if decorator.args:
                raise ValueError(
                    f"@{kind} has the value {ast.unparse(decorator.args[0])}; allowed are traits, as trait=value"
                )
            for keyword in decorator.keywords:
                try:
                    yield keyword.arg, ast.literal_eval(keyword.value)
                except ValueError as error:
                    written = ast.unparse(keyword.value)
                    raise ValueError(
                        f"the trait {keyword.arg} is not written out: {written}"
                    ) from error


def _is_marked(node: ast.FunctionDef | ast.ClassDef, decorator: str) -> bool:
    """Return whether a definition has the decorator of this name, with or without arguments."""
    named = [each.func if isinstance(each, ast.Call) else each for each in node.decorator_list]
    return decorator in map(name_of, named)


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
