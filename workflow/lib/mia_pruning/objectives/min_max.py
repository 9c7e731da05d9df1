"""The Min-Max game (Nasr, Shokri, Houmansadr 2018): a classifier against an inference model.

The inference model h infers membership from the classifier's output f(x):

    min_W L(W) + weight max_h G(h)
    G(h) = 1/2 E_D[log h(x, y, f(x))] + 1/2 E_D'[log(1 - h(x, y, f(x)))]

D are the members. D' is a reference set of its own that no model is trained on. Every batch of
every epoch plays: first h takes `inference_steps` steps up the gain, then W takes one step down
the loss and the gain.

Differs from the gradient of the complete G: W follows the members' term only, as in Nasr et al.,
algorithm 1. The effect of W on the reference examples moves h, not W. The recorded gain is the
complete G.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import logsigmoid

from mia_pruning.models.inference_network import InferenceNetwork
from mia_pruning.registry import objective
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import FORWARD, Objective, Plan, Pursuit, Task
from mia_pruning.training.optimizers import load_optimizer_state_, optimizer_state
from mia_pruning.types import StudyError


@objective(title="Min-Max")
@dataclass(frozen=True)
class MinMax(Objective):
    """The Min-Max game.

    weight: lambda, the weight of the gain against the loss. inference_steps: steps of h for each
    step of the classifier.
    """

    weight: Annotated[float, ">= 0"] = 1.0
    inference_steps: Annotated[int, ">= 1"] = 1
    inference_learning_rate: Annotated[float, "> 0"] = 0.001

    def check(self, plan: Plan) -> None:
        if plan.n_reference == 0:
            raise StudyError(
                "use = 'min_max'",
                "the game needs a reference set, but split.reference = 0",
                "allowed is >= 1",
            )

    def start(self, task: Task) -> "MinMaxGame":
        return MinMaxGame(self, task)


class MinMaxGame(Pursuit):
    """The game on one model.

    The inference model goes from phase to phase with the classifier. Its optimiser starts from
    scratch, as the classifier's does.
    """

    def __init__(self, objective: MinMax, task: Task) -> None:
        super().__init__(objective, task)
        if task.reference is None:
            raise StudyError("min_max", "there is no reference set", "split.reference must be >= 1")
        # There is a forward pass on the reference set in every inference step, and on further
        # members in all but the last.
        self.passes = 1.0 + FORWARD * (2 * objective.inference_steps - 1)
        self.inference = _inference_network(task)
        self.inference_optimizer = torch.optim.Adam(
            self.inference.parameters(), lr=objective.inference_learning_rate, fused=True
        )
        self._gains: list[Tensor] = []

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        members, reference = rng.spawn(2)
        self._members = _endless(self.task.data, self.task.batch_size, members)
        self._reference = _endless(self.task.reference, self.task.batch_size, reference)
        return super().batches(rng)

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        for _ in range(self.objective.inference_steps - 1):
            self._raise_gain(self._outputs(*next(self._members)))
        logits = self.task.model(images)
        probabilities = logits.float().softmax(dim=1)
        self._raise_gain((probabilities.detach(), labels))
        loss = nn.functional.cross_entropy(logits.float(), labels)
        members_term = logsigmoid(self._frozen_inference(probabilities, labels)).mean() / 2
        return loss + self.objective.weight * members_term, logits

    def on_epoch(self, epoch: int) -> None:
        self.gain = float(torch.stack(self._gains).mean())
        self._gains = []

    def tensors(self) -> dict[str, Tensor]:
        return {
            f"inference/{name}": value.detach().cpu().clone()
            for name, value in self.inference.state_dict().items()
        }

    def state(self) -> dict[str, Tensor]:
        optimizer = {
            f"optimizer/{name}": value
            for name, value in optimizer_state(self.inference_optimizer).items()
        }
        return {
            **{f"inference/{name}": value for name, value in self.inference.state_dict().items()},
            **optimizer,
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.inference.load_state_dict(_under(state, "inference/"))
        load_optimizer_state_(self.inference_optimizer, _under(state, "optimizer/"))

    def _raise_gain(self, members: tuple[Tensor, Tensor]) -> None:
        """Take one step of h up the gain, and record the gain before it."""
        reference = self._outputs(*next(self._reference))
        gain = gain_of(self.inference(*members), self.inference(*reference))
        self.inference_optimizer.zero_grad(set_to_none=True)
        (-gain).backward()
        self.inference_optimizer.step()
        self._gains.append(gain.detach())

    @torch.no_grad()
    def _outputs(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return probabilities and labels.

        The classifier is in training mode, as it is for the members of its own step. Running
        statistics do not change: no model is trained on the reference set.
        """
        statistics = {name: buffer.clone() for name, buffer in self.task.model.named_buffers()}
        return functional_call(self.task.model, statistics, images).float().softmax(dim=1), labels

    def _frozen_inference(self, probabilities: Tensor, labels: Tensor) -> Tensor:
        self.inference.requires_grad_(False)
        log_odds = self.inference(probabilities, labels)
        self.inference.requires_grad_(True)
        return log_odds


def gain_of(members: Tensor, reference: Tensor) -> Tensor:
    """Return G of an inference model from its log-odds on members and on reference examples.

    It is -log 2 where the model only guesses.

    >>> round(float(gain_of(torch.zeros(3), torch.zeros(5))), 4)
    -0.6931
    """
    return (logsigmoid(members).mean() + logsigmoid(-reference).mean()) / 2


def _inference_network(task: Task) -> InferenceNetwork:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(task.seed)
        network = InferenceNetwork(task.n_classes)
    if task.carried:
        network.load_state_dict(_under(task.carried, "inference/"))
    return network.to(task.data.device)


def _endless(
    data: ResidentData, batch_size: int, rng: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    while True:
        yield from data.batches(batch_size, rng)


def _under(tensors, prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
