"""`make plug-ins`: prints every built-in plug-in with its options, ranges, defaults and traits."""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import fields

from mia_pruning.declarations import PlugIn
from mia_pruning.options import REQUIRED, Option
from mia_pruning.registry import PACKAGES, catalogue, faults
from mia_pruning.traits import traits_of


def main() -> int:
    parser = argparse.ArgumentParser(prog="plug-ins", description=__doc__)
    kinds = parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(PACKAGES))
    chosen = parser.parse_args().kinds or list(PACKAGES)
    if unknown := [kind for kind in chosen if kind not in PACKAGES]:
        parser.error(f"argument {kinds.metavar}: {unknown[0]!r}; allowed are {kinds.help}")
    print("\n\n".join("\n".join(describe_kind(kind)) for kind in chosen))
    return 0


def describe_kind(kind: str) -> Iterator[str]:
    """Yield the lines about a kind: what its traits mean, then each plug-in."""
    yield f"{kind}, in {PACKAGES[kind].replace('.', '/')}"
    for trait in fields(traits_of(kind)):
        yield f"  trait {trait.name}: {trait.metadata['about']} (default {trait.default!r})"
    for plug_in in catalogue(kind).values():
        yield ""
        yield from describe_plug_in(plug_in)
    for faulty in faults(kind).values():
        yield ""
        yield f"  {faulty.name} cannot be used: {faulty}"


def describe_plug_in(plug_in: PlugIn) -> Iterator[str]:
    """Yield the lines about one plug-in: its name, the traits that it states, its options."""
    stated = stated_traits(plug_in)
    yield f"  {plug_in.name}" + (f" ({', '.join(stated)})" if stated else "")
    for option in plug_in.options.values():
        yield f"    {describe_option(option)}"


def stated_traits(plug_in: PlugIn) -> list[str]:
    """List a plug-in's traits that differ from their defaults, as its decorator states them."""
    return [
        f"{trait.name}={getattr(plug_in.traits, trait.name)!r}"
        for trait in fields(plug_in.traits)
        if getattr(plug_in.traits, trait.name) != trait.default
    ]


def describe_option(option: Option) -> str:
    """Describe an option in a line: its name, what it takes and its default.

    >>> describe_option(Option("rate", "float", ">= 0", 0.5))
    'rate: float >= 0 (default 0.5)'
    >>> describe_option(Option("file", "str", "", REQUIRED))
    'file: str (required)'
    """
    default = "" if option.default is REQUIRED else "default "
    return f"{option.name}: {option.allowed} ({default}{default_of(option)})"


def default_of(option: Option) -> str:
    """Return an option's default as Python writes it, or the word required."""
    return "required" if option.default is REQUIRED else repr(option.default)


if __name__ == "__main__":
    sys.exit(main())
