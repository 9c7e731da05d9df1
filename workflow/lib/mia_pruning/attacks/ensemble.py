"""All cheap signs at once: trees learn on the shadow models, each attacked by the others, how to weigh them."""

from typing import Annotated

import numpy as np
from scipy.special import log_softmax
from sklearn.ensemble import HistGradientBoostingClassifier

from mia_pruning.attacks import rmia
from mia_pruning.attacks.calibrated_loss import calibrated, negative_loss
from mia_pruning.attacks.lira import answers, offline
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.modified_entropy import negative_modified_entropy
from mia_pruning.attacks.references import raw_scores
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True)
def ensemble(targets: Signals, shadows: Signals, rng: np.random.Generator, *, n_trees: Annotated[int, ">= 1"] = 60) -> np.ndarray:
    """The log-odds of membership from log-odds of the label, modified entropy, and the scores of offline LiRA, offline RMIA and
    calibrated loss.
    """
    by_reference = [
        raw_scores(targets, shadows, answers, offline("pooled")),
        rmia.raw_scores(targets, shadows, rmia.Kind(), a=0.3, temperature=1.0),
        raw_scores(targets, shadows, negative_loss, lambda _: calibrated),
    ]
    of_targets, of_shadows = (
        np.stack([*_by_itself(signals), *(scores[which] for scores in by_reference)], axis=-1)
        for which, signals in enumerate((targets, shadows))
    )
    known = shadows.candidates & np.isfinite(of_shadows).all(axis=-1)
    trees = HistGradientBoostingClassifier(
        max_iter=n_trees,
        max_leaf_nodes=16,
        class_weight="balanced",
        early_stopping=False,
        random_state=int(rng.integers(1 << 31)),
    )
    trees.fit(of_shadows[known], shadows.membership[known])
    return np.stack([trees.decision_function(of_one_model) for of_one_model in of_targets])


def _by_itself(signals: Signals) -> tuple[np.ndarray, np.ndarray]:
    log_probabilities = log_softmax(signals.logits.astype(np.float64), axis=-1)
    return label_log_odds(log_probabilities, signals.labels), negative_modified_entropy(log_probabilities, signals.labels)
