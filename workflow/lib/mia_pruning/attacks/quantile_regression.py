"""uantile regression (Bertran et al., NeurIPS 2023).

How high would the target's answer be, had it not seen the image? A regression on the image and
its label predicts quantiles of the target's own margin on a population that it was not trained
on. Shadow models set the threshold of the guess.

Differs: boosted trees on the principal components of the pixels replace the paper's network. The
margin, its excess over the median, and that excess over the predicted spread are parts. A poorly
predicted spread makes the last one worse than the margin alone. So the shadow models choose a
part, or teach a combination (`combining.py`).
"""

from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor

from mia_pruning.attacks.combining import Part, combined_scores, fit_with_trees
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: A smaller spread, in nats of log-odds, is replaced by this.
LEAST_SPREAD = 0.1
#: scikit-learn's trees distinguish at most this many categories.
MOST_CATEGORIES = 255


@attack(images=True, threshold_option="n_threshold_shadows")
def quantile_regression(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    quantile: Annotated[float, "> 0.5, < 1"] = 0.9,
    n_components: Annotated[int, ">= 1"] = 20,
    n_trees: Annotated[int, ">= 1"] = 60,
    n_threshold_shadows: Annotated[int, ">= 1"] = 4,
) -> np.ndarray:
    """Return the best part on the shadow models, or the learned combination, minus its threshold.

    Shape (n_targets, n_examples). The parts: the margin, which is the log-odds of the label;
    margin - its predicted median; that over (predicted quantile - median).

    n_threshold_shadows: for how many shadow models the quantiles are predicted, to choose by.
    """
    seed = int(rng.integers(1 << 31))
    of_population = _flat(targets.population_images)
    pixels = PCA(
        min(n_components, *of_population.shape), svd_solver="randomized", random_state=seed
    ).fit(of_population)
    described = [
        np.column_stack([pixels.transform(_flat(images)), labels])
        for images, labels in (
            (targets.population_images, targets.population_labels),
            (targets.images, targets.labels),
        )
    ]

    def margins(signals: Signals, row: int) -> tuple[np.ndarray, ...]:
        on_population = label_log_odds(
            signals.population[row].astype(np.float64), signals.population_labels
        )
        median, high = (
            _regressed(*described, on_population, level, n_trees, seed) for level in (0.5, quantile)
        )
        on_pool = label_log_odds(signals.logits[row].astype(np.float64), signals.labels)
        excess = on_pool - median
        return on_pool, excess, excess / np.maximum(high - median, LEAST_SPREAD)

    n_asked = min(n_threshold_shadows, len(shadows.logits))
    asked = shadows.of_models(slice(n_asked), shadows.membership[:n_asked])
    of_targets, of_shadows = (
        np.moveaxis([margins(signals, row) for row in range(len(signals.logits))], 1, 0)
        for signals in (targets, asked)
    )
    names = ("margin", "margin above its median", "the same over its spread")
    parts = [Part(*part) for part in zip(names, of_targets, of_shadows, strict=True)]
    return combined_scores(parts, targets, asked, fit=fit_with_trees(seed))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _regressed(
    known: np.ndarray, asked: np.ndarray, values: np.ndarray, level: float, n_trees: int, seed: int
) -> np.ndarray:
    """Return the quantile's prediction at `asked`.

    The label, the last column, is a category, or a number where there are too many classes.
    """
    trees = HistGradientBoostingRegressor(
        loss="quantile",
        quantile=level,
        max_iter=n_trees,
        max_leaf_nodes=8,
        early_stopping=False,
        categorical_features=[known.shape[1] - 1] if known[:, -1].max() < MOST_CATEGORIES else None,
        random_state=seed,
    )
    return trees.fit(known, values).predict(asked)
