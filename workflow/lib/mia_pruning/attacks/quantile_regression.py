"""Quantile regression (Bertran et al., NeurIPS 2023): how high would the target's answer be, had it not seen the image?

A regression on the image and its label predicts quantiles of the target's own margin on a population that it was not trained on;
shadow models set the threshold of the guess alone. Differs: boosted trees on the principal components of the pixels stand for the
paper's network, and the excess over the median is measured in the spread that is predicted for the example.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import HistGradientBoostingRegressor

from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: a spread below it is taken as it, in nats of log-odds
LEAST_SPREAD = 0.1
#: that scikit-learn's trees tell apart
MOST_CATEGORIES = 255


@attack(images=True)
def quantile_regression(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    quantile: Annotated[float, "> 0.5, < 1"] = 0.9,
    n_components: Annotated[int, ">= 1"] = 20,
    n_trees: Annotated[int, ">= 1"] = 60,
    n_threshold_shadows: Annotated[int, ">= 1"] = 2,
) -> np.ndarray:
    """(margin - its predicted median) / (predicted quantile - median), less the threshold that is best on so many shadows."""
    seed = int(rng.integers(1 << 31))
    of_population = _flat(targets.population_images)
    pixels = PCA(min(n_components, *of_population.shape), svd_solver="randomized", random_state=seed).fit(of_population)
    described = [
        np.column_stack([pixels.transform(_flat(images)), labels])
        for images, labels in ((targets.population_images, targets.population_labels), (targets.images, targets.labels))
    ]

    def excess(signals: Signals, row: int) -> np.ndarray:
        on_population = label_log_odds(signals.population[row].astype(np.float64), signals.population_labels)
        median, high = (_regressed(*described, on_population, level, n_trees, seed) for level in (0.5, quantile))
        on_pool = label_log_odds(signals.logits[row].astype(np.float64), signals.labels)
        return (on_pool - median) / np.maximum(high - median, LEAST_SPREAD)

    return np.stack([excess(targets, row) for row in range(len(targets.logits))]) - _threshold(
        excess, shadows, n_threshold_shadows
    )


def _threshold(excess: Callable[[Signals, int], np.ndarray], shadows: Signals, n_shadows: int) -> float:
    rows = range(min(n_shadows, len(shadows.logits)))
    scores = np.concatenate([excess(shadows, row)[shadows.candidates[row]] for row in rows])
    return best_threshold(scores, np.concatenate([shadows.membership[row, shadows.candidates[row]] for row in rows]))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255


def _regressed(known: np.ndarray, asked: np.ndarray, values: np.ndarray, level: float, n_trees: int, seed: int) -> np.ndarray:
    """The quantile's prediction at `asked`. The label, the last column, is a category; beyond what trees tell apart, a number."""
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
