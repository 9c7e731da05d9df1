"""The paper's attack: the inference network of Nasr et al. on prediction vector and label, trained on shadow models' outputs."""

from typing import Annotated, Literal

import numpy as np
import torch
from scipy.special import softmax

from mia_pruning.attacks.learnt import Fitting, learnt_scores
from mia_pruning.models.inference_network import InferenceNetwork
from mia_pruning.registry import attack
from mia_pruning.types import Signals


@attack
def neural_network(
    targets: Signals,
    shadows: Signals,
    rng: np.random.Generator,
    *,
    max_epochs: Annotated[int, ">= 1"] = 20,
    patience: Annotated[int, ">= 1"] = 5,
    batch_size: Annotated[int, ">= 1"] = 1000,
    learning_rate: Annotated[float, "> 0"] = 0.001,
    held_back: Annotated[float, "> 0, < 1"] = 0.1,
    precision: Literal["float32", "bfloat16"] = "float32",
) -> np.ndarray:
    """The log-odds of membership, less the threshold that is best on the shadow rows.

    Training stops when the loss on held-back shadow rows has not fallen for `patience` epochs; with two of them it often stops at
    guessing before it has found a weak leak. precision: of the wide layers; the first and the last are always in float32.
    """
    fitting = Fitting(max_epochs, patience, batch_size, learning_rate, held_back, precision)
    logits, labels, members = shadows.known_rows()
    of_targets = [_inputs(of_one_model, targets.labels) for of_one_model in targets.logits]
    make_network = lambda: InferenceNetwork(logits.shape[-1])  # noqa: E731
    return learnt_scores(make_network, _inputs(logits, labels), members, of_targets, rng, fitting)


def _inputs(logits: np.ndarray, labels: np.ndarray) -> list[torch.Tensor]:
    probabilities = softmax(logits.astype(np.float32), axis=-1)
    return [torch.from_numpy(probabilities), torch.from_numpy(labels.astype(np.int64))]
