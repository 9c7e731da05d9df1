"""BASE, a Bayes-optimal attack on the loss (Lassila, Östman and Ngo, 2025, arXiv 2505.24089).

The target's loss L(x) is compared with the losses L_s(x) of shadow models on the same example:

    online   -L(x) - log mean_s exp(-L_s(x)),          over shadows inside and outside
    offline  -L(x) - scale * log mean_s exp(-L_s(x)),  over shadows outside alone

exp(-L) is the probability of the true label. So the online score is the logarithm of online RMIA's
ratio p(x | target) / p(x), without the comparison with a population. The offline scale makes up
for the missing shadows inside: their losses are near 0, which would pull the logarithm of the mean
towards 0. The formulas are those of LeakPro (aidotse/LeakPro, base.py), which cites the paper.

Differs: the mean over the shadows inside and the mean over those outside count one half each.
LeakPro takes one mean over all shadows, which is the same where as many are inside as outside.
LeakPro divides the logits by a temperature of 2 by default; here it is 1, so that L is the loss.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from mia_pruning.attacks.calibrated_loss import negative_loss
from mia_pruning.attacks.references import check_enough, pairs
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: Values and membership of shadows (n_models, n_examples) -> what is expected (n_examples,).
Expectation = Callable[[np.ndarray, np.ndarray], np.ndarray]


@attack(by_example=True, inside=True)
def base_online(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    temperature: Annotated[float, "> 0"] = 1.0,
) -> np.ndarray:
    """Log of the label's probability over its mean, minus the best threshold on the shadows.

    Shape (n_targets, n_examples). temperature: divides the logits.
    """

    def expected(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
        inside, outside = (log_mean_exp(values, chosen) for chosen in (membership, ~membership))
        with np.errstate(invalid="ignore"):  # NaN where a side is empty
            return np.logaddexp(inside, outside) - np.log(2)

    return _scores(targets, shadows, expected, temperature)


@attack(by_example=True)
def base_offline(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    scale: Annotated[float, ">= 0, <= 1"] = 0.33,
    temperature: Annotated[float, "> 0"] = 1.0,
) -> np.ndarray:
    """As `base_online`, with the mean over the shadows outside, and its logarithm times `scale`.

    scale: 0.33 is LeakPro's default; 0 gives the loss attack, 1 the ratio to the shadows outside.
    """

    def expected(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
        return scale * log_mean_exp(values, ~membership)

    return _scores(targets, shadows, expected, temperature)


def log_mean_exp(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """log mean exp(values) over the chosen models, (n_examples,), of two arrays (n_models,
    n_examples).

    NaN where no model is chosen. Each example is shifted by its largest chosen value. So nothing
    overflows, and the sum holds a 1, so its logarithm is exact to rounding.

    >>> values = np.array([[-800.0, 0.0], [-802.0, 1e4]])
    >>> log_mean_exp(values, np.array([[True, True], [True, False]])).round(3)
    array([-800.566,    0.   ])
    """
    count = chosen.sum(axis=0)
    shift = np.max(values, axis=0, where=chosen, initial=-np.inf)
    shift[count == 0] = np.nan
    terms = np.exp(values - shift, out=np.zeros(values.shape), where=chosen)
    return np.log(terms.sum(axis=0) / np.where(count > 0, count, np.nan)) + shift


def _scores(
    targets: Signals,
    shadows: Signals,
    expected: Expectation,
    temperature: float,
) -> np.ndarray:
    """Values minus what is expected, minus the threshold of the highest balanced accuracy on the
    shadows.

    Each shadow is compared with the others without its twin. The sums are computed again for each
    pair of twins: subtracting a pair's terms from the sum of all leaves only rounding where the
    pair dominates it.
    """
    values, membership = _values(shadows, temperature), shadows.membership
    scores = _values(targets, temperature) - expected(values, membership)
    of_shadows, by_others = np.empty_like(values), {}
    for row, left_out in enumerate(pairs(membership, shadows.candidates)):
        key = frozenset(left_out)
        if key not in by_others:
            kept = np.setdiff1d(np.arange(len(values)), left_out)
            by_others[key] = expected(values[kept], membership[kept])
        of_shadows[row] = values[row] - by_others[key]
    check_enough(scores, targets, of_shadows, shadows)
    known = shadows.candidates & np.isfinite(of_shadows)
    return scores - best_threshold(of_shadows[known], membership[known])


def _values(signals: Signals, temperature: float) -> np.ndarray:
    """Minus the loss, (n_models, n_examples); model by model, so that no copy of all logits is
    made."""
    logits = (of_model / np.float64(temperature) for of_model in signals.logits)
    return np.stack([negative_loss(of_model, signals.labels) for of_model in logits])
