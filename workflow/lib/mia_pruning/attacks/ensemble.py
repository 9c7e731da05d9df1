"""All cheap signs at once, combined as the shadow models teach."""

from typing import Annotated

import numpy as np

from mia_pruning.attacks import bavaria, rmia
from mia_pruning.attacks.calibrated_loss import calibrated, negative_loss
from mia_pruning.attacks.combining import Part, combined_scores, fit_with_trees, statistic_part
from mia_pruning.attacks.lira import answers, offline
from mia_pruning.attacks.loss import label_log_odds
from mia_pruning.attacks.modified_entropy import negative_modified_entropy
from mia_pruning.attacks.references import raw_scores
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(by_example=True)
def ensemble(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    n_trees: Annotated[int, ">= 1"] = 40,
) -> np.ndarray:
    """Return the best part on the shadow models, or the learned combination, minus its threshold.

    Shape (n_targets, n_examples). The parts: the loss, modified entropy, calibrated loss,
    offline LiRA and offline RMIA; with shadows inside, online BaVarIA and online RMIA.

    n_trees: how many trees are boosted for the combination.
    """
    fit = fit_with_trees(int(rng.integers(1 << 31)), n_trees)
    return combined_scores(signs(targets, shadows), targets, shadows, fit=fit)


def signs(targets: Signals, shadows: Signals) -> list[Part]:
    """Return the parts; those that compare with shadows inside only where there are some."""
    by_itself = {"loss": label_log_odds, "modified entropy": negative_modified_entropy}
    both = targets, shadows
    by_reference = {
        "calibrated loss": raw_scores(*both, negative_loss, lambda _: calibrated),
        "offline LiRA": raw_scores(*both, answers, offline("pooled")),
        "offline RMIA": rmia.raw_scores(*both, rmia.Kind()),
    }
    if _has_inside(targets, shadows):
        by_reference |= {
            "online BaVarIA": raw_scores(*both, answers, bavaria.online),
            "online RMIA": rmia.raw_scores(*both, rmia.Kind(online=True), a=1.0),
        }
    parts = [statistic_part(name, statistic, *both) for name, statistic in by_itself.items()]
    return parts + [Part(name, *scores) for name, scores in by_reference.items()]


def _has_inside(targets: Signals, shadows: Signals) -> bool:
    """Return True if each example that is asked about was in some shadow model.

    So it is in the pool protocol, with twins.
    """
    return bool(shadows.membership.any(axis=0)[targets.candidates.any(axis=0)].all())
