"""Cost of each rule of a study.

It is the rule's work, read from the study, times the counts and measurements of this machine.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import ceil, prod
from typing import Any, Protocol

import numpy as np

from mia_pruning.metrics.names import TPR_AT
from mia_pruning.operations.plan.calibration import ProbeRates, StartRates, TrainingRates
from mia_pruning.operations.plan.counting import NetworkCounts, SolverCounts
from mia_pruning.operations.resources import WHOLE_STUDY
from mia_pruning.registry import find
from mia_pruning.stages.attack import attack_groups
from mia_pruning.stages.evaluate import ROC_GRID
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import is_derived, n_generated
from mia_pruning.study.layout import Layout
from mia_pruning.study.pipeline import RULES, Rule
from mia_pruning.study.study import Study
from mia_pruning.training.objective import FORWARD
from mia_pruning.types import DatasetSource

#: An epoch with a solver's callback or with masks takes this many times one without; `make bench`
#: has measured 0.84 to 1.13.
CALLBACKS = 1.05
#: The projection at a solver's end takes as long as this many test accuracies: two of them, and
#: twice the answers themselves.
PROJECTION_TESTS = 4
#: One process takes at most this long to read, decode and shrink an image file: a photograph of
#: ImageNet.
DECODING_SECONDS = 0.012
#: This many images are answered in one batch.
ANSWERED_TOGETHER = 500
#: An attack makes this many copies of the logits in double precision.
ATTACK_COPIES = 4
#: An attack that is a network answers all rows at once. Its widest layer takes this many bytes per
#: row: float32, in and out.
ATTACK_ROW_BYTES = 2 * 4 * 1024
#: A probe answers an example with at most this many numbers: those of five copies of it and ten
#: classes.
PROBED_VALUES = 50
#: A recorded loss is a float16.
LOSS_BYTES = 2
#: The provenance record and the names inside a small result file take this many bytes.
RECORD_BYTES = 8_000
#: A figure takes the first number of bytes: its table, its copy in the report and its files for
#: papers. A CSV row of a ROC takes the second.
FIGURE_BYTES, ROC_ROW_BYTES = 180_000, 60


@dataclass(frozen=True)
class Cost:
    """Needs of some jobs of one rule besides starting.

    memory_bytes, longest_seconds and longest_flops are of the largest job. All else is of all jobs
    together.

    models: number of models that are trained or queried.
    """

    models: int = 0
    cpu_seconds: float = 0.0
    flops: float = 0.0
    memory_bytes: float = 0.0
    disk_bytes: float = 0.0
    longest_seconds: float = 0.0
    longest_flops: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.models + other.models,
            self.cpu_seconds + other.cpu_seconds,
            self.flops + other.flops,
            max(self.memory_bytes, other.memory_bytes),
            self.disk_bytes + other.disk_bytes,
            max(self.longest_seconds, other.longest_seconds),
            max(self.longest_flops, other.longest_flops),
        )


@dataclass(frozen=True)
class RuleCost:
    """One rule's jobs, with the cost of starting them."""

    rule: str
    jobs: int
    cost: Cost


class Rates(Protocol):
    """`calibration.Machine`, or known rates in its place."""

    def network(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> NetworkCounts: ...
    def training(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> TrainingRates: ...
    def solver(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> SolverCounts: ...
    def probe(
        self,
        entry: Mapping[str, Any],
        settings: Mapping[str, Any],
        image_shape: tuple,
        n_classes: int,
    ) -> ProbeRates: ...
    def attack(self, entry: Mapping[str, Any], image_shape: tuple, n_classes: int) -> float: ...
    def generator(self, image_shape: tuple, n_classes: int) -> float: ...
    def bootstrap(self) -> float: ...
    def start(self, libraries: str) -> StartRates: ...


def rule_costs(layout: Layout, jobs: Mapping[str, int], rates: Rates) -> list[RuleCost]:
    """Return one entry for each rule of Snakemake's plan, in its order."""
    work: dict[str, Cost] = {}
    for rule, _, cost in study_costs(layout, rates):
        work[rule] = work.get(rule, Cost()) + cost
    return [
        RuleCost(rule, n_jobs, with_start(rule, n_jobs, work.get(rule, Cost()), rates))
        for rule, n_jobs in jobs.items()
    ]


def with_start(rule: str, n_jobs: int, work: Cost, rates: Rates) -> Cost:
    """Return the work of this many jobs, with the cost of starting and ending each."""
    start = rates.start(RULES.get(rule, Rule()).libraries)
    disk = FIGURE_BYTES if rule == "draw_figure" else RECORD_BYTES
    return Cost(
        work.models,
        work.cpu_seconds + n_jobs * start.seconds,
        work.flops,
        work.memory_bytes + start.memory_bytes,
        work.disk_bytes + n_jobs * disk,
        work.longest_seconds + start.seconds,
        work.longest_flops,
    )


def study_costs(layout: Layout, rates: Rates) -> Iterator[tuple[str, str, Cost]]:
    """Yield parts of the study's work with their rule and experiment."""
    study = layout.study
    for name in {experiment["dataset"] for experiment in study["experiments"].values()}:
        yield "pack_dataset", WHOLE_STUDY, _packing(study.sources[name])
    for experiment in [*study["experiments"], *study.generated]:
        defences = [study["defences"][name] for name in study.defences_of(experiment)]
        for objective in dict.fromkeys(pair["objective"] for pair in defences):
            fitted = Fitted(layout, experiment, objective, rates)
            costs = list(fitted.costs())
            for _ in study["seeds"]:
                yield from ((rule, experiment, cost) for rule, cost in costs)
        for _ in study["seeds"]:
            yield "split_examples", experiment, Cost(disk_bytes=fitted.split_bytes)
            if is_derived(experiment):
                yield "generate_examples", experiment, fitted.generating()


def _packing(source: DatasetSource) -> Cost:
    """Return the cost of packing a data set.

    Its files hold the images, and two integers of 8 bytes per example.
    """
    images = source.n_examples * prod(source.image_shape)
    decoding = DECODING_SECONDS * source.n_examples / 2 if source.n_processes > 1 else 0.0
    return Cost(
        memory_bytes=2 * images,
        disk_bytes=images + 16 * source.n_examples,
        longest_seconds=decoding,
    )


@dataclass(frozen=True)
class Fitted:
    """The models of one objective, experiment and seed, in every stage that concerns them."""

    layout: Layout
    experiment: str
    objective: str
    rates: Rates

    @property
    def study(self) -> Study:
        return self.layout.study

    def costs(self) -> Iterator[tuple[str, Cost]]:
        """Yield parts of the work on these models with their rule."""
        pairs = {
            name: self.study["defences"][name] for name in self.study.defences_of(self.experiment)
        }
        constraints = {
            name: pair["constraint"]
            for name, pair in pairs.items()
            if pair["objective"] == self.objective
        }
        if any(
            self.study.starts_dense(self.experiment, constraint)
            for constraint in constraints.values()
        ):
            for role, (n_models, n_members) in self.roles.items():
                yield f"train_{role}", self._training(n_models, n_members)
        for defence, constraint in constraints.items():
            if not self.study.is_dense(self.experiment, constraint):
                yield from self._sparse(constraint)
            yield "query_models", self._querying()
            if is_derived(self.experiment):  # its models are shadows only
                continue
            if self.study.takes_subnetworks(self.experiment, constraint):
                yield "measure_distance", self._measuring_distance()
            yield "measure_release", Cost(disk_bytes=2 * self.network.state_bytes)
            yield from self._attacking(defence)
        for probe, constraint in self._probes():
            if self.study.is_recorded(probe):
                yield "gather_traces", self._gathering(constraint)
            else:
                yield "probe_models", self._probing(probe)

    @property
    def split(self) -> dict[str, Any]:
        return self.study.experiment(self.experiment)["split"]

    @cached_property
    def training(self) -> dict[str, Any]:
        return self.study.training(self.experiment, self.objective)

    @cached_property
    def settings(self) -> dict[str, Any]:
        return {
            "model": self.study.model(self.experiment, self.objective),
            "objective": self.study.objective(self.objective),
            "training": self.training,
        }

    @cached_property
    def source(self) -> DatasetSource:
        return self.study.sources[self.study.experiment(self.experiment)["dataset"]]

    @property
    def _data(self) -> tuple[tuple[int, int, int], int]:
        return self.source.image_shape, len(self.source.class_names)

    @cached_property
    def network(self) -> NetworkCounts:
        return self.rates.network(self.settings, *self._data)

    @cached_property
    def measured(self) -> TrainingRates:
        return self.rates.training(self.settings, *self._data)

    @cached_property
    def roles(self) -> dict[str, tuple[int, int]]:
        """Number of models and number of members of each model, by role."""
        return self.layout.members_by_role(self.experiment)

    @property
    def n_models(self) -> int:
        return sum(n_models for n_models, _ in self.roles.values())

    @property
    def n_pool(self) -> int:
        """Number of examples that members are drawn from; half of each pool is a model's."""
        return sum(2 * n_members for _, n_members in self.roles.values())

    @property
    def n_examples(self) -> int:
        """Number of examples that each model is queried on."""
        return self.n_pool + self.split["test"] + self.split["reference"]

    @property
    def split_bytes(self) -> int:
        """Bytes of a split: 8 for an index, and one each for candidates and membership."""
        return 8 * self.n_examples + 2 * self.n_models * self.n_pool

    @property
    def model_bytes(self) -> int:
        """Bytes of a stored model."""
        return self.network.state_bytes + self.measured.carried_bytes

    def generating(self) -> Cost:
        """Return the cost of fitting a generator to the reference set and drawing all examples."""
        n_pixels, generator = prod(self.source.image_shape), self.study["generator"]
        seconds = generator["epochs"] * self.split["reference"] * self.rates.generator(*self._data)
        n_examples = n_generated(self.study.experiment(self.experiment))
        # These are four copies of the pixels as float32: the fitted ones, and the logits, values
        # and bytes that are drawn.
        return Cost(
            cpu_seconds=seconds,
            memory_bytes=16 * n_pixels * max(n_examples, self.split["reference"]),
            disk_bytes=n_examples * (n_pixels + 16),
            longest_seconds=seconds,
        )

    # --- training --------------------------------------------------------------------------------

    def _training(self, n_models: int, n_members: int) -> Cost:
        n_recorded = self.study.trace_epochs(self.experiment, self.objective)
        cost = self._fit(n_models, n_members, self.training["epochs"], n_recorded=n_recorded)
        return cost + Cost(disk_bytes=n_models * self.model_bytes)

    def _sparse(self, constraint: str) -> Iterator[tuple[str, Cost]]:
        """Yield the costs of pruning and retraining."""
        entry = self.study.constraint(self.experiment, constraint)
        solver = self.rates.solver({**self.settings, "constraint": entry}, *self._data)
        for n_models, n_members in self.roles.values():
            pruned = self.model_bytes + solver.mask_bytes + solver.tensor_bytes
            n_recorded = self.study.trace_epochs(self.experiment, self.objective, constraint)
            further = {"slower": CALLBACKS, "held_bytes": pruned + self.model_bytes}
            search = n_members * solver.passes_per_member
            pruning = self._fit(
                n_models, n_members, solver.epochs, tests=PROJECTION_TESTS, passes=search, **further
            )
            yield "prune_models", pruning + Cost(disk_bytes=n_models * pruned)
            further["n_recorded"] = n_recorded
            retraining = self._fit(n_models, n_members, entry["retrain_epochs"], **further)
            yield (
                "retrain_models",
                retraining + Cost(disk_bytes=n_models * (self.model_bytes + solver.mask_bytes)),
            )

    def _fit(
        self,
        n_models: int,
        n_members: int,
        epochs: int,
        *,
        tests: int = 0,
        passes: float = 0.0,
        slower: float = 1.0,
        held_bytes: float = 0.0,
        n_recorded: int = 0,
    ) -> Cost:
        """Return the cost of training this many models.

        tests, passes: besides those of the epochs.
        held_bytes: of a model, besides its own.
        n_recorded: the largest number of epochs at whose ends the losses of the pool are recorded.
        """
        measured, network, n_test = self.measured, self.network, self.split["test"]
        tests += ceil(epochs / self.training["test_every"])
        n_steps = epochs * ceil(n_members / self.training["batch_size"])
        n_seen = epochs * n_members + passes / measured.passes
        seconds = slower * (
            n_steps * measured.seconds_per_step + n_seen * measured.seconds_per_example
        )
        traced = min(epochs, n_recorded) * self.n_pool
        n_answers = tests * n_test + traced
        seconds += n_answers * measured.seconds_per_answer
        flops = network.flops * (n_seen * measured.passes / FORWARD + n_answers)
        pool_bytes = self.n_pool * (prod(self.source.image_shape) + 8) if n_recorded else 0
        trace_bytes = LOSS_BYTES * traced
        finished_bytes = self.model_bytes + held_bytes + trace_bytes
        per_job = min(n_models, self.layout.models_per_job(self.experiment))
        return Cost(
            models=n_models,
            cpu_seconds=n_models * seconds,
            flops=n_models * flops,
            memory_bytes=self._training_bytes(n_members) + pool_bytes + per_job * finished_bytes,
            disk_bytes=n_models * trace_bytes,
            longest_seconds=per_job * seconds,
            longest_flops=per_job * flops,
        )

    def _training_bytes(self, n_members: int) -> float:
        """Return the memory of training.

        It holds data, weights, the optimiser's state, and the larger of a step's and a test's
        memory.
        """
        measured = self.measured
        data = (n_members + self.split["test"] + self.split["reference"]) * (
            prod(self.source.image_shape) + 8
        )
        step = measured.step_bytes + self.training["batch_size"] * measured.example_bytes
        return (
            data
            + self.network.parameter_bytes
            + measured.optimizer_bytes
            + max(step, self._answer_bytes)
        )

    @property
    def _answer_bytes(self) -> int:
        """Bytes of a layer's input and output, of all images that are answered together."""
        return 2 * min(ANSWERED_TOGETHER, self.n_examples) * self.network.widest_bytes

    # --- signals, attacks, evaluation ------------------------------------------------------------

    def _querying(self) -> Cost:
        image_bytes, n_classes = prod(self.source.image_shape), len(self.source.class_names)
        signals = 4 * self.n_models * self.n_examples * n_classes
        seconds = self.n_models * self.n_examples * self.measured.seconds_per_answer
        return Cost(
            models=self.n_models,
            cpu_seconds=seconds,
            flops=float(self.n_models * self.n_examples * self.network.flops),
            memory_bytes=self.n_examples * image_bytes
            + self.n_models * self.model_bytes
            + signals
            + self._answer_bytes,
            disk_bytes=signals,
            longest_seconds=seconds,
            longest_flops=float(self.n_models * self.n_examples * self.network.flops),
        )

    def _probes(self) -> list[tuple[str, str]]:
        """Return probe and constraint of each job that asks models or gathers their losses."""
        wanted = set()
        for attack in self.study["attacks"]:
            pairs = self.study.probed_defences(attack, self.experiment)
            mine = [pair["constraint"] for pair in pairs if pair["objective"] == self.objective]
            wanted |= set(product(self.study.probes_of(attack), mine))
        return sorted(wanted)

    def _gathering(self, constraint: str) -> Cost:
        """Return the cost of gathering the losses of all models.

        They are in memory twice, by batch and joined, and once on the disk.
        """
        n_recorded = min(
            self.study.last_epochs(self.experiment, self.objective, constraint),
            self.study.trace_epochs(self.experiment, self.objective, constraint),
        )
        losses = LOSS_BYTES * self.n_models * self.n_pool * n_recorded
        return Cost(memory_bytes=2 * losses, disk_bytes=losses)

    def _probing(self, probe: str) -> Cost:
        rates = self.rates.probe(self.study["probes"][probe], self.settings, *self._data)
        n_reference = self.split["reference"]
        seconds = self.n_models * (
            self.n_pool * rates.seconds_per_example + n_reference * rates.seconds_per_reference
        )
        images = (self.n_pool + n_reference) * prod(self.source.image_shape)
        return Cost(
            models=self.n_models,
            cpu_seconds=seconds,
            memory_bytes=images + self.n_models * self.model_bytes + 2 * self._answer_bytes,
            disk_bytes=4 * self.n_models * self.n_pool * PROBED_VALUES,
            longest_seconds=seconds,
        )

    def _measuring_distance(self) -> Cost:
        """Return the cost of asking dense, pruned and retrained networks on the test examples."""
        n_answers = 3 * self.n_models * self.split["test"]
        held = 3 * self.n_models * self.model_bytes + self.split["test"] * prod(
            self.source.image_shape
        )
        seconds = n_answers * self.measured.seconds_per_answer
        return Cost(
            cpu_seconds=seconds,
            flops=float(n_answers * self.network.flops),
            memory_bytes=held + self._answer_bytes,
            longest_seconds=seconds,
            longest_flops=float(n_answers * self.network.flops),
        )

    def _attacking(self, defence: str) -> Iterator[tuple[str, Cost]]:
        """Yield the costs of every attack by every attacker, and of their evaluation."""
        names = self.study.attacks_on(self.experiment, defence)
        for attack, attacker in names:
            yield "run_attack", self._attack(attack, attacker)
        yield "evaluate_defence", self._evaluating(len(names))

    def _attack(self, attack: str, attacker: str) -> Cost:
        entry = self.study["attacks"][attack]
        probes = {probe: self.study["probes"][probe] for probe in self.study.probes_of(attack)}
        n_targets, n_classes = self.split["models"], len(self.source.class_names)
        known = self._known_rows(entry["targets_per_group"], attacker)
        start = self.rates.start(libraries_of(entry))
        bare = self.rates.start("arrays")
        seconds = (
            sum(known) * self.rates.attack(entry, probes, *self._data)
            + start.seconds
            - bare.seconds
        )
        rows = max(known) + n_targets * self.n_pool
        learnt = max(known) * ATTACK_ROW_BYTES if start is not bare else 0
        return Cost(
            cpu_seconds=seconds,
            memory_bytes=start.memory_bytes
            - bare.memory_bytes
            + 8 * ATTACK_COPIES * rows * n_classes
            + learnt,
            disk_bytes=9 * n_targets * self.n_pool,
            longest_seconds=seconds,
        )

    def _known_rows(self, targets_per_group: int, attacker: str) -> list[int]:
        """Return the number of examples that an attacker learns from, for each run of the attack.

        An example counts once for each of the models.
        """
        if attacker == "known_members":
            return [self.split["examples"] // 2] * self.split["models"]
        if attacker == GENERATED_SHADOWS:
            generator = self.study["generator"]
            return [generator["models"] * generator.get("examples", self.split["examples"])]
        is_target = np.arange(self.n_models) < self.split["models"]
        candidates = 2 * list(self.roles.values())[-1][1]
        return [
            len(shadows) * candidates for _, shadows in attack_groups(is_target, targets_per_group)
        ]

    def _evaluating(self, n_attacks: int) -> Cost:
        """Return the cost of each metric of each attack and target on each bootstrap replicate."""
        n_targets, n_replicates = self.split["models"], self.study["bootstrap_replicates"] + 1
        n_drawn = n_replicates * self.split["examples"]
        seconds = n_attacks * n_targets * n_drawn * self.rates.bootstrap()
        values = n_attacks * (2 + len(TPR_AT)) * (n_targets + 2 * n_replicates)
        return Cost(
            cpu_seconds=seconds,
            memory_bytes=4 * n_replicates * self.n_pool + 8 * 4 * n_drawn,
            disk_bytes=8 * values + 2 * n_attacks * len(ROC_GRID) * ROC_ROW_BYTES,
            longest_seconds=seconds,
        )


#: An attack that learns from examples imports one of these modules: scikit-learn, or a module that
#: imports it.
LEARNING = ("sklearn", "mia_pruning.attacks.combining")


def libraries_of(entry: Mapping[str, Any]) -> str:
    """Return the name of the libraries that an attack's job imports.

    They are torch or trees, if the attack's module imports these.
    """
    module = find("attack", entry["use"], "attack.use").load().__globals__
    if "torch" in module:
        return "torch"
    origins = [getattr(value, "__module__", None) or "" for value in module.values()]
    return "arrays_and_trees" if any(of.startswith(LEARNING) for of in origins) else "arrays"
