"""Networks that learn to separate shadow models' members from their non-members."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.metrics.membership import best_threshold, check_scores
from mia_pruning.training.loop import autocast

#: So many rows are scored at a time.
SCORED_AT_ONCE = 50_000
#: In this share of the steps the learning rate rises. In the other steps it falls to 0.
WARM_UP = 0.2


@dataclass(frozen=True)
class Fitting:
    """Settings to train such a network: a fixed number of steps, one learning-rate cycle.

    epochs: passes over the rows, or as many as `min_steps` steps take if these are more.

    A network that stops when a held-back loss has not fallen for some epochs often stops at
    guessing where little leaks. A fixed cycle does not.
    """

    epochs: int
    min_steps: int
    batch_size: int
    learning_rate: float
    precision: str = "float32"

    def n_epochs(self, n_rows: int) -> int:
        """Return the number of passes over this many rows.

        >>> Fitting(4, 150, 250, 0.001).n_epochs(1_000), Fitting(4, 150, 250, 0.001).n_epochs(20_000)
        (38, 4)
        """
        steps = self.n_batches(n_rows)
        return max(self.epochs, -(-self.min_steps // steps))

    def n_batches(self, n_rows: int) -> int:
        return -(-n_rows // self.batch_size)


def learnt_scores(
    make_network: Callable[[], nn.Module],
    known: Sequence[Tensor],
    members: np.ndarray,
    targets: Sequence[Sequence[Tensor]],
    rng: np.random.Generator,
    fitting: Fitting,
) -> np.ndarray:
    """Return log-odds of membership minus the threshold that is best on the shadow rows.

    Shape (n_targets, n_examples).

    known: the network's inputs of the shadows' rows, whose membership (n_rows,) is known.
    targets: the inputs of each target.
    """
    network = _trained(make_network, known, members, rng, fitting)
    threshold = best_threshold(_log_odds(network, known, fitting.precision), members)
    scores = [_log_odds(network, of_one_model, fitting.precision) for of_one_model in targets]
    return np.stack(scores) - threshold


def cross_fitted_scores(
    make_network: Callable[[], nn.Module],
    known: Sequence[Tensor],
    members: np.ndarray,
    half: np.ndarray,
    targets: Sequence[Sequence[Tensor]],
    rng: np.random.Generator,
    fitting: Fitting,
) -> tuple[np.ndarray, np.ndarray]:
    """Return log-odds of membership of targets and of shadows' rows, by two networks.

    Shapes (n_targets, n_examples) and (n_rows,). Each network learns from one half of the rows:
    half (n_rows,) bool says which. A row is scored by the network that did not learn from it, a
    target by the mean of both. Raises ValueError where a half has no members or no non-members.
    """
    of_rows, of_targets = np.empty(len(members)), []
    for held_out in (half, ~half):
        learned_from, asked = np.flatnonzero(~held_out), np.flatnonzero(held_out)
        check_scores(np.zeros(learned_from.size), members[learned_from])
        rows = [tensor[learned_from] for tensor in known]
        network = _trained(make_network, rows, members[learned_from], rng, fitting)
        of_rows[asked] = _log_odds(network, [tensor[asked] for tensor in known], fitting.precision)
        of_targets.append([_log_odds(network, of, fitting.precision) for of in targets])
    return np.mean(of_targets, axis=0), of_rows


def _trained(
    make_network: Callable[[], nn.Module],
    known: Sequence[Tensor],
    members: np.ndarray,
    rng: np.random.Generator,
    fitting: Fitting,
) -> nn.Module:
    """Return a network that has learned the membership (n_rows,) of these rows."""
    torch.manual_seed(int(rng.integers(1 << 63)))
    network = make_network()
    _fit(network, [*known, torch.from_numpy(members.astype(np.float32))], rng, fitting)
    return network


def _fit(
    network: nn.Module, rows: list[Tensor], rng: np.random.Generator, fitting: Fitting
) -> None:
    """Train the network, in place, on rows whose last tensor is the membership (n_rows,)."""
    n_rows = len(rows[-1])
    n_epochs = fitting.n_epochs(n_rows)
    optimizer = torch.optim.Adam(network.parameters(), lr=fitting.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer,
        fitting.learning_rate,
        total_steps=n_epochs * fitting.n_batches(n_rows),
        pct_start=WARM_UP,
    )
    network.train()
    for _ in range(n_epochs):
        for batch in torch.from_numpy(rng.permutation(n_rows)).split(fitting.batch_size):
            *inputs, members = (tensor[batch] for tensor in rows)
            with autocast(torch.device("cpu"), fitting.precision):
                answers = network(*inputs)
            loss = nn.functional.binary_cross_entropy_with_logits(answers.float(), members)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def _log_odds(network: nn.Module, inputs: Sequence[Tensor], precision: str) -> np.ndarray:
    network.eval()
    parts = zip(*(tensor.split(SCORED_AT_ONCE) for tensor in inputs), strict=True)
    with autocast(torch.device("cpu"), precision):
        return torch.cat([network(*part) for part in parts]).double().numpy()
