"""ADMM: minimise L(W) subject to W in the constraint's set.

It is a sequence of ordinary trainings with a moving quadratic pull. Scaled form (Boyd et al.
2011, section 3.1.1; for pruning Zhang et al. 2018), per layer:

    W-step  L(W) + rho/2 ||W - Z + U||^2, some epochs of the ordinary optimiser
    Z-step  Z = projection of W + U
    U-step  U += W - Z

When rho rises, U is rescaled by old/new, as the scaled form demands.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.constraints.solving import Solver, SparsitySet, prunable_weights
from mia_pruning.registry import solver
from mia_pruning.training.objective import Callback, Task
from mia_pruning.types import StudyError


@solver(title="ADMM", reads_members=False)
@dataclass(frozen=True)
class Admm(Solver):
    """ADMM as a solver.

    rho: the values that the penalty takes, each for an equal share of the W-steps.

    step_epochs: epochs of a W-step; the last has the remaining ones of `epochs`. With too few, W
    cannot follow: U grows by the same distance again and again, and throws W beyond its goal.
    """

    rho: Annotated[Sequence[float], "> 0"] = (0.001, 0.01, 0.1)
    epochs: Annotated[int, ">= 1"] = 15
    step_epochs: Annotated[int, ">= 1"] = 1

    def __post_init__(self) -> None:
        if len(self.rho) > self.n_steps:
            raise StudyError(
                f"rho = {list(self.rho)}",
                f"{len(self.rho)} values for {self.n_steps} W-steps ({self.epochs} epochs, step_epochs {self.step_epochs})",
                "allowed is at most one a step",
            )

    @property
    def n_steps(self) -> int:
        return ceil(self.epochs / self.step_epochs)

    def start(
        self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator
    ) -> "AdmmPenalty":
        shares = np.array_split(np.arange(self.n_steps), len(self.rho))
        schedule = [
            rho
            for rho, share in zip(self.rho, shares, strict=True)
            for _ in share
            for _ in range(self.step_epochs)
        ]
        return AdmmPenalty(task.model, sparsity_set, schedule[: self.epochs], self.step_epochs)


class AdmmPenalty(Callback):
    """The penalty, whose gradient is added to each step, with the Z- and U-steps.

    These come after each W-step, and after the last epoch.

    residuals: for each layer one row for each Z-step, columns as in RESIDUALS: primal ||W - Z||,
    dual rho ||Z - Z_before||, and ||W||.
    """

    passes = 0.0

    def __init__(
        self,
        model: nn.Module,
        sparsity_set: SparsitySet,
        rho_schedule: Sequence[float],
        step_epochs: int = 1,
    ) -> None:
        self.sparsity_set = sparsity_set
        self.step_epochs = step_epochs
        self.rho_schedule = list(rho_schedule)
        self.rho = self.rho_schedule[0]
        weights = prunable_weights(model)
        budgets = sparsity_set.budgets(
            {name: tuple(weight.shape) for name, weight in weights.items()}
        )
        self.weights = {name: weight for name, weight in weights.items() if name in budgets}
        self.z = self._project({name: weight.detach() for name, weight in self.weights.items()})
        self.u = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.residuals: dict[str, list[list[float]]] = {name: [] for name in self.weights}
        self._set_anchor()

    def on_gradients(self) -> None:
        """Add rho (W - (Z - U)) to the gradients, in place."""
        if not self.weights:  # the foreach operations refuse an empty list
            return
        gradients = [weight.grad for weight in self.weights.values()]
        with torch.no_grad():
            torch._foreach_add_(gradients, list(self.weights.values()), alpha=self.rho)
            torch._foreach_sub_(gradients, self._anchor)

    @torch.no_grad()
    def on_epoch(self, epoch: int) -> None:
        done = epoch + 1
        if done % self.step_epochs == 0 or done == len(self.rho_schedule):
            self._step_z_and_u(done)
        self._raise_rho(done)
        self._set_anchor()

    def _step_z_and_u(self, epochs_done: int) -> None:
        before = self.z
        weights = {name: weight.detach() for name, weight in self.weights.items()}
        self.z = self._project({name: weight + self.u[name] for name, weight in weights.items()})
        for name, weight in weights.items():
            self.u[name] += weight - self.z[name]
            primal = float((weight - self.z[name]).norm())
            dual = self.rho * float((self.z[name] - before[name]).norm())
            self.residuals[name].append([epochs_done, self.rho, primal, dual, float(weight.norm())])

    def masks(self) -> dict[str, Tensor]:
        """Return the masks of the hard projection of W."""
        return self.sparsity_set.masks(
            {name: weight.detach() for name, weight in self.weights.items()}
        )

    def tensors(self) -> dict[str, Tensor]:
        rows = {
            f"residuals/{name}": torch.tensor(rows, dtype=torch.float64)
            for name, rows in self.residuals.items()
        }
        return {
            **{f"z/{n}": z for n, z in self.z.items()},
            **{f"u/{n}": u for n, u in self.u.items()},
            **rows,
        }

    def state(self) -> dict[str, Tensor]:
        return {"rho": torch.tensor(self.rho, dtype=torch.float64), **self.tensors()}

    def load_state(self, state: dict[str, Tensor]) -> None:
        self.rho = float(state["rho"])
        for name, weight in self.weights.items():
            self.z[name] = torch.empty_like(weight).copy_(state[f"z/{name}"])
            self.u[name] = torch.empty_like(weight).copy_(state[f"u/{name}"])
            self.residuals[name] = state[f"residuals/{name}"].tolist()
        self._set_anchor()

    def _project(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        masks = self.sparsity_set.masks(weights)
        return {name: weight * masks[name] for name, weight in weights.items()}

    def _raise_rho(self, next_epoch: int) -> None:
        if next_epoch < len(self.rho_schedule) and self.rho_schedule[next_epoch] != self.rho:
            factor = self.rho / self.rho_schedule[next_epoch]
            self.u = {name: u * factor for name, u in self.u.items()}
            self.rho = self.rho_schedule[next_epoch]

    def _set_anchor(self) -> None:
        """Compute rho (Z - U), which stays the same for an epoch."""
        self._anchor = [self.rho * (self.z[name] - self.u[name]) for name in self.weights]
