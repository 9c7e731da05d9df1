"""PMIA, the proxy membership inference attack (Du et al., NDSS 2026, arXiv 2507.21412).

For an attacker whose shadow models were trained before the targets' examples were known. The
likelihood-ratio attack then lacks the log-odds of models trained on the example. PMIA borrows them
from proxies: examples on which the shadows were trained, and which are like the one attacked. The
score is the log of the ratio of two normal densities of the answer: that of the shadows' answers
on proxies inside, and that of the answers outside on the example itself.

The paper's abstract asks for proxies of similar behaviour; its release (zealscott/MIA) has three
kinds: all, those of the same class, and the most similar image of the same class. Differs from the
release:
- `instance` takes the examples of the class whose mean answer outside is nearest, half above and
  half below. The release takes the nearest CLIP embedding of the image, which needs a network
  trained elsewhere.
- Means replace medians, so that an example's own answers can be left out of its proxies exactly.
  No answer on it of a shadow that was trained on it is used, in either protocol.
- The deviation outside is by default one for all examples, as in LiRA, for few shadows. The
  release, with 64 and more, takes each example's own: `variance: per_example`.
"""

from typing import Annotated, Literal

import numpy as np

from mia_pruning.attacks.lira import LEAST_DEVIATION, answers
from mia_pruning.attacks.references import Moments, References, Score, scores_by_references
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(title="PMIA", by_example=True, fewest_with_option=(("variance", "per_example", 6),))
def pmia(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    proxies: Literal["global", "class", "instance"] = "instance",
    n_proxies: Annotated[int, ">= 2"] = 20,
    variance: Literal["pooled", "per_example"] = "pooled",
) -> np.ndarray:
    """Return the log ratio of the normal densities of proxies and outside, minus a threshold.

    Shape (n_targets, n_examples). The threshold is the best on the shadows. n_proxies: how many
    examples `instance` takes; 20 with three shadows inside give about as many answers as the
    release has of one proxy and 128 shadows. Raises ValueError where proxies or shadows are too
    few.
    """
    labels = np.zeros_like(targets.labels) if proxies == "global" else targets.labels
    near = n_proxies if proxies == "instance" else None

    def make(references: References) -> Score:
        _check_proxies(of_proxies(references, labels, near), references.outside, targets, proxies)
        everywhere = references.outside
        pooled = _deviation(everywhere.deviations.sum(), _freedom(everywhere).sum())

        def score(answer: np.ndarray, _: np.ndarray, others: References) -> np.ndarray:
            borrowed, outside = of_proxies(others, labels, near), others.outside
            spread = pooled if variance == "pooled" else _own_deviation(outside)
            inside = _log_density(answer, borrowed, _own_deviation(borrowed))
            return inside - _log_density(answer, outside, spread)

        return score

    return scores_by_references(targets, shadows, answers, make)


def _check_proxies(borrowed: Moments, outside: Moments, targets: Signals, proxies: str) -> None:
    """Refuse proxies with fewer than two answers, by ValueError.

    No standard deviation follows from these.
    """
    lacking = (borrowed.count < 2) & (outside.count > 0) & targets.candidates.any(axis=0)
    if lacking.any():
        label = targets.labels[np.argmax(lacking)]
        raise ValueError(
            f"pmia, proxies = {proxies}: {lacking.sum()} examples, the first of class {label}, "
            "have fewer than two answers of shadows trained on their proxies; train the shadow "
            "models on more examples of the class, or use proxies: global"
        )


def of_proxies(others: References, labels: np.ndarray, near: int | None) -> Moments:
    """Return the moments of answers inside on each example's proxies, never on itself.

    Proxies are the examples of its label, or `near` of these.
    """
    if near is not None:
        return _of_nearest(others, labels, near)
    inside = others.inside
    parts = (inside.count, inside.total, inside.squares)
    sums = [np.bincount(labels, part)[labels] for part in parts]
    return Moments(*sums) - inside


def _of_nearest(others: References, labels: np.ndarray, near: int) -> Moments:
    """Return the moments of the `near` examples of the label that are nearest.

    Their mean answers outside come just before and after the example's.
    """
    difficulty, inside = others.outside.mean, others.inside
    parts = np.stack([inside.count, inside.total, inside.squares])
    usable = (inside.count > 0) & (others.outside.count > 0)
    found = np.zeros_like(parts, dtype=np.float64)
    by_label = np.lexsort((difficulty, labels))
    starts = np.flatnonzero(np.diff(labels[by_label], prepend=-1))
    for rows in np.split(by_label, starts[1:]):
        of_usable = parts[:, rows[usable[rows]]]
        until = np.concatenate([np.zeros((3, 1)), of_usable.cumsum(axis=1)], axis=1)
        before = np.cumsum(usable[rows]) - usable[rows]
        first, last = _window(before, near + usable[rows], of_usable.shape[1])
        found[:, rows] = until[:, last] - until[:, first] - parts[:, rows] * usable[rows]
    return Moments(*found)


def _window(position: np.ndarray, width: np.ndarray, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return first and last + 1 of `width` of n sorted values around each position.

    Near an end the window is moved inward.

    >>> _window(np.array([0, 2, 4]), np.array([3, 3, 3]), n=5)
    (array([0, 1, 2]), array([3, 4, 5]))
    """
    first = np.clip(position - width // 2, 0, np.maximum(n - width, 0))
    return first, np.minimum(first + width, n)


def _freedom(moments: Moments) -> np.ndarray:
    return np.maximum(moments.count - 1, 0)


def _own_deviation(moments: Moments) -> np.ndarray:
    return _deviation(moments.deviations, _freedom(moments))


def _deviation(squares: np.ndarray, freedom: np.ndarray) -> np.ndarray:
    """Return the standard deviation; NaN without degrees of freedom."""
    free = np.where(freedom > 0, freedom, np.nan)
    return np.maximum(np.sqrt(squares / free), LEAST_DEVIATION)


def _log_density(answer: np.ndarray, moments: Moments, spread: np.ndarray) -> np.ndarray:
    """Return the log density of a normal distribution, up to a constant."""
    return -(((answer - moments.mean) / spread) ** 2) / 2 - np.log(spread)
