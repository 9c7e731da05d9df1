"""The single examples: which are the most exposed, who protects them, and whether pruning exposes others."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import spearmanr

from mia_pruning.metrics.intervals import quantile
from mia_pruning.reporting.tables import pick
from mia_pruning.types import BASELINE

#: the share of examples that count as the most exposed, and how many of them are shown
MOST_EXPOSED, SHOWN = 0.01, 12
IMAGE_PIXELS = 84
HALVES = ("first_half", "second_half")


def exposed_examples(exposed: pd.DataFrame, experiment: str) -> list[dict[str, Any]]:
    """One row a defence, over seeds.

    most: the mean exposure of the examples that were the most exposed on the baseline, (value, low, high). They are chosen on one
    half of the targets and measured on the other, then the other way around, so that luck in the choice is none in the measure.
    alike: the rank correlation of all examples' exposures with the baseline's, on different halves of the targets.
    """
    rows = []
    of_experiment = pick(exposed, experiment=experiment)
    for defence in of_experiment["defence"].unique():
        most, alike, of_classes = [], [], []
        for seed in of_experiment["seed"].unique():
            own, base = (pick(of_experiment, seed=[seed], defence=name).set_index("example") for name in (defence, BASELINE))
            if own.empty or base.empty:
                continue
            for chosen, measured in (HALVES, HALVES[::-1]):
                most.append(own[measured].loc[most_exposed(base[chosen])].to_numpy())
                alike.append(_rank_correlation(base[chosen], own[measured].loc[base.index]))
            of_classes.append(own[[*HALVES]].mean(axis=1).groupby(own["label"]).mean())
        if most:
            rows.append({"defence": defence, **_mean_exposure(most), "alike": float(np.mean(alike)), **_class_gap(of_classes)})
    return rows


def _rank_correlation(one: pd.Series, other: pd.Series) -> float:
    """NaN where either is the same for all."""
    return float(spearmanr(one, other).statistic) if min(one.nunique(), other.nunique()) > 1 else np.nan


def most_exposed(exposure: pd.Series) -> pd.Index:
    """The share of examples with the highest exposure; of equals the first."""
    n = max(1, round(MOST_EXPOSED * len(exposure)))
    return exposure.sort_values(ascending=False, kind="stable").index[:n]


def _mean_exposure(parts: list[np.ndarray]) -> dict[str, Any]:
    """Both measures of an example are no two examples: the interval takes as many as one half's choice has."""
    values = np.concatenate(parts)
    n = len(values) // 2
    half = quantile(n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    return {"most": float(values.mean()), "low": max(0.0, values.mean() - half), "high": min(1.0, values.mean() + half), "n": n}


def _class_gap(of_classes: list[pd.Series]) -> dict[str, Any]:
    means = pd.concat(of_classes, axis=1).mean(axis=1)
    return {
        "most_exposed_class": int(means.idxmax()),
        "its_exposure": float(means.max()),
        "least_exposed_class": int(means.idxmin()),
        "least_exposure": float(means.min()),
    }


def shown_examples(exposed: pd.DataFrame, experiment: str, images: np.ndarray, class_names: list[str]) -> list[dict[str, Any]]:
    """The most exposed examples of the baseline under the first seed, by the mean of both halves, as pictures."""
    rows = pick(exposed, experiment=experiment, defence=BASELINE)
    rows = rows[rows["seed"] == rows["seed"].min()].set_index("example")
    exposure = rows[[*HALVES]].mean(axis=1).sort_values(ascending=False, kind="stable")[:SHOWN]
    return [
        {"picture": picture(images[example]), "label": class_names[rows.loc[example, "label"]], "exposure": value, "row": example}
        for example, value in exposure.items()
    ]


def picture(image: np.ndarray) -> str:
    """A PNG as a data URI, of (height, width, channels) uint8; pixels stay squares."""
    drawn = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    scale = max(1, IMAGE_PIXELS // max(drawn.size))
    buffer = io.BytesIO()
    drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
