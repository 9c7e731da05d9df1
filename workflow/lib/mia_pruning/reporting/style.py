"""The look of figures, fixed in one place: a colour is a defence, a marker is an attack.

It is safe for the colour-blind and legible in grey.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from mia_pruning.types import BASELINE

matplotlib.use("svg")

GREY = (0.25, 0.25, 0.25)
#: A legend's column has at most this many entries, an axis about this many marks.
MOST_NAMED, MOST_RATES = 16, 8
MARKERS = "osDv^<>PXd*hp8"
LABELS = {
    "attack_accuracy": "attack accuracy (balanced)",
    "auc": "attack AUC",
    "test_accuracy": "test accuracy",
    "tpr_at_1_percent_fpr": "true-positive rate at 1 % false positives",
    "compression": "compression (weights / non-zero weights)",
}


def apply() -> None:
    """Set the theme.

    SVG output is the same for the same data: identifiers are fixed, glyphs are paths.
    """
    sns.set_theme(context="paper", style="ticks", font_scale=1.1)
    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "mia-pruning",
            "svg.fonttype": "path",
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "legend.frameon": False,
            "figure.constrained_layout.use": True,
        }
    )


def apply_for_print() -> None:
    """Set the theme at a paper's size: text of 7 to 8 points.

    In a PDF it is set in TrueType fonts that are part of the file.
    """
    apply()
    matplotlib.rcParams.update(
        {
            "pdf.fonttype": 42,
            **dict.fromkeys(("font.size", "axes.titlesize", "axes.labelsize"), 8),
            **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 7),
            "lines.markersize": 4,
            "lines.linewidth": 1.0,
            "legend.columnspacing": 1.0,
            "legend.handletextpad": 0.4,
        }
    )


def colours(defences: list[str]) -> dict[str, tuple[float, float, float]]:
    """Return a colour for each defence, in the study's order; the baseline is dark grey.

    A palette that the colour-blind can tell apart has ten. Then come the same ten darker, and
    lighter. Then they repeat.
    """
    palette = np.array(sns.color_palette("colorblind"))
    shades = np.concatenate([palette, palette * 0.5, 1 - (1 - palette) * 0.45])
    others = [name for name in defences if name != BASELINE]
    return {
        name: GREY if name == BASELINE else tuple(shades[others.index(name) % len(shades)])
        for name in defences
    }


def web_colours(defences: list[str]) -> dict[str, str]:
    """Return the same colours as pages write them.

    >>> web_colours(["baseline"])
    {'baseline': '#404040'}
    """
    return {name: to_hex(colour) for name, colour in colours(defences).items()}


def name_beside(axis: Axes, *, ncols: int = 1, **how: Any) -> None:
    """Draw a legend to the right of the axes."""
    if entries := legend_entries(axis, MOST_NAMED * ncols):
        axis.legend(
            *zip(*entries, strict=True),
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            ncols=ncols,
            **how,
        )


def legend_entries(axis: Axes, most: int) -> list[tuple[Artist, str]]:
    """Return what a legend of the axes explains, as (handle, label).

    A last entry counts what has no room.
    """
    entries = list(zip(*axis.get_legend_handles_labels(), strict=True))
    more = len(entries) - most
    return (
        [*entries[:most], (Line2D([], [], linestyle="none", color="none"), f"and {more} more")]
        if more > 0
        else entries
    )


def mark_rates(axis: Axes, rates: Iterable[float]) -> None:
    """Make the x-axis a logarithmic one of compression with these rates as its marks.

    Where they are many, some of them are marked.
    """
    axis.set_xscale("log")
    axis.xaxis.set_minor_formatter(NullFormatter())
    shown = sorted({float(f"{rate:.3g}") for rate in rates})
    axis.set_xticks(shown[:: -(-len(shown) // MOST_RATES) or 1])
    axis.xaxis.set_major_formatter("{x:g}")


def depths(layers: list[str]) -> dict[str, tuple[float, float, float]]:
    """Return a shade for each layer, from light at the input to dark at the output."""
    return dict(zip(layers, sns.color_palette("flare", max(1, len(layers))), strict=False))


def markers(attacks: list[str]) -> dict[str, str]:
    return {attack: MARKERS[index % len(MARKERS)] for index, attack in enumerate(attacks)}


#: These are the display names of the study that is being shown, by its keys.
_NAMES: ContextVar[Mapping[str, str] | None] = ContextVar("names", default=None)


@contextmanager
def displaying(names: Mapping[str, str]) -> Iterator[None]:
    """Show keys of a study by these display names inside the block."""
    token = _NAMES.set(names)
    try:
        yield
    finally:
        _NAMES.reset(token)


def readable(name: str) -> str:
    """Return the display name of a key, or else the key as words.

    >>> readable("mia_pruning_5x")
    'mia pruning 5x'
    >>> with displaying({"mia_pruning_5x": "ADMM 5x"}):
    ...     readable("mia_pruning_5x")
    'ADMM 5x'
    """
    return (_NAMES.get() or {}).get(name, name.replace("_", " "))


def capitalised(text: str) -> str:
    """Return a text with its first letter in upper case, and the others as they are.

    >>> capitalised("loss, RMIA")
    'Loss, RMIA'
    """
    return text[:1].upper() + text[1:]


def named(row: pd.Series) -> str:
    """Return a row's defence and experiment.

    >>> named(pd.Series({"defence": "min_max", "experiment": "lenet5_mnist"}))
    'min max, lenet5 mnist'
    """
    return f"{readable(row['defence'])}, {readable(row['experiment'])}"


def in_order(table: pd.DataFrame, column: str) -> list[str]:
    """Return the distinct values of a column in order of their first row, without empty ones."""
    return [str(value) for value in table[column].dropna().unique() if str(value)]
