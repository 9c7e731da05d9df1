"""Attacks that combine several signs of membership, or fall back to the best of them.

Each sign is a part: its scores of the targets and of the shadow models. A combination of all
parts is learned on the shadow models. The parts and the combination are then compared on the
shadow models. The one with the highest mean AUC is the attack; the first of equal ones. So an
attacker falls back to a part where the combination loses to it. The targets have no part in the
choice.

The comparison is fair to both. A part that compares models example by example scores each shadow
by the other ones without its twin. The combination is cross-fitted: it scores each half of the
shadow models after learning from the other half. On a target it is the mean of both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, logit
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression

from mia_pruning.attacks.choosing import best_on_shadows
from mia_pruning.attacks.references import pairs
from mia_pruning.attacks.thresholds import Statistic, class_thresholds
from mia_pruning.metrics.membership import check_scores
from mia_pruning.types import Signals

#: Standard deviations below this are rounding: the part is constant on the shadow models.
LEAST_DEVIATION = 1e-12
#: So many trees are boosted, with so many leaves each. With 60 trees of 16 leaves they lose to
#: one sign where little leaks.
N_TREES, N_LEAVES = 40, 8

#: A scorer takes rows (n, n_parts) and returns scores (n,).
Scorer = Callable[[np.ndarray], np.ndarray]
#: A fit takes rows (n, n_parts) and their membership (n,), and returns a scorer.
Fit = Callable[[np.ndarray, np.ndarray], Scorer]


@dataclass(frozen=True)
class Part:
    """Scores of targets (n_targets, n_examples) and of shadows (n_shadows, n_examples).

    They are by one sign. Those of a shadow must not have been learned from its membership, or
    they look better than they are. NaN where a shadow cannot be attacked.
    """

    name: str
    of_targets: np.ndarray
    of_shadows: np.ndarray

    def __str__(self) -> str:
        return self.name


def statistic_part(name: str, statistic: Statistic, targets: Signals, shadows: Signals) -> Part:
    """Return the part that is a statistic of each prediction by itself.

    The statistic is of log probabilities and label. It is computed model by model, so that no
    copy of all logits is made.
    """

    def of_models(signals: Signals) -> np.ndarray:
        log_p = (log_softmax(logits.astype(np.float64), axis=-1) for logits in signals.logits)
        return np.stack([statistic(of_one_model, signals.labels) for of_one_model in log_p])

    return Part(name, of_models(targets), of_models(shadows))


def fit_logistic(rows: np.ndarray, members: np.ndarray) -> Scorer:
    """Return the scorer of a logistic regression: log-odds that are linear in the parts.

    The log-odds are of membership, at equal priors. Parts are standardised first, so that the
    penalty on large weights treats them alike.
    """
    centre, deviation = rows.mean(axis=0), rows.std(axis=0)
    deviation = np.where(deviation > LEAST_DEVIATION, deviation, 1.0)
    model = LogisticRegression(class_weight="balanced", max_iter=500)
    model.fit((rows - centre) / deviation, members)
    return lambda asked: model.decision_function((asked - centre) / deviation)


def fit_with_trees(seed: int, n_trees: int = N_TREES) -> Fit:
    """Return a fit whose log-odds are the mean of a logistic regression's and of boosted trees'.

    Both are at equal priors. Trees find more where much leaks, the regression where little does.
    """

    def fit(rows: np.ndarray, members: np.ndarray) -> Scorer:
        # Weights of the classes would make the trees' binning four times as slow as all the rest.
        trees = HistGradientBoostingClassifier(
            max_iter=n_trees,
            max_leaf_nodes=N_LEAVES,
            early_stopping=False,
            random_state=seed,
        )
        trees.fit(rows, members)
        linear, prior = fit_logistic(rows, members), logit(members.mean())
        return lambda asked: (linear(asked) + trees.decision_function(asked) - prior) / 2

    return fit


def combined_scores(
    parts: Sequence[Part],
    targets: Signals,
    shadows: Signals,
    *,
    fit: Fit = fit_logistic,
    per_class: bool = False,
) -> np.ndarray:
    """Return scores of the best part, or of the combination, minus the best threshold on shadows.

    Shape (n_targets, n_examples). fit learns the combination from rows of the shadow models.
    per_class: one threshold for each class. Raises ValueError where the shadows have no members
    or no non-members.
    """
    chosen = choose([*parts, learn(parts, shadows, fit)], shadows)
    thresholds = _thresholds(chosen.of_shadows, targets, shadows, per_class=per_class)
    return chosen.of_targets - thresholds[targets.labels]


def choose(parts: Sequence[Part], shadows: Signals) -> Part:
    """Return the part with the highest mean AUC on the shadows; the first of equal ones.

    Only examples that every part scores count.
    """
    known = _known(parts, shadows)
    return best_on_shadows(parts, lambda part: np.where(known, part.of_shadows, np.nan), shadows)


def learn(parts: Sequence[Part], shadows: Signals, fit: Fit = fit_logistic) -> Part:
    """Return the combination of all parts that `fit` finds, cross-fitted in two halves.

    A shadow's score is learned from the other half of the shadow models. A target's is the mean
    of what both halves teach.
    """
    rows = np.stack([part.of_shadows for part in parts], axis=-1)
    known, half = _known(parts, shadows), halves(shadows)
    of_shadows, scorers = np.full(known.shape, np.nan), []
    for held_out in (half, ~half):
        learned_from = known & ~held_out
        members = shadows.membership[learned_from]
        check_scores(rows[learned_from][:, 0], members)
        scorers.append(fit(rows[learned_from], members))
        if (asked := known & held_out).any():
            of_shadows[asked] = scorers[-1](rows[asked])
    of_targets = np.stack([part.of_targets for part in parts], axis=-1)
    scores = [_scored(of_one_model, scorers) for of_one_model in of_targets]
    return Part("learned combination", np.stack(scores), of_shadows)


def against_class_thresholds(part: Part, targets: Signals, shadows: Signals) -> Part:
    """Return the part minus the best threshold of each class, cross-fitted as in `learn`."""
    half, of_shadows, thresholds = halves(shadows), part.of_shadows.copy(), []
    for held_out in (half, ~half):
        others = np.where(held_out, np.nan, part.of_shadows)
        thresholds.append(_thresholds(others, targets, shadows, per_class=True))
        lowered = part.of_shadows - thresholds[-1][shadows.labels]
        of_shadows = np.where(held_out, lowered, of_shadows)
    of_targets = part.of_targets - np.mean(thresholds, axis=0)[targets.labels]
    return Part(f"{part.name}, by class", of_targets, of_shadows)


def halves(shadows: Signals) -> np.ndarray:
    """Return one half of the shadows' rows, (n_shadows, n_examples) bool.

    It is every second pair of twins. Of one pair or one model, it is every second example.
    """
    left_out = pairs(shadows.membership, shadows.candidates)
    first = np.array([min(rows) for rows in left_out])
    _, number = np.unique(first, return_inverse=True)
    by_pair = np.broadcast_to(number[:, np.newaxis] % 2 == 1, shadows.candidates.shape)
    by_example = np.arange(shadows.candidates.shape[1]) % 2 == 1
    return by_pair if number.max() > 0 else np.broadcast_to(by_example, by_pair.shape)


def _known(parts: Sequence[Part], shadows: Signals) -> np.ndarray:
    """Return the shadows' candidates that every part scores, (n_shadows, n_examples) bool."""
    finite = [np.isfinite(part.of_shadows) for part in parts]
    return shadows.candidates & np.logical_and.reduce(finite)


def _scored(rows: np.ndarray, scorers: Sequence[Scorer]) -> np.ndarray:
    """Return the mean of the scorers on rows (n_examples, n_parts).

    It is NaN where a part is missing.
    """
    scores = np.full(len(rows), np.nan)
    known = np.isfinite(rows).all(axis=-1)
    scores[known] = np.mean([scorer(rows[known]) for scorer in scorers], axis=0)
    return scores


def _thresholds(
    of_shadows: np.ndarray,
    targets: Signals,
    shadows: Signals,
    *,
    per_class: bool,
) -> np.ndarray:
    """Return the best threshold of each class on the shadows' scores, (n_classes,).

    All are equal unless per_class.
    """
    known = shadows.candidates & np.isfinite(of_shadows)
    labels = np.broadcast_to(shadows.labels, known.shape)[known]
    members, n_classes = shadows.membership[known], targets.logits.shape[-1]
    values = of_shadows[known]
    return class_thresholds(values, labels, members, n_classes, per_class=per_class)
