"""The label-only attack (Choquette-Choo et al., ICML 2021): members stay right under change.

Differs: the weights of the answers are learned on the shadow models. The plain sum has an attack
accuracy of 0.572 on LeNet-5 and Fashion-MNIST, where the answer on the image alone has 0.581.
"""

import numpy as np

from mia_pruning.attacks.combining import Part, combined_scores
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack(title="label-only", probes=("augmented", "noisy"))
def label_only(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    per_class: bool = False,
) -> np.ndarray:
    """Return the best part on the shadow models, or the learned combination, minus its threshold.

    Shape (n_targets, n_examples). The parts: whether the answer on the image is right; how many
    of those on its augmented copies are; the share of its noisy copies that are, at each
    strength.

    per_class: one threshold for each class.
    """
    of_targets, of_shadows = rights(targets), rights(shadows)
    parts = [Part(name, of_targets[name], of_shadows[name]) for name in of_targets]
    return combined_scores(parts, targets, shadows, per_class=per_class)


def rights(signals: Signals) -> dict[str, np.ndarray]:
    """Return counts or shares of right answers by the kind of query.

    Each is (n_models, n_examples).
    """
    plain = signals.logits.argmax(axis=-1) == signals.labels
    copies = signals.probes["augmented"].argmax(axis=-1) == signals.labels[:, np.newaxis]
    found = {"image": plain.astype(np.float64), "copies": copies.sum(axis=-1, dtype=np.float64)}
    shares = np.moveaxis(signals.probes["noisy"], -1, 0).astype(np.float64)
    return found | {f"noise {number}": share for number, share in enumerate(shares, start=1)}
