"""The paper's attack: the inference network of Nasr et al. on prediction vector and label, trained on shadow models' outputs."""

import copy
from typing import Annotated

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor, nn

from mia_pruning.metrics.membership import best_threshold
from mia_pruning.models.inference_network import InferenceNetwork
from mia_pruning.registry import attack
from mia_pruning.training.loop import PRECISIONS, autocast
from mia_pruning.types import Signals, StudyError


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
    precision: str = "float32",
) -> np.ndarray:
    """The log-odds of membership, less the threshold that is best on the shadow rows.

    Training stops when the loss on held-back shadow rows has not fallen for `patience` epochs; with two of them it often stops at
    guessing before it has found a weak leak. precision: of the wide layers; the
    first and the last are always in float32.
    """
    if precision not in PRECISIONS:
        raise StudyError(f"precision = {precision!r}: allowed is one of {', '.join(PRECISIONS)}")
    logits, labels, members = shadows.known_rows()
    order = torch.from_numpy(rng.permutation(len(labels)))
    rows = [torch.from_numpy(softmax(logits.astype(np.float32), axis=-1)), torch.from_numpy(labels.astype(np.int64))]
    rows = [tensor[order] for tensor in (*rows, torch.from_numpy(members.astype(np.float32)))]
    n_held = max(1, round(held_back * len(order)))
    torch.manual_seed(int(rng.integers(1 << 63)))
    network = InferenceNetwork(logits.shape[-1])
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    held, kept = [tensor[:n_held] for tensor in rows], [tensor[n_held:] for tensor in rows]
    best_loss, best_state, waited = np.inf, copy.deepcopy(network.state_dict()), 0
    for _ in range(max_epochs):
        with autocast(torch.device("cpu"), precision):
            _train_epoch(network, optimizer, kept, batch_size, rng)
        loss = _mean_loss(network, held)
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best_loss, best_state = loss, copy.deepcopy(network.state_dict())
        if waited == patience:
            break
    network.load_state_dict(best_state)
    threshold = best_threshold(_log_odds(network, rows[0], rows[1]), rows[2].numpy() > 0)
    return _score(network, targets) - threshold


def _train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, rows: list[Tensor], batch_size: int, rng: np.random.Generator
) -> None:
    for batch in torch.from_numpy(rng.permutation(len(rows[0]))).split(batch_size):
        probabilities, labels, members = (tensor[batch] for tensor in rows)
        loss = nn.functional.binary_cross_entropy_with_logits(network(probabilities, labels), members)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@torch.no_grad()
def _mean_loss(network: nn.Module, rows: list[Tensor]) -> float:
    probabilities, labels, members = rows
    return float(nn.functional.binary_cross_entropy_with_logits(network(probabilities, labels), members))


def _score(network: nn.Module, targets: Signals) -> np.ndarray:
    probabilities = torch.from_numpy(softmax(targets.logits.astype(np.float32), axis=-1))
    labels = torch.from_numpy(targets.labels.astype(np.int64))
    return np.stack([_log_odds(network, of_one_model, labels) for of_one_model in probabilities])


@torch.no_grad()
def _log_odds(network: nn.Module, probabilities: Tensor, labels: Tensor) -> np.ndarray:
    return network(probabilities, labels).numpy().astype(np.float64)
