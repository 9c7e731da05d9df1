"""Parts that a section of the page is made of.

`kind` names the macro of parts.html.j2 that draws a part. Text may be `Markup`, which the page
takes as it is. All other text is escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from markupsafe import Markup

from mia_pruning.reporting.interactive import Panel
from mia_pruning.reporting.page.table import Table

Part = Any


@dataclass(frozen=True)
class Text:
    """A paragraph.

    look: a style of the page, such as `note` or `failed`; strong: what it begins with.
    """

    kind: ClassVar = "text"
    text: str
    look: str = ""
    strong: str = ""


@dataclass(frozen=True)
class Heading:
    """A heading within a section. anchor: what a link leads to."""

    kind: ClassVar = "heading"
    text: str
    anchor: str = ""


@dataclass(frozen=True)
class Listing:
    kind: ClassVar = "listing"
    items: Sequence[str]


@dataclass(frozen=True)
class Facts:
    """Names with their values."""

    kind: ClassVar = "facts"
    pairs: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Code:
    kind: ClassVar = "code"
    text: str


@dataclass(frozen=True)
class Faces:
    """Pictures of examples, each with its label and its exposure above chance."""

    kind: ClassVar = "faces"
    examples: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Figure:
    """A figure of the page.

    data: the drawing as an address; csv: its table, unless that is too large for the page;
    columns: what the table holds; sizes: how much stands behind the numbers.
    """

    kind: ClassVar = "figure"
    name: str
    heading: str
    data: str
    csv: str | None
    finding: str
    caption: str
    columns: str
    sizes: str
    interactive: Sequence[Panel] = ()


@dataclass(frozen=True)
class Fold:
    """Parts that are read on demand."""

    kind: ClassVar = "fold"
    summary: str
    parts: Sequence[Part]


@dataclass(frozen=True)
class Section:
    """A part of the page with a heading and a link to it. label: the link's text."""

    anchor: str
    label: str
    heading: str
    parts: Sequence[Part]
    intro: str = ""


def noted(table: Table | None, note: str) -> list[Table]:
    """Return the table with a note to be read below it; nothing where there is no table.

    The note comes after what the table says itself.
    """
    if table is None:
        return []
    return [replace(table, note=Markup(" ").join(filter(None, (table.note, note))))]


def given(*parts: Part | None) -> list[Part]:
    """Return those of the parts that the study has."""
    return [part for part in parts if part is not None]
