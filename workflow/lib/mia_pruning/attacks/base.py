"""BASE, a Bayes-optimal attack on the loss (Lassila, Östman and Ngo, 2025, arXiv 2505.24089).

The target's loss L(x) is compared with the losses L_s(x) of shadow models on the same example:

    online   -L(x) - log mean_s exp(-L_s(x)),          over shadows inside and outside
    offline  -L(x) - scale * log mean_s exp(-L_s(x)),  over shadows outside alone

exp(-L) is the probability of the true label. So the online score is the logarithm of online RMIA's
ratio p(x | target) / p(x), without the comparison with a population. The offline scale makes up
for the missing shadows inside: their losses are near 0, which would pull the logarithm of the mean
towards 0. The formulas are those of LeakPro (aidotse/LeakPro, base.py), which cites the paper.

`auto` is chosen on the shadow models: the value with the highest AUC. Each is attacked by the
other ones without its twin. A scale near 1 suits networks that hardly memorise.

Differs: LeakPro fixes the scale at 0.33, and the temperature, by which logits are divided, at 2.
The mean over the shadows inside and the mean over those outside count one half each. LeakPro takes
one mean over all shadows, which is the same where as many are inside as outside.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Literal, NamedTuple

import numpy as np

from mia_pruning.attacks.calibrated_loss import negative_loss
from mia_pruning.attacks.choosing import TEMPERATURES, best_on_shadows, grid
from mia_pruning.attacks.references import check_enough, pairs
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.registry import attack
from mia_pruning.types import Signals

#: `auto` chooses among these scales.
SCALES = tuple(step / 10 for step in range(11))
#: An expectation takes values and membership of shadows (n_models, n_examples). It returns the
#: expected values (n_examples,).
Expectation = Callable[[np.ndarray, np.ndarray], np.ndarray]


@attack(title="BASE, online", by_example=True, inside=True)
def base_online(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return the log of the label's probability over its mean, minus the best threshold.

    Shape (n_targets, n_examples). The threshold is that on the shadows. temperature: divides the
    logits. Raises ValueError where the shadows are too few.
    """
    return _guesses(targets, shadows, expected_online, 1.0, temperature)


@attack(title="BASE, offline", by_example=True)
def base_offline(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    scale: Annotated[Literal["auto"] | float, ">= 0, <= 1"] = "auto",
    temperature: Annotated[Literal["auto"] | float, "> 0"] = "auto",
) -> np.ndarray:
    """Return the same as `base_online`, with the mean outside, and its logarithm times `scale`.

    The mean is over the shadows outside. scale: 0.33 is LeakPro's default; 0 gives the loss
    attack, 1 the ratio to the shadows outside.
    """
    return _guesses(targets, shadows, expected_offline, scale, temperature)


def expected_online(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean of both sides' means; NaN where a side is empty.

    Shape (n_examples,).
    """
    inside, outside = (log_mean_exp(values, chosen) for chosen in (membership, ~membership))
    with np.errstate(invalid="ignore"):
        return np.logaddexp(inside, outside) - np.log(2)


def expected_offline(values: np.ndarray, membership: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean outside, (n_examples,); NaN where no model is outside."""
    return log_mean_exp(values, ~membership)


def log_mean_exp(values: np.ndarray, chosen: np.ndarray) -> np.ndarray:
    """Return log mean exp(values) over the chosen models, (n_examples,).

    Both arrays are (n_models, n_examples). The result is NaN where no model is chosen. Each
    example is shifted by its largest chosen value. So nothing overflows, and the sum holds a 1,
    so its logarithm is exact to rounding.

    >>> values = np.array([[-800.0, 0.0], [-802.0, 1e4]])
    >>> log_mean_exp(values, np.array([[True, True], [True, False]])).round(3)
    array([-800.566,    0.   ])
    """
    count = chosen.sum(axis=0)
    shift = np.max(values, axis=0, where=chosen, initial=-np.inf)
    shift[count == 0] = np.nan
    terms = np.exp(values - shift, out=np.zeros(values.shape), where=chosen)
    return np.log(terms.sum(axis=0) / np.where(count > 0, count, np.nan)) + shift


class Setting(NamedTuple):
    """A setting that `auto` may choose, with values of the shadows and their expected values."""

    temperature: float
    scale: float
    values: np.ndarray
    expected: np.ndarray

    def __str__(self) -> str:
        return f"temperature {self.temperature:g}, scale {self.scale:g}"

    @property
    def scores(self) -> np.ndarray:
        """Scores of the shadows, (n_shadows, n_examples)."""
        return self.values - self.scale * self.expected


def choose(
    shadows: Signals,
    expect: Expectation,
    scale: float | str,
    temperature: float | str,
) -> Setting:
    """Return the setting of the highest AUC on the shadows; the first of equal ones.

    Each shadow is attacked by the other ones without its twin. A number is taken as it is.
    """
    settings = _settings(shadows, expect, grid(temperature, TEMPERATURES), grid(scale, SCALES))
    return best_on_shadows(settings, lambda setting: setting.scores, shadows)


def _settings(
    shadows: Signals,
    expect: Expectation,
    temperatures: Sequence[float],
    scales: Sequence[float],
) -> Iterator[Setting]:
    for temperature in temperatures:
        values = _values(shadows, temperature)
        expected = _expected_by_others(values, shadows, expect)
        for scale in scales:
            yield Setting(temperature, scale, values, expected)


def _expected_by_others(values: np.ndarray, shadows: Signals, expect: Expectation) -> np.ndarray:
    """Return the values expected of each shadow, (n_shadows, n_examples).

    They follow from the other shadows without the twin. The sums are computed again for each
    pair of twins: subtracting a pair's terms from the sum of all leaves only rounding where the
    pair dominates it.
    """
    expected, by_others = np.empty_like(values), {}
    for row, left_out in enumerate(pairs(shadows.membership, shadows.candidates)):
        key = frozenset(left_out)
        if key not in by_others:
            kept = np.setdiff1d(np.arange(len(values)), left_out)
            by_others[key] = expect(values[kept], shadows.membership[kept])
        expected[row] = by_others[key]
    return expected


def _guesses(
    targets: Signals,
    shadows: Signals,
    expect: Expectation,
    scale: float | str,
    temperature: float | str,
) -> np.ndarray:
    """Return values minus expected values, minus the threshold that is best on the shadows.

    The threshold is that of the highest balanced accuracy.
    """
    best = choose(shadows, expect, scale, temperature)
    expected = expect(best.values, shadows.membership)
    scores = _values(targets, best.temperature) - best.scale * expected
    check_enough(scores, targets, best.scores, shadows)
    known = shadows.candidates & np.isfinite(best.scores)
    return scores - best_threshold(best.scores[known], shadows.membership[known])


def _values(signals: Signals, temperature: float) -> np.ndarray:
    """Return minus the loss, (n_models, n_examples).

    It is computed model by model, so that no copy of all logits is made.
    """
    logits = (of_model / np.float64(temperature) for of_model in signals.logits)
    return np.stack([negative_loss(of_model, signals.labels) for of_model in logits])
