"""Options of plug-ins: their types and ranges in the source text, and the values that they accept.

An annotation `Annotated[float, ">= 1"]` states the range of an option, `Literal["this", "that"]`
the words that it takes. Both may be joined: `Annotated[Literal["auto"] | float, ">= 1"]` takes the
word, or a number in the range.
"""

import ast
import difflib
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

REQUIRED = object()
_NUMBERS = {"int": int, "float": (int, float)}
_OTHERS = {"str": str, "bool": bool, "dict": dict}
_LISTS = ("Sequence", "list")
_ALLOWED_TYPES = f"{', '.join([*_NUMBERS, *_OTHERS])}, None, Literal[...], Sequence[...] and list[...], joined by |"
_RANGES = {
    ">=": lambda value, bound: value >= bound,
    ">": lambda value, bound: value > bound,
    "<=": lambda value, bound: value <= bound,
    "<": lambda value, bound: value < bound,
}
_CONDITION = re.compile(r"(>=|>|<=|<) (-?\d+(?:\.\d+)?(?:e-?\d+)?)")


@dataclass(frozen=True)
class Option:
    """One keyword of a plug-in.

    annotation: as written.
    range: such as '>= 1, < 5'; '' without one.
    default: REQUIRED if there is none.
    """

    name: str
    annotation: str
    range: str
    default: Any

    @property
    def allowed(self) -> str:
        """Values that the option takes, for a message.

        >>> Option("a", "Literal['auto'] | float", ">= 0, <= 1", 0.5).allowed
        'float >= 0, <= 1, or the word auto'
        """
        parts = self._alternatives
        types = [ast.unparse(part) for part in parts if name_of(part) != "Literal"]
        words = ", ".join(
            str(word) for part in parts if name_of(part) == "Literal" for word in _words(part)
        )
        typed = f"{' | '.join(types)} {self.range}".strip()
        if not words:
            return typed
        return f"{typed}, or the word {words}" if types else f"one of {words}"

    def accepts(self, value: Any) -> bool:
        """Return whether a value read from YAML is valid.

        It is one of the option's words, or has its type and lies in its range.
        """
        return any(self._fits(value, part) for part in self._alternatives)

    def check(self) -> None:
        """Raise ValueError if no study could use the option as it is declared."""
        for part in self._alternatives:
            if not _is_supported(part):
                raise ValueError(
                    f"the type of option {self.name} is {self.annotation}; allowed are {_ALLOWED_TYPES}"
                )
        conditions = _split(self.range)
        if not all(map(_CONDITION.fullmatch, conditions)):
            allowed = "allowed are >=, >, <= or <, a space and a number, joined by commas, such as '>= 1, < 9'"
            raise ValueError(f"the range of option {self.name} is {self.range!r}; {allowed}")
        if conditions and not any(map(_holds_numbers, self._alternatives)):
            problem = f"the range of option {self.name} is {self.range!r}, but its type is {self.annotation}"
            raise ValueError(f"{problem}; allowed is a range of int or float")
        if self.default is not REQUIRED and not self.accepts(self.default):
            raise ValueError(
                f"the default of option {self.name} is {self.default!r}; allowed is {self.allowed}"
            )

    @property
    def _alternatives(self) -> list[ast.expr]:
        return list(_parts(ast.parse(self.annotation, mode="eval").body))

    def _fits(self, value: Any, part: ast.expr) -> bool:
        """Return whether a value fits one alternative of the annotation."""
        kind = name_of(part)
        if kind == "Literal":
            return any(value == word and type(value) is type(word) for word in _words(part))
        if kind in _LISTS:
            is_list = isinstance(value, list | tuple) and len(value) > 0
            return is_list and all(
                any(self._fits(item, each) for each in _parts(part.slice)) for item in value
            )
        if kind in _NUMBERS:
            is_number = isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
            return is_number and _is_finite(value) and self._in_range(value)
        return (
            isinstance(value, _OTHERS[kind])
            if kind in _OTHERS
            else kind == "None" and value is None
        )

    def _in_range(self, value: float) -> bool:
        conditions = [condition.split() for condition in _split(self.range)]
        return all(_RANGES[operator](value, float(bound)) for operator, bound in conditions)


def read_option(name: str, annotation: ast.expr | None, default: ast.expr | None) -> Option:
    """Return the option that an argument or field declares.

    Raises:
        ValueError: No study could use the option.
    """
    if annotation is None:
        raise ValueError(f"the option {name} has no annotation; allowed are {_ALLOWED_TYPES}")
    type_, range_ = _split_annotated(name, annotation)
    try:
        value = REQUIRED if default is None else ast.literal_eval(default)
    except ValueError as error:
        raise ValueError(
            f"the default of option {name} is not written out: {ast.unparse(default)}"
        ) from error
    option = Option(name, ast.unparse(type_), range_, value)
    option.check()
    return option


def suggest(name: str, allowed: Iterable[str]) -> str:
    """Return the nearest of the allowed names, if one is near, and all of them.

    >>> suggest("epohcs", ["epochs", "rho"])
    "did you mean 'epochs'? Allowed: epochs, rho"
    """
    allowed = list(allowed)
    near = difflib.get_close_matches(name, allowed, n=1)
    listed = ", ".join(sorted(allowed)) or "none"
    return f"did you mean {near[0]!r}? Allowed: {listed}" if near else f"allowed: {listed}"


def name_of(node: ast.expr) -> str:
    """Return the last name of an expression; empty if it has none.

    Expressions are such as `Literal["a"]`, `typing.Literal` or `None`.

    >>> name_of(ast.parse("typing.Literal['a']", mode="eval").body)
    'Literal'
    """
    if isinstance(node, ast.Subscript):
        return name_of(node.value)
    if isinstance(node, ast.Constant):
        return "None" if node.value is None else ""
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def _split_annotated(name: str, annotation: ast.expr) -> tuple[ast.expr, str]:
    """Return type and range of `Annotated[type, range]`; any other annotation has no range."""
    if name_of(annotation) != "Annotated":
        return annotation, ""
    parts = (
        annotation.slice.elts if isinstance(getattr(annotation, "slice", None), ast.Tuple) else []
    )
    if len(parts) != 2 or not isinstance(getattr(parts[1], "value", None), str):
        allowed = (
            "allowed is a type and one range that is written out, such as Annotated[float, '>= 0']"
        )
        raise ValueError(f"the annotation of option {name} is {ast.unparse(annotation)}; {allowed}")
    return parts[0], parts[1].value


def _split(range_: str) -> list[str]:
    """Return the conditions of a range.

    >>> _split(">= 1, < 9"), _split("")
    (['>= 1', '< 9'], [])
    """
    return [condition.strip() for condition in range_.split(",")] if range_ else []


def _parts(annotation: ast.expr) -> Iterator[ast.expr]:
    """Yield the alternatives of an annotation that are joined by `|`, in their order."""
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        yield from _parts(annotation.left)
        yield from _parts(annotation.right)
    else:
        yield annotation


def _is_supported(part: ast.expr) -> bool:
    """Return whether values of this type can be written in a study and checked."""
    kind, is_generic = name_of(part), isinstance(part, ast.Subscript)
    if kind == "Literal":
        return is_generic and all(
            isinstance(word, ast.Constant | ast.UnaryOp) for word in _listed(part)
        )
    if kind in _LISTS:
        return is_generic and all(map(_is_supported, _parts(part.slice)))
    return not is_generic and kind in (*_NUMBERS, *_OTHERS, "None")


def _is_finite(value: float) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


def _holds_numbers(part: ast.expr) -> bool:
    kind = name_of(part)
    return any(map(_holds_numbers, _parts(part.slice))) if kind in _LISTS else kind in _NUMBERS


def _listed(literal: ast.Subscript) -> list[ast.expr]:
    return literal.slice.elts if isinstance(literal.slice, ast.Tuple) else [literal.slice]


def _words(literal: ast.Subscript) -> list[Any]:
    """Return the words of an annotation `Literal["this", "that"]`."""
    return [ast.literal_eval(word) for word in _listed(literal)]
