"""The material that the sections of the page are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from mia_pruning.metrics.intervals import CONFIDENCE
from mia_pruning.reporting.page.parts import Figure

#: Every interval that is not corrected has this confidence, in percent.
PERCENT = round(100 * CONFIDENCE)


@dataclass(frozen=True)
class Source:
    """A study as the page reads it.

    settings: the configuration; reported: the same without what the results lack; figures: by
    section; datasets: the packed data's descriptions, files by name; records: those of the jobs;
    root: the project's.
    """

    settings: Mapping[str, Any]
    reported: Mapping[str, Any]
    tables: Mapping[str, pd.DataFrame]
    claims: Mapping[str, Any]
    headline: Mapping[str, str]
    figures: Mapping[str, Sequence[Figure]]
    datasets: Mapping[str, str]
    records: list[Mapping[str, Any]]
    folder: Path
    root: Path

    def figures_of(self, section: str) -> Sequence[Figure]:
        return self.figures.get(section, ())
