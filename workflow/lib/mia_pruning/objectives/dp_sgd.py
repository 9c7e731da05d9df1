"""DP-SGD (Abadi et al. 2016) by Opacus.

Each example's gradient is clipped, and Gaussian noise is added to their sum.

Batches are drawn by Poisson sampling: each example by itself with probability batch_size /
members, as the accountants assume. No example's complete gradient is ever stored: norms are
taken layer by layer (ghost clipping, Li et al. 2022). Noise comes from a seeded generator, so
that a study can be repeated. This is good for measuring, but not for a release that an adversary
waits for.
"""

import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

import numpy as np
import torch
from opacus.accountants import IAccountant, create_accountant
from opacus.accountants.utils import get_noise_multiplier
from opacus.grad_sample import GradSampleModuleFastGradientClipping
from opacus.optimizers import DPOptimizerFastGradientClipping
from opacus.utils.fast_gradient_clipping_utils import DPTensorFastGradientClipping
from opacus.validators import ModuleValidator
from torch import Tensor, nn

from mia_pruning.objectives.erm import Erm
from mia_pruning.registry import objective
from mia_pruning.training.objective import FORWARD, Plan, Pursuit, Task
from mia_pruning.types import StudyError

ACCOUNTANTS = ("rdp", "prv")
#: A guarantee states epsilon at these deltas, besides its own. An audit tests all pairs at once.
CURVE_DELTAS = (0.3, 0.1, 0.03, 0.01, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9)
#: No audit of one run reaches a larger epsilon, and the prv accountant takes minutes for one.
LARGEST_AUDITED = 50.0


@objective(title="DP-SGD")
@dataclass(frozen=True)
class DpSgd(Erm):
    """DP-SGD with a given noise, or with the least noise that keeps to a given epsilon.

    noise: the noise's standard deviation in units of clip. epsilon: the most that `epochs`
    epochs may spend, given instead of noise.

    The noise is the same in every phase. So a defence that trains further spends more than
    `epochs` epochs of dense training do. The results have the total spent.
    """

    noise: Annotated[float | None, "> 0"] = None
    epsilon: Annotated[float | None, "> 0"] = None
    epochs: Annotated[int | None, ">= 1"] = None
    delta: Annotated[float, "> 0, < 1"] = 1e-5
    clip: Annotated[float, "> 0"] = 1.0
    accountant: str = "prv"

    def __post_init__(self) -> None:
        if (self.noise is None) == (self.epsilon is None):
            raise StudyError("noise and epsilon", "one of them is needed, and not both")
        if (self.epochs is None) != (self.epsilon is None):
            raise StudyError(
                "epochs",
                "it is needed with epsilon, and only then: the epochs in which epsilon may be spent",
            )
        if self.accountant not in ACCOUNTANTS:
            raise StudyError(
                f"accountant = {self.accountant!r}",
                allowed=f"allowed is one of {', '.join(ACCOUNTANTS)}",
            )

    def adapt(self, network: nn.Module) -> nn.Module:
        """Return the network with group instead of batch normalisation, and nothing in place.

        Batch normalisation mixes examples. An operation in place would overwrite the values that
        the hooks read to measure the gradients.
        """
        private = ModuleValidator.fix(network) if ModuleValidator.validate(network) else network
        for module in private.modules():
            if getattr(module, "inplace", False):
                module.inplace = False
        return private

    def check(self, plan: Plan) -> None:
        if plan.precision != "float32":
            raise StudyError(
                f"training.precision = {plan.precision!r}",
                "gradients are clipped in float32",
                "allowed is float32",
            )
        if plan.batch_size > plan.n_members:
            raise StudyError(
                f"batch_size = {plan.batch_size}",
                allowed=f"allowed is at most the {plan.n_members} members",
            )
        if self.delta >= 1 / plan.n_members:
            raise StudyError(
                f"delta = {self.delta}",
                allowed=f"allowed is less than 1 / members = {1 / plan.n_members:.2g}",
            )
        self.noise_for(plan.n_members, plan.batch_size)

    def noise_for(self, n_members: int, batch_size: int) -> float:
        """Return the noise multiplier: as given, or the least that keeps `epochs` within epsilon.

        Raises StudyError where no noise reaches epsilon.
        """
        if self.noise is not None:
            return self.noise
        steps = self.epochs * n_steps(n_members, batch_size)
        try:
            return _least_noise(
                self.epsilon, self.delta, batch_size / n_members, steps, self.accountant
            )
        except (ValueError, RuntimeError) as error:
            raise StudyError(
                f"epsilon = {self.epsilon}",
                f"no noise reaches it in {self.epochs} epochs at delta = {self.delta} ({error})",
            ) from error

    def start(self, task: Task) -> "PrivatePursuit":
        return PrivatePursuit(self, task)

    def guarantee(self, carried: Mapping[str, Tensor]) -> dict[str, Any]:
        """Return epsilon and delta of all steps of all phases, and the steps they rest on.

        curve: epsilon of the same steps at other deltas; empty where epsilon exceeds
        LARGEST_AUDITED.
        """
        accountant = create_accountant(self.accountant)
        accountant.history = [
            (noise, rate, int(steps)) for noise, rate, steps in carried["spent"].tolist()
        ]
        epsilon = float(accountant.get_epsilon(delta=self.delta))
        return {
            "epsilon": epsilon,
            "delta": self.delta,
            "curve": _curve(accountant) if epsilon <= LARGEST_AUDITED else [],
            "accountant": self.accountant,
            "clip": self.clip,
            "phases": [
                dict(zip(("noise", "sample_rate", "steps"), entry, strict=True))
                for entry in accountant.history
            ],
        }


class ExampleNorms(GradSampleModuleFastGradientClipping):
    """Opacus' norms of the gradients of single examples, right for channels-last activations too.

    Opacus 1.6.0 unfolds a convolution's input by strides that hold for contiguous tensors only.
    Without a warning, the norms of channels-last ones are wrong by tens of per cent, and
    gradients clipped by them are longer than clip.
    """

    def capture_activations_hook(
        self, module: nn.Module, forward_input: list[Tensor], _forward_output: Tensor
    ) -> None:
        super().capture_activations_hook(
            module, [values.contiguous() for values in forward_input], _forward_output
        )


class PrivatePursuit(Pursuit):
    passes = 1.0 + (1.0 - FORWARD)  # ghost clipping goes back twice

    def __init__(self, objective: DpSgd, task: Task) -> None:
        super().__init__(objective, task)
        self.noise = objective.noise_for(len(task.data), task.batch_size)
        self.rate = task.batch_size / len(task.data)
        self.steps = 0
        self.hooked = ExampleNorms(task.model, max_grad_norm=objective.clip, loss_reduction="mean")

    def attach(self, optimizer: torch.optim.Optimizer) -> None:
        self.private = DPOptimizerFastGradientClipping(
            optimizer,
            noise_multiplier=self.noise,
            max_grad_norm=self.objective.clip,
            expected_batch_size=self.task.batch_size,
        )

    def batches(self, rng: np.random.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield as many batches as an epoch has.

        An example may be in several, in one or in none.
        """
        for _ in range(n_steps(len(self.task.data), self.task.batch_size)):
            yield self.task.data.batch(
                np.flatnonzero(rng.random(len(self.task.data)) < self.rate), rng
            )

    def loss(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss and the logits of a batch, which may be empty.

        An empty batch does not go through the network, whose hooks would wait for a backward
        pass that never comes.
        """
        logits = (
            self.task.model(images)
            if len(labels)
            else images.new_zeros((0, max(self.task.n_classes, 1)))
        )
        self._losses = nn.functional.cross_entropy(logits.float(), labels, reduction="none")
        return self._losses.sum() / max(len(labels), 1), logits

    def backward(self, loss: Tensor) -> None:
        """Leave the sum of clipped gradients plus noise, divided by the expected batch size."""
        if len(self._losses):
            with warnings.catch_warnings():  # torch says that images need no gradient, which is so
                warnings.filterwarnings("ignore", message="Full backward hook is firing")
                DPTensorFastGradientClipping(
                    self.hooked, self.private, self._losses, "mean"
                ).backward()
        else:
            for parameter in self.task.model.parameters():
                parameter.grad = torch.zeros_like(parameter)
        self.private.pre_step()
        for parameter in self.private.params:
            parameter.summed_grad = None
        self.steps += 1

    def tensors(self) -> dict[str, Tensor]:
        """Return rows (noise, sample rate, steps), one for each phase."""
        now = torch.tensor([[self.noise, self.rate, self.steps]], dtype=torch.float64)
        return {"spent": torch.cat([self.task.carried["spent"], now]) if self.task.carried else now}

    def state(self) -> dict[str, Tensor]:
        return {"steps": torch.tensor(self.steps)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.steps = int(state["steps"])


@cache
def _least_noise(
    epsilon: float, delta: float, sample_rate: float, steps: int, accountant: str
) -> float:
    return get_noise_multiplier(
        target_epsilon=epsilon,
        target_delta=delta,
        sample_rate=sample_rate,
        steps=steps,
        accountant=accountant,
    )


def _curve(accountant: IAccountant) -> list[dict[str, float]]:
    """Return epsilon at each of CURVE_DELTAS; 0 where the accountant's bound is below 0."""
    # The warning: the last Renyi order that is tried is the best. Its bound is valid, but looser.
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Optimal order is the")
        epsilons = [float(accountant.get_epsilon(delta=delta)) for delta in CURVE_DELTAS]
    pairs = zip(epsilons, CURVE_DELTAS, strict=True)
    return [{"epsilon": max(epsilon, 0.0), "delta": delta} for epsilon, delta in pairs]


def n_steps(n_members: int, batch_size: int) -> int:
    """Return the steps of an epoch: so many that each example has one expected visit.

    >>> n_steps(2000, 64)
    31
    """
    return max(1, math.floor(n_members / batch_size + 0.5))
