"""A drawn figure made to fit a paper: as wide as one column or both, one legend for all panels.

Text has 7 to 8 points. Figures know nothing of it. They are drawn once more with
`style.apply_for_print` in force, and the layout of what they drew is changed here.
"""

import textwrap

from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.text import Text

from mia_pruning.reporting.style import legend_entries

#: A column of the usual two-column page, and the page, have these widths in inches.
COLUMN, PAGE = 3.35, 7.0
#: Up to this many panels stand one above the other; more take the page's width.
MOST_IN_A_COLUMN = 2
#: A panel's height is this share of its width, but at least this many inches.
PROPORTION, LOWEST = 0.7, 1.45
POINTS_PER_INCH = 72
#: Labels between the main ones of a logarithmic axis have this size in points.
MINOR_POINTS = 6
#: A letter is this wide on average, as a share of the size of its font.
LETTER_WIDTH = 0.55
#: A panel's legend may bring at most this many entries.
MOST_ENTRIES = 24
Entry = tuple[Artist, str]


def fit_to_paper_(figure: Figure) -> None:
    """Change the layout of a figure in place to fit a paper.

    The panels are rearranged, one legend goes outside them all, and text that is too long for its
    panel is broken.
    """
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
    """Return rows and columns on paper for so many on the page.

    >>> grid_for(1, 1), grid_for(1, 2), grid_for(1, 3), grid_for(3, 4)
    ((1, 1), (2, 1), (2, 2), (3, 4))
    """
    n_panels = n_rows * n_columns
    if n_panels <= MOST_IN_A_COLUMN:
        return n_panels, 1
    return (-(-n_panels // 2), 2) if n_rows == 1 else (n_rows, n_columns)


def _restack_(figure: Figure) -> tuple[int, int]:
    """Rearrange the panels and return the new numbers of rows and columns.

    A panel that leaves its row shows the labels that it shared with it.
    """
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
    """Remove the panels' legends and return what they explain, each thing once."""
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
    """Return what tells equal labels apart.

    Layers of one name have other shades in a deeper network.
    """
    line = handle[0] if isinstance(handle, tuple) else handle
    return str(line.get_edgecolor() if hasattr(line, "get_edgecolor") else line.get_color())


def _put_legend_outside_(figure: Figure, entries: list[Entry]) -> float:
    """Draw the legend and return its height in inches.

    It stands below, or above if the figure has a label below, in as many columns as fit.

    Raises:
        ValueError: there are no entries.
    """
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
