"""The likelihood ratios of RMIA, p(x | target) / p(x), in log space: arrays in, arrays out.

A network that memorises gives members p near 1, and some non-members p near 0. Ratios that differ
would be equal where p is rounded to either end. So p is held as log-odds, and a mean of p together
with the mean of 1 - p.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np
from scipy.special import expit

from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.thresholds import of_label

#: The Taylor softmax has terms up to this degree and subtracts this margin from the logit of the
#: label.
TAYLOR_DEGREE, TAYLOR_MARGIN = 4, 0.6
#: Log-odds beyond this are cut off, so that both p and 1 - p stay above the least float64.
LARGEST_LOG_ODDS = 700.0


def log_odds(
    logits: np.ndarray,
    labels: np.ndarray,
    *,
    softmax: str,
    temperature: float,
) -> np.ndarray:
    """Return log p - log(1 - p) of the label, shape (...).

    logits (..., n_classes) are divided by the temperature first. With the softmax `plain`, p is
    proportional to exp(logit). With `taylor`, the soft-margin Taylor softmax of Zarifzadeh et
    al. (ICML 2024), it is proportional to the Taylor polynomial of exp, and the logit of the
    label is reduced by a margin. This polynomial rises again for large negative logits: at -10
    it has half the value that it has at +10.

    Differs: the authors' release (ml_privacy_meter, research/2024_rmia) sums four terms, up to
    degree 3. That sum is negative below -1.6, where it is no probability. Degree 4, the order
    that the release names, is positive everywhere.
    """
    scaled = logits.astype(np.float64) / temperature
    if softmax == "plain":
        odds = label_log_odds(scaled, labels)
    else:
        is_label = np.arange(scaled.shape[-1]) == np.asarray(labels)[..., np.newaxis]
        rest = np.where(is_label, 0.0, taylor(scaled)).sum(axis=-1)
        odds = np.log(taylor(of_label(scaled, labels) - TAYLOR_MARGIN)) - np.log(rest)
    return np.clip(odds, -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS)


def taylor(values: np.ndarray) -> np.ndarray:
    """Return the Taylor polynomial of exp around 0, of degree 4.

    It is positive for every real number, as an even degree is.

    >>> taylor(np.array([0.0, 1.0, -10.0])).round(3).tolist()
    [1.0, 2.708, 291.0]
    """
    found = np.zeros_like(values)
    for degree in range(TAYLOR_DEGREE, -1, -1):
        found = found * values + 1 / factorial(degree)
    return found


@dataclass(frozen=True)
class Means:
    """Means of p and of 1 - p over some models, (..., n_examples); NaN where there is no model."""

    p: np.ndarray
    rest: np.ndarray

    @classmethod
    def of(cls, odds: np.ndarray, chosen: np.ndarray, models: np.ndarray) -> "Means":
        """Return means (n_means, n_examples) of log-odds (n_models, n_examples), where chosen.

        models (n_means, n_models) bool says which models each mean is over.
        """
        weights, kept = models.astype(np.float64), chosen.astype(np.float64)
        count = weights @ kept
        sums = (weights @ (expit(signed) * kept) for signed in (odds, -odds))
        missing = np.where(count > 0, 1.0, np.nan)
        return cls(*(missing * total / np.maximum(count, 1.0) for total in sums))

    def __add__(self, other: "Means") -> "Means":
        """Return the means of both, with equal weight."""
        return Means((self.p + other.p) / 2, (self.rest + other.rest) / 2)

    def corrected(self, a: float) -> "Means":
        """Return means over models trained on the example or not, estimated from the latter.

        A model that was trained on it is taken to have a p + 1 - a where the latter have p. So
        the mean is ((1 + a) p + 1 - a) / 2 (Zarifzadeh et al., ICML 2024). With a = 1 nothing
        changes.
        """
        return Means((1 + a) / 2 * self.p + (1 - a) / 2, (1 + a) / 2 * self.rest)


def log_ratio(odds: np.ndarray, expected: Means) -> np.ndarray:
    """Return log p - log of the expected p, from log-odds (..., n_examples).

    >>> nearly_one = Means(np.array([1.0, 1.0]), np.array([1e-20, 1e-20]))
    >>> ratios = log_ratio(np.array([40.0, 50.0]), nearly_one)
    >>> bool(ratios[0] < ratios[1])
    True
    """
    return np.log1p(expected.rest / expected.p) - np.logaddexp(0.0, -odds)


def majority(ratios: np.ndarray) -> np.ndarray:
    """Return the largest value that more than half of the queries reach, along the first axis.

    An example beats z by the majority of its queries exactly if this value does. It is the
    median, and of an even number the lower one: the authors count a tie of the votes as a loss.

    >>> majority(np.array([[1.0], [4.0], [2.0], [3.0]])), majority(np.array([[1.0], [4.0], [2.0]]))
    (array([2.]), array([2.]))
    """
    middle = (len(ratios) - 1) // 2
    return np.partition(ratios, middle, axis=0)[middle]


def share_beaten(ratios: np.ndarray, of_population: np.ndarray, gamma: float) -> np.ndarray:
    """Return the share of the population (m,) that each log-ratio (n,) exceeds by over log gamma.

    Among equal shares the higher ratio scores higher, by less than 1 / (2 m): by its position
    between the two ratios of the population around it. So the scores are ordered as the ratios
    are, however small the population is. NaN for NaN.

    >>> share_beaten(np.log([0.5, 1.0, 3.0, 9.0]), np.log([1.0, 0.2, 2.0]), gamma=1.0).round(2)
    array([0.43, 0.5 , 1.02, 1.07])
    """
    if np.isnan(of_population).any():
        return np.full(ratios.shape, np.nan)
    beaten = np.sort(of_population + np.log(gamma))
    n_beaten = np.searchsorted(beaten, ratios, side="left")
    shares = (n_beaten + _place(ratios, beaten, n_beaten) / 2) / beaten.size
    return np.where(np.isnan(ratios), np.nan, shares)


def _place(ratios: np.ndarray, beaten: np.ndarray, n_beaten: np.ndarray) -> np.ndarray:
    """Return a number that rises from 0 to 1 with the ratio, between two of the population.

    Below the lowest and above the highest of the population it depends on the distance to it.
    """
    spread = beaten[-1] - beaten[0] or 1.0
    below = beaten[np.maximum(n_beaten - 1, 0)]
    above = beaten[np.minimum(n_beaten, beaten.size - 1)]
    with np.errstate(divide="ignore", invalid="ignore"):
        between = (ratios - below) / (above - below)
    over_all = (ratios - below) / (spread + np.abs(ratios - below))
    under_all = spread / (spread + np.abs(above - ratios))
    return np.where(n_beaten == 0, under_all, np.where(n_beaten == beaten.size, over_all, between))
