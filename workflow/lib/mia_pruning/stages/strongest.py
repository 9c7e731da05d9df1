"""The strongest attack of a defence: chosen on one half of the examples, measured on the other.

For each metric, the attack with the highest mean over all targets on one half of the examples is
measured on the other half, and vice versa. The value is the mean of both measurements. The
examples on which an attack was chosen are not those that measure it, so the choice is no maximum
over noise. Nor does it penalise an attack that is best on some targets, as a choice on other
targets would.

Where both halves choose the same attack, the value is that attack's own on all examples. All
targets take part in the choice, so luck of an attack on these targets remains. This was simulated
for ten attacks of equal strength whose accuracies differ between eight targets by 0.65 points
(standard deviation, as in the default study). The luck raises the value by 0.09 points; the
value's standard error is 1.0 point.

A rate is measured where all non-members resolve it. At 0.1 % one half of the default study's 1,400
non-members allows no false positive, where all of them allow one. In simulations this changed a
crossed true-positive rate of .026 by -.0009 (standard error .0002).
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.stages.privacy import Attacker, Cell, Guesses, privacy_values, resolved_rates

HALVES = ("first", "second")
#: The estimates of these metrics fall with fewer examples. On halves they would differ from those
#: on all examples.
SIZE_DEPENDENT = ("gain",)
#: Estimates are, by attacker and metric, the means over targets on each half of the examples.
Estimates = Mapping[Attacker, Mapping[str, tuple[float, float]]]


def example_halves(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random half of the examples of each class, (n_pool,) bool.

    >>> example_halves(np.array([0, 0, 1, 1, 1, 1]), np.random.default_rng(0)).sum()
    np.int64(3)
    """
    order = rng.permutation(len(labels))
    by_class = order[np.argsort(labels[order], kind="stable")]
    first = np.zeros(len(labels), dtype=bool)
    first[by_class[::2]] = True
    return first


def half_estimates(guesses: Guesses, first: np.ndarray) -> dict[str, tuple[float, float]]:
    """Return the mean over targets of each metric, on the first half and on the second.

    The halves are of the examples. The result is empty if a half of some target has no members or
    no non-members.
    """
    halves = [guesses.among(columns) for columns in (first, ~first)]
    if not all(half.has_both_kinds for half in halves):
        return {}
    rates, once = resolved_rates(guesses), np.ones((1, len(first)), dtype=np.float32)
    found = [privacy_values(half, once, rates) for half in halves]
    metrics = [metric for metric in found[0] if metric not in SIZE_DEPENDENT]
    return {metric: tuple(float(of_half[metric].mean()) for of_half in found) for metric in metrics}


def choose(estimates: Estimates) -> dict[str, tuple[Attacker, Attacker]]:
    """Return, by metric, the best attacker on the first half and the best on the second.

    Of equal attackers the first in order is chosen. A metric that some attacker lacks is left out.
    """
    of_attackers = list(estimates.values())
    metrics = of_attackers[0] if of_attackers else {}
    shared = [metric for metric in metrics if all(metric in found for found in of_attackers)]

    def best(metric: str, half: int) -> Attacker:
        return max(estimates, key=lambda attacker: estimates[attacker][metric][half])

    return {metric: (best(metric, 0), best(metric, 1)) for metric in shared}


def strongest_cells(
    estimates: Estimates,
    whole: Callable[[Attacker, str], np.ndarray],
    read: Callable[[Attacker], Guesses],
    first: np.ndarray,
    weights: np.ndarray,
) -> Iterator[Cell]:
    """Yield the cell of the strongest attack, for each metric.

    whole(attacker, metric): values (n_replicates + 1, n_targets) on all examples.
    read(attacker): its guesses.
    first: the first half, by `example_halves`.
    weights (n_replicates + 1, n_pool).
    """
    chosen = choose(estimates)
    crossed = {
        metric: attackers for metric, attackers in chosen.items() if attackers[0] != attackers[1]
    }
    measured = _measure_crossed(crossed, read, first, weights)
    for metric, (attacker, _) in chosen.items():
        values = measured[metric] if metric in crossed else whole(attacker, metric)
        n_examples = int(read(attacker).unknown[0].sum())
        yield Cell({**STRONGEST, "metric": metric}, values, n_examples)


def _measure_crossed(
    crossed: Mapping[str, tuple[Attacker, Attacker]],
    read: Callable[[Attacker], Guesses],
    first: np.ndarray,
    weights: np.ndarray,
) -> dict[str, np.ndarray]:
    """Return, by metric, the mean over both halves of the attack that the other half chose."""
    sums: dict[str, np.ndarray] = {}
    for half, other_half in enumerate((~first, first)):
        for attacker in dict.fromkeys(attackers[half] for attackers in crossed.values()):
            guesses = read(attacker)
            values = privacy_values(guesses.among(other_half), weights, resolved_rates(guesses))
            for metric, attackers in crossed.items():
                if attackers[half] == attacker:
                    sums[metric] = sums.get(metric, 0) + values[metric] / len(HALVES)
    return sums


def choice_rows(estimates: Estimates) -> Iterator[dict[str, Any]]:
    """Yield a row for each metric and half.

    It has the attack chosen there, its value there and its value on the other half.
    """
    for metric, attackers in choose(estimates).items():
        for half, (attack, attacker) in enumerate(attackers):
            values = estimates[attack, attacker][metric]
            yield {
                "metric": metric,
                "chosen_on": HALVES[half],
                "attack": attack,
                "attacker": attacker,
                "value_there": values[half],
                "value_elsewhere": values[1 - half],
            }
