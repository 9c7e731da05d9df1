"""A drawn figure made to fit a paper: the width of one column or of both, text of 7 to 8 points, one legend for all panels.

Figures know nothing of it. They are drawn once more with `style.apply_for_print` in force, and what they drew is
laid out anew here.
"""

import textwrap

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from mia_pruning.reporting.style import legend_entries

#: inches; of a column of the usual two-column page, and of the page
COLUMN, PAGE = 3.35, 7.0
#: two panels stand one above the other; more take the page's width
MOST_IN_A_COLUMN = 2
#: of a panel, against its width; inches at the least
PROPORTION, LOWEST = 0.7, 1.45
POINTS_PER_INCH = 72
#: of what stands between the labels of a logarithmic axis
MINOR_POINTS = 6
#: of a letter on average, against the size of its font
LETTER_WIDTH = 0.55
#: that a panel's legend may bring
MOST_ENTRIES = 24
Entry = tuple[Artist, str]


def fit_to_paper_(figure: Figure) -> None:
    """Lay the panels out anew, put one legend outside them all and break what is too long for its panel."""
    n_rows, n_columns = _restack_(figure)
    width = COLUMN if n_columns == 1 else PAGE
    panel = (width / n_columns, max(LOWEST, PROPORTION * width / n_columns))
    height = n_rows * panel[1]
    figure.set_size_inches(width, height)
    for axis in figure.axes:
        axis.tick_params(which="minor", labelsize=MINOR_POINTS)
        for text, room in (
            (axis.title, panel[0]),
            (axis.xaxis.label, panel[0]),
            (axis.yaxis.label, panel[1]),
        ):
            _break_(text, 0.85 * room)
    entries = _take_legends_(figure)
    if entries:
        figure.set_size_inches(width, height + _put_legend_outside_(figure, entries))


def grid_for(n_rows: int, n_columns: int) -> tuple[int, int]:
    """Rows and columns on paper for so many on the page.

    >>> grid_for(1, 1), grid_for(1, 2), grid_for(1, 3), grid_for(3, 4)
    ((1, 1), (2, 1), (2, 2), (3, 4))
    """
    n_panels = n_rows * n_columns
    if n_panels <= MOST_IN_A_COLUMN:
        return n_panels, 1
    return (-(-n_panels // 2), 2) if n_rows == 1 else (n_rows, n_columns)


def _restack_(figure: Figure) -> tuple[int, int]:
    """The new numbers of rows and columns; a panel that leaves its row shows the labels that it shared with it."""
    before = figure.axes[0].get_gridspec().get_geometry()
    after = grid_for(*before)
    if after != before:
        places = figure.add_gridspec(*after)
        for axis, place in zip(figure.axes, places, strict=False):
            axis.set_subplotspec(place)
            axis.tick_params(labelleft=True, labelbottom=True)
            axis.set_ylabel(axis.get_ylabel() or figure.axes[0].get_ylabel())
    return after


def _break_(text: Text, inches: float) -> None:
    letters = int(inches * POINTS_PER_INCH / (LETTER_WIDTH * text.get_fontsize()))
    lines = text.get_text().splitlines()
    text.set_text("\n".join(textwrap.fill(line, letters, break_long_words=False) for line in lines))


def _take_legends_(figure: Figure) -> list[Entry]:
    """What the panels' legends explain, each thing once; the panels have none afterwards."""
    found: dict[tuple, Entry] = {}
    for axis in figure.axes:
        if axis.get_legend() is not None:
            axis.get_legend().remove()
            found |= {
                (label, _colour(handle)): (handle, label)
                for handle, label in legend_entries(axis, MOST_ENTRIES)
            }
    return list(found.values())


def _colour(handle: Artist) -> str:
    """What tells equal labels apart: layers of one name have other shades in a deeper network."""
    line = handle[0] if isinstance(handle, tuple) else handle
    return str(line.get_edgecolor() if hasattr(line, "get_edgecolor") else line.get_color())


def _put_legend_outside_(figure: Figure, entries: list[Entry]) -> float:
    """The legend's height in inches. It stands below, or above if the figure has a label there, in as many columns as fit."""
    place = "outside upper center" if figure.get_supxlabel() else "outside lower center"
    for n_columns in range(len(entries), 0, -1):
        legend = figure.legend(*zip(*entries, strict=True), loc=place, ncols=n_columns)
        width, height = _inches(figure, legend)
        if width <= figure.get_figwidth() or n_columns == 1:
            return height
        legend.remove()
    raise ValueError("a legend needs entries, not none")


def _inches(figure: Figure, legend: Legend) -> tuple[float, float]:
    box = legend.get_window_extent()
    return box.width / figure.dpi, box.height / figure.dpi
