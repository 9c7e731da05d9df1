"""The tables of docs/CONFIGURATION.md and docs/PLUG_INS.md, from the schema and the plug-ins.

Templates in docs/findings/ lay them out; `make docs` writes the pages.
"""

from collections.abc import Iterator, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

import yaml

from mia_pruning.declarations import PlugIn
from mia_pruning.options import Option
from mia_pruning.plug_ins import default_of, stated_traits
from mia_pruning.registry import PACKAGES, catalogue
from mia_pruning.study.schema import SCHEMA
from mia_pruning.traits import traits_of

#: A node is a part of a JSON schema.
Node = Mapping[str, Any]
#: These words stand for the types of JSON schema.
TYPES = {"integer": "whole number", "number": "number", "string": "text", "object": "mapping"}
#: These signs stand for the bounds of JSON schema.
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


@dataclass(frozen=True)
class Key:
    """A key of the configuration, `<name>` standing for a name of the user's choice."""

    path: str
    takes: str
    default: str
    about: str

    @property
    def section(self) -> str:
        """Return the key at the top that it stands under, or is."""
        return self.path.partition(".")[0]


def configuration() -> dict[str, list[Key]]:
    """Return the keys of the configuration by section.

    Those that have no keys below them come first.
    """
    keys = list(keys_of(yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))))
    names = dict.fromkeys(key.section for key in keys if "." in key.path)
    sections = {name: [key for key in keys if key.section == name] for name in names}
    return {"study": [key for key in keys if key.section not in names], **sections}


def keys_of(schema: Node) -> Iterator[Key]:
    """Yield the keys that a schema describes, each before those below it."""
    yield from _keys_below(schema, schema.get("$defs", {}), "")


def _keys_below(node: Node, definitions: Node, above: str) -> Iterator[Key]:
    node = _resolved(node, definitions)
    for name, found in node.get("properties", {}).items():
        entry = _resolved(found, definitions)
        takes = describe_type(entry, definitions)
        default = describe_default(entry, required=name in node.get("required", ()))
        yield Key(above + name, takes, default, entry["description"])
        yield from _keys_below(entry, definitions, f"{above}{name}.")
    if isinstance(named := node.get("additionalProperties"), Mapping):
        yield from _keys_below(named, definitions, f"{above}<name>.")


def _resolved(node: Node, definitions: Node) -> dict[str, Any]:
    """Return the node with what its reference stands for; its own keys win."""
    name = node.get("$ref", "").removeprefix("#/$defs/")
    return {**(definitions[name] if name else {}), **node}


def describe_type(node: Node, definitions: Node) -> str:
    """Describe what a key takes.

    >>> describe_type({"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 1}, {})
    'list of a, b, not empty'
    >>> describe_type({"type": "integer", "minimum": 2}, {})
    'whole number >= 2'
    """
    node = _resolved(node, definitions)
    if "allowed" in node:
        return node["allowed"]
    if "enum" in node:
        return ", ".join(map(str, node["enum"]))
    if node["type"] == "array":
        items = describe_type(node["items"], definitions)
        limits = {"minItems": ", not empty", "uniqueItems": ", each once"}
        return f"list of {items}" + "".join(limits[name] for name in limits if node.get(name))
    if "pattern" in node:
        return "name"
    bounds = [f"{sign} {node[bound]}" for bound, sign in BOUNDS.items() if bound in node]
    return " ".join([TYPES[node["type"]], ", ".join(bounds)]).strip()


def describe_default(node: Node, required: bool) -> str:
    """Describe as YAML what a key has where a study leaves it out.

    >>> describe_default({"default": ["a", "b"]}, False), describe_default({"default": "c"}, False)
    ('[a, b]', 'c')
    >>> describe_default({}, True), describe_default({}, False)
    ('required', 'none')
    """
    if "default" not in node:
        return "required" if required else "none"
    written = yaml.safe_dump(node["default"], default_flow_style=True, width=1000)
    return written.removesuffix("...\n").strip()


@dataclass(frozen=True)
class Kind:
    """A kind of plug-in: its folder, what its traits mean, and the plug-ins."""

    name: str
    folder: str
    traits: tuple[Field, ...]
    plug_ins: list[PlugIn]


def kinds() -> Iterator[Kind]:
    """Yield every kind of plug-in."""
    for name, package in PACKAGES.items():
        folder = f"workflow/lib/{package.replace('.', '/')}"
        yield Kind(name, folder, fields(traits_of(name)), list(catalogue(name).values()))


def rows_of(plug_in: PlugIn) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield rows of a plug-in's name, traits, option, what it takes and its default.

    There is one row for each option, or one alone. Name and traits stand in the first row.
    """
    first = (f"`{plug_in.name}`", ", ".join(f"`{trait}`" for trait in stated_traits(plug_in)))
    options = map(_cells, plug_in.options.values())
    for i, option in enumerate(list(options) or [("", "", "")]):
        yield (*(first if i == 0 else ("", "")), *option)


def _cells(option: Option) -> tuple[str, str, str]:
    return f"`{option.name}`", f"`{option.allowed}`", f"`{default_of(option)}`"
