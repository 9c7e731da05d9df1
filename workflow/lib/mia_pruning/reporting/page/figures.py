"""The figures of the page, each in the section that it names."""

import base64
from collections.abc import Mapping
from pathlib import Path

from mia_pruning import storage
from mia_pruning.registry import catalogue
from mia_pruning.reporting.page.parts import Figure
from mia_pruning.reporting.style import readable
from mia_pruning.traits import FigureTraits

#: A plotted table of more bytes than this stays in its own file, beside the page.
MOST_CARRIED = 300_000


def figures_by_section(drawn: Mapping[str, str], sizes: str) -> dict[str, list[Figure]]:
    """Return the figures that were drawn, by the section's anchor, in their order.

    drawn: name -> svg, its table and words beside it.
    """
    placed: dict[str, list[Figure]] = {}
    for name in sorted(drawn, key=lambda name: (_traits(name).order, name)):
        placed.setdefault(_traits(name).section, []).append(_figure(name, Path(drawn[name]), sizes))
    return placed


def _traits(name: str) -> FigureTraits:
    return catalogue("figure")[name].traits


def _figure(name: str, svg: Path, sizes: str) -> Figure:
    table, traits = svg.with_suffix(".csv"), _traits(name)
    encoded = base64.b64encode(svg.read_bytes()).decode()
    return Figure(
        name,
        traits.heading or readable(name),
        f"data:image/svg+xml;base64,{encoded}",
        table.read_text(encoding="utf-8") if table.stat().st_size <= MOST_CARRIED else None,
        columns=traits.columns,
        sizes=sizes,
        **storage.read_json(svg.with_suffix(".json")),
    )
