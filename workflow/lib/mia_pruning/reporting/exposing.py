"""The most exposed single examples, and whether a defence protects them or exposes other ones."""

import base64
import io
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from mia_pruning.metrics.exposure import NO_LEAK
from mia_pruning.metrics.intervals import quantile
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import readable
from mia_pruning.reporting.tables import pick
from mia_pruning.types import BASELINE

#: This share of the examples counts as the most exposed; this many examples are shown.
MOST_EXPOSED, SHOWN = 0.01, 12
IMAGE_PIXELS = 84
HALVES = ("first_half", "second_half")
NO_LEAK_HALVES = tuple(f"no_leak_{half}" for half in HALVES)
#: Luck alone leaves 98 % of all exposures between these quantiles.
LUCK = (0.01, 0.99)


def exposed_examples(exposed: pd.DataFrame, experiment: str) -> list[dict[str, Any]]:
    """Return one row a defence, over seeds.

    All exposures are minus `NO_LEAK`, so that 0 is chance. most, low, high: the mean exposure of
    the examples that were the most exposed on the baseline, with its interval. They are chosen on
    one half of the targets and measured on the other, then the other way around, so that luck in
    the choice is none in the measure. The exposures of the most and the least exposed class are
    crossed over likewise.
    """
    rows = []
    of_experiment = pick(exposed, experiment=experiment)
    for defence in of_experiment["defence"].unique():
        most, extremes = [], []
        for seed in of_experiment["seed"].unique():
            own, base = (
                pick(of_experiment, seed=[seed], defence=name).set_index("example")
                for name in (defence, BASELINE)
            )
            if own.empty or base.empty:
                continue
            for chosen, measured in (HALVES, HALVES[::-1]):
                most.append(own[measured].loc[most_exposed(base[chosen])].to_numpy())
                extremes.append(_extreme_classes(own, chosen, measured))
        if most:
            rows.append({"defence": defence, **_mean_exposure(most), **_gap(extremes)})
    return rows


def most_exposed(exposure: pd.Series) -> pd.Index:
    """Return the share of examples with the highest exposure; of equals the first."""
    n = max(1, round(MOST_EXPOSED * len(exposure)))
    return exposure.sort_values(ascending=False, kind="stable").index[:n]


def _mean_exposure(parts: list[np.ndarray]) -> dict[str, Any]:
    """Return the mean exposure minus `NO_LEAK`, its interval and the number of examples.

    Both measures of an example are no two examples: the interval takes as many as one half's
    choice has.
    """
    values = np.concatenate(parts)
    n = len(values) // 2
    half = quantile(n - 1) * values.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    excess = float(values.mean()) - NO_LEAK
    low, high = max(-NO_LEAK, excess - half), min(NO_LEAK, excess + half)
    return {"most": excess, "low": low, "high": high, "n": n}


def _extreme_classes(own: pd.DataFrame, chosen: str, measured: str) -> dict[str, tuple[int, float]]:
    """Return the most and the least exposed class of one half of the targets.

    Each comes with its mean exposure on the other half.
    """
    choosing, measuring = (own[half].groupby(own["label"]).mean() for half in (chosen, measured))
    return {
        name: (int(label), float(measuring[label]))
        for name, label in (("most", choosing.idxmax()), ("least", choosing.idxmin()))
    }


def _gap(extremes: list[dict[str, tuple[int, float]]]) -> dict[str, Any]:
    return {
        f"{name}_exposed_class": (
            list(dict.fromkeys(found[name][0] for found in extremes)),
            float(np.mean([found[name][1] for found in extremes])) - NO_LEAK,
        )
        for name in ("most", "least")
    }


def shared_exposure(correlations: pd.DataFrame) -> str:
    """Say which defences expose the same examples as the baseline.

    correlations: one experiment's rows.

    >>> own, pruned, private = ("baseline", 1, 1, 1), ("pruned", 0.98, 0.95, 1), ("private", None, None, None)
    >>> columns = ["defence", "value", "low", "high"]
    >>> print(shared_exposure(pd.DataFrame([own, pruned, private], columns=columns)))
    Correlation of exposures with the baseline's: pruned 0.98 (0.95 to 1.00). For private it cannot be told.

    Where the interval ends below 1 the sentence does not say that the order differs: the same
    order under a weaker leak reads 0.92 to 1 where few examples carry most of the exposure
    (simulated).
    """
    is_own = correlations["defence"] == BASELINE
    own, others = correlations[is_own], correlations[~is_own]
    if own["value"].isna().all():
        reason = "Pairs of the baseline's own models do not agree on which examples are exposed"
        return f"{reason}, so it cannot be told of any defence."
    known = others["value"].notna()
    values = [
        f"{readable(row.defence)} {row.value:.2f} ({row.low:.2f} to {row.high:.2f})"
        for row in others[known].itertuples()
    ]
    sentences = {
        "Correlation of exposures with the baseline's: {}.": values,
        "For {} it cannot be told.": [*map(readable, others[~known]["defence"])],
    }
    said = [sentence.format(listed(names)) for sentence, names in sentences.items() if names]
    return " ".join(said)


def shown_examples(
    exposed: pd.DataFrame, experiment: str, images: np.ndarray, class_names: list[str]
) -> list[dict[str, Any]]:
    """Return the most exposed examples of the baseline as pictures.

    `excess` is their exposure minus `NO_LEAK`.
    """
    labels = (
        pick(exposed, experiment=experiment, defence=BASELINE).groupby("example")["label"].first()
    )
    ordered = baseline_exposure(exposed, experiment).sort_values(ascending=False, kind="stable")
    return [
        {
            "picture": picture(images[example]),
            "label": class_names[labels[example]],
            "excess": value - NO_LEAK,
            "row": example,
        }
        for example, value in ordered[:SHOWN].items()
    ]


def baseline_exposure(
    exposed: pd.DataFrame,
    experiment: str,
    halves: Sequence[str] = HALVES,
) -> pd.Series:
    """Return each example's exposure on the baseline under the first seed.

    It is the mean of both halves of the targets. halves: `NO_LEAK_HALVES` for what luck alone
    gives.
    """
    rows = pick(exposed, experiment=experiment, defence=BASELINE)
    return rows[rows["seed"] == rows["seed"].min()].set_index("example")[[*halves]].mean(axis=1)


def picture(image: np.ndarray) -> str:
    """Return an image as a PNG in a data URI; pixels stay squares.

    image: uint8 of (height, width, channels).
    """
    drawn = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    scale = max(1, IMAGE_PIXELS // max(drawn.size))
    buffer = io.BytesIO()
    drawn.resize((drawn.width * scale, drawn.height * scale), Image.Resampling.NEAREST).save(
        buffer, format="PNG"
    )
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
