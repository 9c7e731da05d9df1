"""What attacks share that train a network to tell shadow models' members from their non-members."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.metrics.membership import best_threshold
from mia_pruning.training.loop import autocast

#: rows that are scored at a time
SCORED_AT_ONCE = 50_000


@dataclass(frozen=True)
class Fitting:
    """How such a network is trained.

    Training stops when the loss on the share of rows that is held back has not fallen for `patience` epochs.
    """

    max_epochs: int
    patience: int
    batch_size: int
    learning_rate: float
    held_back: float
    precision: str = "float32"


def learnt_scores(
    make_network: Callable[[], nn.Module],
    known: Sequence[Tensor],
    members: np.ndarray,
    targets: Sequence[Sequence[Tensor]],
    rng: np.random.Generator,
    fitting: Fitting,
) -> np.ndarray:
    """The log-odds of membership, less the threshold that is best on the shadow rows, (n_targets, n_examples).

    known: the network's inputs of the shadows' rows, whose membership (n_rows,) is known; targets: those of each target.
    """
    order = torch.from_numpy(rng.permutation(len(members)))
    rows = [tensor[order] for tensor in (*known, torch.from_numpy(members.astype(np.float32)))]
    n_held = max(1, round(fitting.held_back * len(order)))
    torch.manual_seed(int(rng.integers(1 << 63)))
    network = make_network()
    _fit(network, [tensor[n_held:] for tensor in rows], [tensor[:n_held] for tensor in rows], rng, fitting)
    *inputs, kept_members = rows
    threshold = best_threshold(_log_odds(network, inputs), kept_members.numpy() > 0)
    return np.stack([_log_odds(network, of_one_model) for of_one_model in targets]) - threshold


def _fit(network: nn.Module, kept: list[Tensor], held: list[Tensor], rng: np.random.Generator, fitting: Fitting) -> None:
    """Leaves the network as it was after its best epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=fitting.learning_rate, fused=True)
    best_loss, best_state, waited = np.inf, copy.deepcopy(network.state_dict()), 0
    for _ in range(fitting.max_epochs):
        with autocast(torch.device("cpu"), fitting.precision):
            _train_epoch(network, optimizer, kept, fitting.batch_size, rng)
        loss = _mean_loss(network, held)
        waited = 0 if loss < best_loss else waited + 1
        if loss < best_loss:
            best_loss, best_state = loss, copy.deepcopy(network.state_dict())
        if waited == fitting.patience:
            break
    network.load_state_dict(best_state)


def _train_epoch(
    network: nn.Module, optimizer: torch.optim.Optimizer, rows: list[Tensor], batch_size: int, rng: np.random.Generator
) -> None:
    network.train()
    for batch in torch.from_numpy(rng.permutation(len(rows[0]))).split(batch_size):
        *inputs, members = (tensor[batch] for tensor in rows)
        loss = nn.functional.binary_cross_entropy_with_logits(network(*inputs), members)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def _mean_loss(network: nn.Module, rows: list[Tensor]) -> float:
    *inputs, members = rows
    answers = torch.from_numpy(_log_odds(network, inputs))
    return float(nn.functional.binary_cross_entropy_with_logits(answers, members.double()))


@torch.no_grad()
def _log_odds(network: nn.Module, inputs: Sequence[Tensor]) -> np.ndarray:
    network.eval()
    parts = zip(*(tensor.split(SCORED_AT_ONCE) for tensor in inputs), strict=True)
    return torch.cat([network(*part) for part in parts]).double().numpy()
