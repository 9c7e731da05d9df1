"""What a figure shows to who points at it: panels as Plotly takes them, made here and drawn by the page."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

Panel = dict[str, Any]


def panel(
    title: str, traces: list[dict[str, Any]], x: Mapping[str, Any], y: Mapping[str, Any]
) -> Panel:
    """One pair of axes; x and y: the settings of each axis, its `title` a string."""
    axes = {
        f"{name}axis": {**axis, "title": {"text": axis["title"]}}
        for name, axis in (("x", x), ("y", y))
    }
    return {"data": traces, "layout": {"title": {"text": title}, **axes}}


def numbers(values: Iterable[float]) -> list[float | None]:
    """Rounded to what a screen can show; None where there is none, since JSON has no NaN.

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
    """The dotted line of who guesses or changes nothing; it says nothing when it is pointed at and has no name in the legend."""
    return {
        **line(x, y, "", "#707070", dash="dot", width=1),
        "hoverinfo": "skip",
        "showlegend": False,
    }
