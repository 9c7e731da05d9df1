"""Interactive panels, which answer a reader who points at a figure.

They are made here as Plotly takes them, and drawn by the page.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Panel = dict[str, Any]


def panel(
    title: str, traces: list[dict[str, Any]], x: Mapping[str, Any], y: Mapping[str, Any]
) -> Panel:
    """Return one pair of axes. x, y: the settings of each axis, its `title` a string."""
    axes = {
        f"{name}axis": {**axis, "title": {"text": axis["title"]}}
        for name, axis in (("x", x), ("y", y))
    }
    return {"data": traces, "layout": {"title": {"text": title}, **axes}}


def numbers(values: Iterable[float]) -> list[float | None]:
    """Return numbers rounded to what a screen can show; None where there is none.

    JSON has no NaN.

    >>> numbers([0.123456789, float("nan")])
    [0.123457, None]
    """
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in map(float, values)]


def line(
    x: Iterable[float], y: Iterable[float], name: str, colour: str, **more: Any
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": numbers(x),
        "y": numbers(y),
        "name": name,
        "line": {"color": colour, **more},
    }


def dotted(x: list[float], y: list[float]) -> dict[str, Any]:
    """Return the dotted line of guessing, or of a defence that changes nothing.

    It says nothing when it is pointed at, and has no name in the legend.
    """
    return {
        **line(x, y, "", "#707070", dash="dot", width=1),
        "hoverinfo": "skip",
        "showlegend": False,
    }
