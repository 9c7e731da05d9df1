"""Tables of text as LaTeX, for a paper's \\input, and as Markdown.

Every character of a name stands for itself.
"""

import re
import textwrap
from collections.abc import Sequence
from functools import partial

import pandas as pd

#: The lines of a column's head are wrapped at this many letters.
HEAD_LETTERS = 12
PREAMBLE = r"""% Needs \usepackage{booktabs, array}. As wide as both columns of a two-column paper: \input it inside table*.
{\footnotesize\setlength{\tabcolsep}{2.5pt}\setlength{\extrarowheight}{2pt}%
\def\head#1{{\extrarowheight0pt\begin{tabular}[b]{@{}c@{}}#1\end{tabular}}}%
\def\stacked#1#2#3{{\extrarowheight0pt\begin{tabular}[t]{@{}#1@{}}#2\\{\scriptsize #3}\end{tabular}}}%
"""


def as_latex(table: pd.DataFrame, widths: Sequence[float] = ()) -> str:
    """Return a `tabular` with booktabs rules, to be read by \\input inside a table of the paper's.

    widths: those of the columns, as shares of the text's width; without them each is as wide as
    what stands in it, and an interval stands below its value.
    """
    paragraphs = [rf">{{\raggedright\arraybackslash}}p{{{width:g}\textwidth}}" for width in widths]
    aligned = ["l" if _is_name(table[column]) else "c" for column in table]
    styled = table.style.hide(axis="index").format(
        _latex_cells(table, bool(widths)), escape="latex"
    )
    styled = styled.format_index(_head, axis="columns", escape="latex")
    tabular = styled.to_latex(
        column_format=f"@{{}}{''.join(paragraphs or aligned)}@{{}}", hrules=True
    ).rstrip()
    return f"{PREAMBLE}{tabular}}}\n"


def in_blocks(table: pd.DataFrame, n_names: int, most: int) -> list[pd.DataFrame]:
    """Cut the table into blocks, each of which repeats the first n_names columns.

    most: the largest number of further columns in a block.
    """
    names, others = list(table.columns[:n_names]), list(table.columns[n_names:])
    return [
        table[names + others[start : start + most]] for start in range(0, max(1, len(others)), most)
    ]


def as_markdown(table: pd.DataFrame) -> str:
    """Return a table with pipes.

    >>> print(as_markdown(pd.DataFrame({"a_b": ["x|y"]})), end="")
    | a\\_b   |
    |:-------|
    | x\\|y   |
    """
    escaped = table.map(_markdown).rename(columns=_markdown)
    return escaped.to_markdown(index=False, disable_numparse=True, tablefmt="pipe") + "\n"


def _markdown(text: str) -> str:
    return re.sub(r"[\\`*_\[\]<>|~]", r"\\\g<0>", text)


def _is_name(cells: pd.Series) -> bool:
    """Return whether a column holds words: no cell of it begins with a number."""
    return not cells.str.match(r"[+-]?\d").any()


def _latex_cells(table: pd.DataFrame, wraps: bool) -> dict[str, object]:
    """Return the functions that set each column's cells, which are already escaped."""
    if wraps:
        return dict.fromkeys(table.columns, _signs)
    return {
        column: partial(_stacked, place="l" if _is_name(table[column]) else "c") for column in table
    }


def _signs(escaped: str) -> str:
    """Put minus signs, and what LaTeX's oldest fonts have only as such, as mathematical signs.

    >>> _signs("-2.7 to +0.1, mia-pruning, <5")
    '$-$2.7 to +0.1, mia-pruning, $<$5'
    """
    return re.sub(r"(?<!\w)-(?=\d)|[<>|]", r"$\g<0>$", escaped)


def _stacked(escaped: str, *, place: str) -> str:
    """Set what stands in brackets at a cell's end smaller and below the rest.

    >>> print(_stacked("0.6 (0.5 to 0.7)", place="c"))
    \\stacked{c}{0.6}{0.5 to 0.7}
    """
    found = re.fullmatch(r"(.*) \((.*)\)", _signs(escaped))
    return _signs(escaped) if found is None else rf"\stacked{{{place}}}{{{found[1]}}}{{{found[2]}}}"


def _head(escaped: str) -> str:
    lines = r"\\".join(textwrap.wrap(_signs(escaped), HEAD_LETTERS, break_long_words=False))
    return rf"\head{{{lines}}}"
