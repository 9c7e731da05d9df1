"""The single examples: which are the most exposed, who protects them, and whether pruning exposes others."""

import base64
import io
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import spearmanr

from mia_pruning.metrics.intervals import quantile
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import readable
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
    alike: the rank correlation of all examples' exposures with the baseline's, on different halves of the targets, with its
    interval over examples. The exposures of the most and the least exposed class are crossed over likewise.
    """
    rows = []
    of_experiment = pick(exposed, experiment=experiment)
    for defence in of_experiment["defence"].unique():
        most, alike, extremes = [], [], []
        for seed in of_experiment["seed"].unique():
            own, base = (pick(of_experiment, seed=[seed], defence=name).set_index("example") for name in (defence, BASELINE))
            if own.empty or base.empty:
                continue
            for chosen, measured in (HALVES, HALVES[::-1]):
                most.append(own[measured].loc[most_exposed(base[chosen])].to_numpy())
                alike.append(_rank_correlation(base[chosen], own[measured].loc[base.index]))
                extremes.append(_extreme_classes(own, chosen, measured))
        if most:
            n_examples = of_experiment["example"].nunique()
            rows.append({"defence": defence, **_mean_exposure(most), **_mean_correlation(alike, n_examples), **_gap(extremes)})
    return rows


def _rank_correlation(one: pd.Series, other: pd.Series) -> float:
    """NaN where either is the same for all."""
    return float(spearmanr(one, other).statistic) if min(one.nunique(), other.nunique()) > 1 else np.nan


def _mean_correlation(of_halves: list[float], n_examples: int) -> dict[str, float]:
    """With the interval of one of them, on Fisher's scale with the variance of a rank correlation (Bonett and Wright 2000)."""
    mean = float(np.mean(of_halves))
    half = quantile(np.inf) * np.sqrt((1 + mean**2 / 2) / max(n_examples - 3, 1))
    low, high = np.tanh(np.arctanh(np.clip(mean, -1 + 1e-12, 1 - 1e-12)) + np.array([-half, half]))
    return {"alike": mean, "alike_low": float(low), "alike_high": float(high)}


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


def _extreme_classes(own: pd.DataFrame, chosen: str, measured: str) -> dict[str, tuple[int, float]]:
    """The most and the least exposed class of one half of the targets, and their mean exposure on the other."""
    choosing, measuring = (own[half].groupby(own["label"]).mean() for half in (chosen, measured))
    return {
        name: (int(label), float(measuring[label])) for name, label in (("most", choosing.idxmax()), ("least", choosing.idxmin()))
    }


def _gap(extremes: list[dict[str, tuple[int, float]]]) -> dict[str, Any]:
    return {
        f"{name}_exposed_class": (
            list(dict.fromkeys(found[name][0] for found in extremes)),
            float(np.mean([found[name][1] for found in extremes])),
        )
        for name in ("most", "least")
    }


def lasting(rows: list[dict[str, Any]]) -> str:
    """Whether defences expose other examples than the baseline does, as a sentence; rows: of `exposed_examples`.

    Two halves of the baseline's own models agree as far as luck lets any two; what a defence keeps of that is how far it exposes
    the same examples.

    >>> own, other = {"defence": "baseline", "alike": 0.4, "alike_low": 0.3}, {"defence": "pruned", "alike": 0.3}
    >>> lasting([own, other])
    "Halves of the baseline's models agree on who is exposed by a rank correlation of 0.400; pruned keeps 75 % of it."
    >>> lasting([{**own, "alike_low": -0.1}, other])
    "Halves of the baseline's models do not agree on who is exposed (rank correlation 0.400), so nothing can be said of others."
    """
    own = next(row for row in rows if row["defence"] == BASELINE)
    others = [row for row in rows if row["defence"] != BASELINE and np.isfinite(row["alike"])]
    if not own["alike_low"] > 0:
        return (
            f"Halves of the baseline's models do not agree on who is exposed (rank correlation {own['alike']:.3f}), "
            "so nothing can be said of others."
        )
    kept = listed([f"{readable(row['defence'])} keeps {round(100 * row['alike'] / own['alike'])} %" for row in others])
    return f"Halves of the baseline's models agree on who is exposed by a rank correlation of {own['alike']:.3f}" + (
        f"; {kept} of it." if kept else "."
    )


def shown_examples(exposed: pd.DataFrame, experiment: str, images: np.ndarray, class_names: list[str]) -> list[dict[str, Any]]:
    """The most exposed examples of the baseline, as pictures."""
    labels = pick(exposed, experiment=experiment, defence=BASELINE).groupby("example")["label"].first()
    exposure = baseline_exposure(exposed, experiment).sort_values(ascending=False, kind="stable")[:SHOWN]
    return [
        {"picture": picture(images[example]), "label": class_names[labels[example]], "exposure": value, "row": example}
        for example, value in exposure.items()
    ]


def baseline_exposure(exposed: pd.DataFrame, experiment: str) -> pd.Series:
    """Of each example on the baseline under the first seed, the mean of both halves of the targets."""
    rows = pick(exposed, experiment=experiment, defence=BASELINE)
    return rows[rows["seed"] == rows["seed"].min()].set_index("example")[[*HALVES]].mean(axis=1)


def picture(image: np.ndarray) -> str:
    """A PNG as a data URI, of (height, width, channels) uint8; pixels stay squares."""
    drawn = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    scale = max(1, IMAGE_PIXELS // max(drawn.size))
    buffer = io.BytesIO()
    drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
