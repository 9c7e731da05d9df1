"""Rates of this machine, measured on small pieces of the study's own work.

They are CPU seconds of one thread. Measuring a study takes seconds. Every piece runs once
unmeasured, unless that run took so long that it must serve as the measurement.
"""

import copy
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile

from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc
from mia_pruning.models.generator import ConditionalAutoencoder, fit_epochs
from mia_pruning.operations.plan.counting import (
    NetworkCounts,
    SolverCounts,
    count_network,
    count_solver,
    n_bytes,
    random_data,
)
from mia_pruning.probes.asked import Asked
from mia_pruning.registry import find, options_of
from mia_pruning.stages.fitting import RECIPE_KEYS
from mia_pruning.stages.networks import build, make_objective
from mia_pruning.training.loop import Recipe, Trainer, predict
from mia_pruning.training.objective import Task
from mia_pruning.training.optimizers import optimizer_state
from mia_pruning.traits import AttackTraits
from mia_pruning.types import Signals, StudyError

#: The study's entries of probes, by their keys, have this type.
Probes = Mapping[str, Mapping[str, Any]]
NO_PROBES: Probes = MappingProxyType({})
NO_TRAITS = AttackTraits()
#: A piece is measured for this many seconds.
SECONDS = 0.6
#: A calibrated step has at most this many operations; a larger network takes four images per step.
MOST_FLOPS = 3e10
MOST_STEPS = 3
#: The rate is so small that random labels make no loss infinite. A step costs the same at any
#: rate.
LEARNING_RATE = 1e-6


@dataclass(frozen=True)
class TrainingRates:
    """Training of one network by one objective.

    seconds_per_step    of the optimiser's step
    seconds_per_example of all that an example takes besides that step
    seconds_per_answer  a forward pass in float32
    passes              forward and backward passes that the objective makes of one example
    step_bytes          the most that a step holds at a time, whatever its batch, besides weights
                        and the optimiser's state
    example_bytes       the same for each example of the batch
    optimizer_bytes     the optimiser's state
    carried_bytes       tensors that the objective leaves
    """

    seconds_per_step: float
    seconds_per_example: float
    seconds_per_answer: float
    passes: float
    step_bytes: float
    example_bytes: float
    optimizer_bytes: int
    carried_bytes: int


@dataclass(frozen=True)
class ProbeRates:
    """Asking one model.

    seconds_per_example: for each example of the pool.
    seconds_per_reference: for each example of the reference set, which a probe may train on.
    """

    seconds_per_example: float
    seconds_per_reference: float


@dataclass(frozen=True)
class StartRates:
    """A job that does nothing but import what it needs."""

    seconds: float
    memory_bytes: int


class Machine:
    """This machine, and the networks as it builds them. Nothing is measured or counted twice."""

    def __init__(self) -> None:
        self._known: dict[str, Any] = {}

    def network(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> NetworkCounts:
        """Return the counts of a network; settings: model and objective."""
        settings = {key: settings[key] for key in ("model", "objective")}
        return self._once(
            lambda: count_network(build(settings, image_shape, n_classes), image_shape),
            settings,
            image_shape,
        )

    def training(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> TrainingRates:
        """Return the rates of training; settings: model, objective and training."""
        training = {key: settings["training"][key] for key in (*RECIPE_KEYS, "augmentation")}
        settings = {
            "model": settings["model"],
            "objective": settings["objective"],
            "training": training,
        }
        flops = self.network(settings, image_shape, n_classes).flops
        return self._once(
            lambda: _tried(settings, image_shape, n_classes, flops), settings, image_shape
        )

    def solver(
        self, settings: Mapping[str, Any], image_shape: tuple, n_classes: int
    ) -> SolverCounts:
        """Return the counts of a solver; settings: model, objective and constraint."""
        key = (
            settings["model"],
            settings["constraint"],
        )  # No objective changes which weights are pruned.
        return self._once(lambda: count_solver(settings, image_shape, n_classes), key, image_shape)

    def probe(
        self,
        entry: Mapping[str, Any],
        settings: Mapping[str, Any],
        image_shape: tuple,
        n_classes: int,
    ) -> ProbeRates:
        """Return the rates of a probe; settings: model and objective."""
        flops = self.network(settings, image_shape, n_classes).flops
        make = lambda: measure_probe(entry, settings, image_shape, n_classes, flops)  # noqa: E731
        return self._once(make, entry, settings["model"], image_shape)

    def attack(
        self, entry: Mapping[str, Any], probes: Probes, image_shape: tuple, n_classes: int
    ) -> float:
        """Return the seconds for each row that the attacker learns from."""
        make = lambda: measure_attack(entry, image_shape, n_classes, probes=probes)  # noqa: E731
        return self._once(make, entry, probes, image_shape, n_classes)

    def generator(self, image_shape: tuple, n_classes: int) -> float:
        """Return the seconds for each example of each epoch that a generator is fitted to."""
        return self._once(lambda: measure_generator(image_shape, n_classes), image_shape, n_classes)

    def bootstrap(self) -> float:
        """Return the seconds per example and bootstrap replicate of one target's metrics."""
        return self._once(measure_bootstrap, "bootstrap")

    def start(self, libraries: str) -> StartRates:
        """Return the rates of starting a job with these libraries."""
        return self._once(lambda: measure_start(libraries), "start", libraries)

    def _once(self, make: Callable[[], Any], *key: Any) -> Any:
        name = json.dumps([make.__qualname__, key], sort_keys=True)
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]


def _tried(settings: Mapping[str, Any], *arguments: Any) -> TrainingRates:
    """Return the rates of `measure_training`.

    Raises:
        StudyError: This network cannot be trained so.
    """
    try:
        return measure_training(settings, *arguments)
    except Exception as error:  # A user's model or objective may raise anything.
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        raise StudyError(
            f"model {settings['model']}, objective {settings['objective']}",
            f"a training step fails with {reason}",
        ) from error


def measure_training(
    settings: Mapping[str, Any], image_shape: tuple, n_classes: int, flops: int
) -> TrainingRates:
    """Return the rates of a few steps by the real trainer and objective on random images.

    Batches are as large as there is time for.
    """
    step_flops = 3 * flops
    batch_size = max(4, min(settings["training"]["batch_size"], int(MOST_FLOPS / step_flops)))
    n_steps = max(2, min(MOST_STEPS, int(MOST_FLOPS / step_flops / batch_size)))
    trainer = _trainer(settings, image_shape, n_classes, batch_size, batch_size * n_steps)
    epoch = seconds_of(lambda: trainer.train_epoch(0))
    answered = random_data(max(2, min(500, int(MOST_FLOPS / flops))), image_shape, n_classes)
    answers = seconds_of(lambda: predict(trainer.model, answered))
    step = seconds_of(trainer.optimizer.step)
    step_bytes, example_bytes = measure_memory(settings, image_shape, n_classes, batch_size)
    return TrainingRates(
        seconds_per_step=step,
        seconds_per_example=max(0.0, epoch - step * n_steps) / (batch_size * n_steps),
        seconds_per_answer=answers / len(answered),
        passes=trainer.pursuit.passes,
        step_bytes=step_bytes,
        example_bytes=example_bytes,
        optimizer_bytes=n_bytes(optimizer_state(trainer.optimizer).values()),
        carried_bytes=n_bytes(trainer.pursuit.tensors().values()),
    )


def measure_memory(
    settings: Mapping[str, Any], image_shape: tuple, n_classes: int, batch_size: int
) -> tuple[float, float]:
    """Return the most bytes that a training step holds: whatever its batch, and per example of it.

    They are those of the line through this batch and one of half its size.
    """
    peaks = {}
    for size in (batch_size // 2, batch_size):
        trainer = _trainer(settings, image_shape, n_classes, size, size)
        trainer.train_epoch(0)  # This makes the optimiser's state.
        peaks[size] = peak_bytes(lambda trainer=trainer: trainer.train_epoch(1))
    (half, of_half), (whole, of_whole) = peaks.items()
    per_example = max(0.0, (of_whole - of_half) / (whole - half))
    return of_whole - whole * per_example, per_example


def peak_bytes(action: Callable[[], object]) -> int:
    """Return the largest number of bytes held at a time that PyTorch allocated during the action.

    Only the CPU counts. Earlier allocations count for nothing, even if they are freed: their sizes
    are unknown.

    >>> import torch
    >>> peak_bytes(lambda: [torch.ones(100), torch.ones(100), torch.ones(300)].clear() or torch.ones(400))
    2000
    """
    os.environ.setdefault(
        "KINETO_LOG_LEVEL", "99"
    )  # Otherwise the profiler reports its start and end on standard error.
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        action()
    held, total, peak = {}, 0, 0
    for event in sorted(_allocations(profiled), key=lambda event: event.start_time_ns):
        address, size = event.extra_fields.ptr, event.extra_fields.alloc_size
        # The profiler remembers sizes by address beyond its end. So it may give a freed block the
        # size of another one.
        change = size if size > 0 else -held.pop(address, 0)
        held.update({address: size} if size > 0 else {})
        total += change
        peak = max(peak, total)
    return peak


def _allocations(profiled: profile) -> Iterator[Any]:
    """Yield the blocks of memory that were taken and given back.

    A block is an event below the operation that it belongs to.
    """
    pending = list(profiled.profiler.kineto_results.experimental_event_tree())
    while pending:
        event = pending.pop()
        pending.extend(event.children)
        if event.tag == _EventType.Allocation and event.extra_fields.device.type == "cpu":
            yield event


def _trainer(
    settings: Mapping[str, Any],
    image_shape: tuple,
    n_classes: int,
    batch_size: int,
    n_examples: int,
) -> Trainer:
    training = settings["training"]
    data = random_data(n_examples, image_shape, n_classes, training["augmentation"])
    task = Task(
        build(settings, image_shape, n_classes), data, batch_size, n_classes, reference=data
    )
    recipe = Recipe(
        **{key: training[key] for key in RECIPE_KEYS}
        | {"batch_size": batch_size, "learning_rate": LEARNING_RATE}
    )
    return Trainer(
        task,
        make_objective(settings["objective"]),
        recipe,
        lambda epoch: np.random.default_rng(epoch),
    )


def seconds_of(action: Callable[[], object]) -> float:
    """Return the CPU seconds of one call in one thread, as jobs have.

    With several threads, their waiting for each other would count as work.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            return _seconds_of(action)
    finally:
        torch.set_num_threads(n_threads)


def _seconds_of(action: Callable[[], object]) -> float:
    first = _timed(action)
    if first > SECONDS:
        return first
    seconds = [_timed(action)]
    while sum(seconds) < SECONDS:
        seconds.append(_timed(action))
    return float(np.mean(seconds))


def _timed(action: Callable[[], object]) -> float:
    started = time.process_time()
    action()
    return time.process_time() - started


def measure_probe(
    entry: Mapping[str, Any],
    settings: Mapping[str, Any],
    image_shape: tuple,
    n_classes: int,
    flops: int,
) -> ProbeRates:
    """Return seconds per example of the pool and of the reference, measured on random images."""
    plug_in = find("probe", entry["use"], "probe.use")
    function, options = plug_in.load(), options_of(plug_in, dict(entry))
    few, many = 2, max(8, min(100, int(MOST_FLOPS / flops / 100)))

    def seconds(n_pool: int, n_reference: int) -> float:
        pool, reference = (
            random_data(count, image_shape, n_classes) for count in (n_pool, n_reference)
        )
        untrained = lambda: build(settings, image_shape, n_classes)  # noqa: E731
        asked = Asked(untrained().eval(), pool, reference, untrained, np.random.default_rng(0))
        return seconds_of(lambda: function(asked, **options))

    seconds(few, few)  # This loads what the probe needs.
    least = seconds(few, few)
    in_pool, in_reference = seconds(many, few), seconds(few, many)
    return ProbeRates(_slope(least, in_pool, few, many), _slope(least, in_reference, few, many))


def _slope(least: float, most: float, few: int, many: int) -> float:
    """Return seconds per example.

    Where noise hides the difference, they are an upper bound: all seconds over all examples.
    """
    return (most - least) / (many - few) if most > least else most / many


def measure_attack(
    entry: Mapping[str, Any],
    image_shape: tuple,
    n_classes: int,
    n_examples: int = 1000,
    probes: Probes = NO_PROBES,
) -> float:
    """Return the seconds of an attack for each row that it learns from.

    They are measured on made-up signals of six shadow models and two targets. An attack that
    trains does so for the number of epochs in its entry.
    """
    plug_in = find("attack", entry["use"], "attack.use")
    function, options = plug_in.load(), options_of(plug_in, dict(entry))
    make_signals = partial(
        made_up_signals,
        n_examples=n_examples,
        image_shape=image_shape,
        n_classes=n_classes,
        traits=plug_in.traits,
        probes=probes,
    )
    shadows, targets = make_signals(6), replace(make_signals(2), membership=None)

    def seconds(**changes: Any) -> float:
        return seconds_of(
            lambda: function(targets, shadows, np.random.default_rng(0), **{**options, **changes})
        )

    n_rows = shadows.candidates.sum()
    if "min_steps" not in options:
        return seconds() / n_rows
    one, three = (seconds(epochs=epochs, min_steps=1) for epochs in (1, 3))
    further = options["epochs"] - 1
    return (one + further * max(0.0, three - one) / 2) / n_rows


def made_up_signals(
    n_models: int,
    n_examples: int,
    image_shape: tuple,
    n_classes: int,
    traits: AttackTraits = NO_TRAITS,
    probes: Probes = NO_PROBES,
) -> Signals:
    """Return signals of pairs of twins that leak a little, for an attack of these traits.

    The population is as large as the pool.

    probes: the study's entry of each probe by its key. A probe without an entry is the built-in of
    that name.
    """
    rng = np.random.default_rng(n_models)
    labels = rng.integers(0, n_classes, n_examples)
    halves = rng.permuted(np.tile(np.arange(n_examples) % 2 == 0, (n_models // 2, 1)), axis=1)
    members = np.concatenate([halves, ~halves])
    logits, population = rng.normal(size=(2, n_models, n_examples, n_classes)).astype(np.float32)
    logits[:, np.arange(n_examples), labels] += 1 + members
    images = (
        rng.integers(0, 256, (n_examples, *image_shape), dtype=np.uint8) if traits.images else None
    )
    return Signals(
        logits,
        labels,
        np.ones_like(members),
        members,
        population,
        labels,
        probes={
            name: made_up_answers(probes.get(name, {"use": name}), logits, image_shape)
            for name in traits.probes
        },
        dense=logits + np.float32(0.1) if traits.dense else None,
        images=images,
        population_images=images,
    )


def made_up_answers(entry: Mapping[str, Any], logits: np.ndarray, image_shape: tuple) -> np.ndarray:
    """Return random answers in the shape of those of the probe."""
    plug_in, n_classes = find("probe", entry["use"], "probe.use"), logits.shape[-1]
    options = options_of(plug_in, dict(entry))
    if plug_in.traits.recorded:
        n_recorded = len(plug_in.load()(n_epochs=100, **options))
        return np.random.default_rng(0).random((*logits.shape[:2], n_recorded), dtype=np.float32)
    reference = random_data(4, image_shape, n_classes)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(prod(image_shape), n_classes))
    asked = Asked(
        network.eval(),
        reference,
        reference,
        lambda: copy.deepcopy(network),
        np.random.default_rng(0),
    )
    shape = plug_in.load()(asked, **options).shape[1:]
    return np.random.default_rng(0).random((*logits.shape[:2], *shape), dtype=np.float32)


def measure_generator(image_shape: tuple, n_classes: int, n_examples: int = 256) -> float:
    """Return the seconds of fitting a generator, for each example and epoch.

    They are half of three epochs minus one, on random images, so work that is done once does not
    count.
    """
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n_examples, *image_shape), dtype=np.uint8)
    labels = rng.integers(0, n_classes, n_examples)

    def fit(epochs: int) -> None:
        network = ConditionalAutoencoder(prod(image_shape), n_classes)
        pixels = torch.from_numpy(images.reshape(n_examples, -1) / np.float32(255))
        of_classes = torch.from_numpy(labels)
        for _ in fit_epochs(network, pixels, of_classes, rng, epochs, LEARNING_RATE):
            pass

    one, three = (seconds_of(lambda epochs=epochs: fit(epochs)) for epochs in (1, 3))
    return max(0.0, three - one) / 2 / n_examples


def measure_bootstrap(n_examples: int = 2000, n_replicates: int = 100) -> float:
    """Return the seconds per example and bootstrap replicate of one target's metrics."""
    rng = np.random.default_rng(0)
    scores, members = rng.normal(size=n_examples), np.arange(n_examples) % 2 == 0
    weights = rng.integers(0, 3, (n_replicates, n_examples)).astype(np.float32)

    def metrics() -> None:
        curve = weighted_roc(scores, members, weights)
        balanced_accuracy(scores, members, weights)
        curve.auc(), curve.tpr_at(0.1), curve.tpr_at(0.01)

    return seconds_of(metrics) / (n_examples * n_replicates)


#: Each kind of job imports and does this before its own work.
LIBRARIES = {
    "arrays": "import mia_pruning.stages.attack, scipy.special",
    "arrays_and_trees": "import mia_pruning.stages.attack, sklearn.ensemble",
    "tables": "import mia_pruning.stages.evaluate, pandas",
    "figures": "import mia_pruning.reporting.drawing, jinja2",
    "torch": (
        "import torch, mia_pruning.stages.fitting; torch.set_num_threads(1); layer = torch.nn.Conv2d(1, 8, 3);"
        "step = torch.optim.Adam(layer.parameters(), fused=True); layer(torch.zeros(8, 1, 8, 8)).sum().backward(); step.step()"
    ),
}
#: The program reports the resident set by /proc. That of getrusage would be the parent's, if that
#: is larger.
_REPORT = """
import json, time
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps([time.process_time(), int(peak.split()[1])]))
"""


def measure_start(libraries: str) -> StartRates:
    """Return the rates of a process that a `script:` rule starts, with these libraries."""
    program = f"import snakemake.script\n{LIBRARIES[libraries]}\n{_REPORT}"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    seconds, kilobytes = json.loads(done.stdout)
    return StartRates(seconds, kilobytes * 1024)
