"""`make bench`: the speed figures of docs/BENCHMARKS.md, as ratios within one process, in CPU seconds of one core.

Packing image files is measured apart, because it takes several processes: in seconds of wall time, and in peak memory of the job
and of its largest worker. Its JPEG files are made here, of noise, unless --images names a folder of class folders.

No figure here is asserted anywhere: machines differ and are shared. Compare ratios, and runs of one machine.
"""

import argparse
import functools
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from mia_pruning import provenance
from mia_pruning.attacks.base import base_offline, base_online
from mia_pruning.attacks.bavaria import bavaria_offline, bavaria_online
from mia_pruning.attacks.calibrated_loss import calibrated_loss
from mia_pruning.attacks.confidence import confidence
from mia_pruning.attacks.correctness import correctness
from mia_pruning.attacks.ensemble import ensemble
from mia_pruning.attacks.entropy import entropy
from mia_pruning.attacks.learnt import Fitting, learnt_scores
from mia_pruning.attacks.lira import lira_offline, lira_online
from mia_pruning.attacks.loss import loss
from mia_pruning.attacks.modified_entropy import modified_entropy
from mia_pruning.attacks.pmia import pmia
from mia_pruning.attacks.rmia import rmia_offline, rmia_online
from mia_pruning.constraints.admm import Admm
from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.data.fashion_mnist import fashion_mnist_t10k
from mia_pruning.metrics.membership import best_threshold
from mia_pruning.models.lenet5 import lenet5
from mia_pruning.objectives.dp_sgd import DpSgd
from mia_pruning.objectives.erm import Erm
from mia_pruning.objectives.min_max import MinMax
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.objective import Objective, Task
from mia_pruning.types import Signals

N_EXAMPLES = 5000
BATCH_SIZE = 128
MEAN, DEVIATION = [73.0], [90.0]
ERM = Erm()
#: mia_prune's attack network (USENIX Security 2022): 100 epochs of 252,000 rows in about 754 s on one core of such a machine
PEER_ROWS_PER_SECOND = 252_000 * 100 / 754


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--rounds", type=int, default=7, help="measured rounds, after one that is not counted"
    )
    parser.add_argument(
        "--images",
        type=Path,
        help="a folder of class folders of 64 x 64 JPEG files, instead of noise",
    )
    given = parser.parse_args()
    rounds = given.rounds
    torch.set_num_threads(1)
    loaded = fashion_mnist_t10k().load(Path())
    images, labels = loaded.images[:N_EXAMPLES], loaded.labels[:N_EXAMPLES].astype(np.int64)
    print(
        f"{provenance.cpu_model()}, one core, torch {torch.__version__}, {rounds} rounds; CPU seconds: median (min to max)\n"
    )
    plain, admm = _trainer(images, labels), _with_admm(images, labels)
    exact = _trainer(images, labels, "float32")
    game, private = (
        _trainer(images, labels, objective=MinMax()),
        _trainer(images, labels, "float32", DpSgd(noise=1.0)),
    )
    seconds = in_turn(
        {
            "DataLoader and PIL transforms, float32": _pil_epoch(images, labels),
            "resident, float32": lambda: exact.train_epoch(0),
            "resident, bfloat16": lambda: plain.train_epoch(0),
            "resident, bfloat16, with ADMM": lambda: _admm_epoch(admm),
            "resident, bfloat16, Min-Max": lambda: game.train_epoch(0),
            "resident, float32, DP-SGD": lambda: private.train_epoch(0),
        },
        rounds,
    )
    print(
        f"Training LeNet-5 (431,080 parameters), an epoch of {N_EXAMPLES} images in batches of {BATCH_SIZE}"
    )
    for name, values in seconds.items():
        print(
            f"  {name:40} {spread(values)}   {N_EXAMPLES / statistics.median(values):6.0f} samples/s"
        )
    print(
        f"  bfloat16 against DataLoader: {ratio(seconds, 'DataLoader and PIL transforms, float32', 'resident, bfloat16')}"
    )
    print(
        f"  ADMM epoch against plain:    {ratio(seconds, 'resident, bfloat16, with ADMM', 'resident, bfloat16')}"
    )
    print(
        f"  Min-Max against plain:       {ratio(seconds, 'resident, bfloat16, Min-Max', 'resident, bfloat16')}"
    )
    print(
        f"  DP-SGD against plain:        {ratio(seconds, 'resident, float32, DP-SGD', 'resident, float32')}\n"
    )
    thresholds = {
        "loss, 250,000 shadow and 250,000 target scores of 10 classes": _threshold_attack(),
        "the pooled threshold of 252,000 scores alone": _pooled_threshold(252_000),
    }
    print("Threshold attacks")
    for name, values in in_turn(thresholds, rounds).items():
        print(f"  {name:62} {spread(values)}")
    attack, n_rows = _attack_network(252_000)
    (trained,) = in_turn({"attack": attack}, rounds).values()
    print(
        "\nAttack network 10-512-256-128-1 on 252,000 rows, bfloat16, six epochs, its threshold included"
    )
    rate = n_rows / statistics.median(trained)
    print(
        f"  {spread(trained)}   {rate:.0f} rows/s, {rate / PEER_ROWS_PER_SECOND:.1f}x the peer's\n"
    )
    by_example = {
        f"{len(SCORE_BASED)} score-based attacks, 8 shadow models, 31,500 examples": _by_example(
            _scored, 8, 31_500, 31_500
        ),
        "LiRA online, 64 shadow models, 60,000 examples": _by_example(lira_online, 64, 60_000, 100),
        "RMIA offline, nothing chosen, 8 shadow models, 10,000 against 10,000": _by_example(
            FIXED_RMIA, 8, 10_000, 10_000
        ),
        "RMIA offline, a chosen, 8 shadow models, 10,000 against 10,000": _by_example(
            CHOSEN_A, 8, 10_000, 10_000
        ),
        "RMIA offline, as by default, 8 shadow models, 10,000 against 10,000": _by_example(
            rmia_offline, 8, 10_000, 10_000
        ),
        "ensemble, 8 shadow models, 31,500 examples": _by_example(ensemble, 8, 31_500, 31_500),
    }
    print(
        "Attacks example by example on one target, 10 classes, the threshold from the shadow models included"
    )
    seconds = in_turn(by_example, rounds)
    for name, values in seconds.items():
        print(
            f"  {name:70} {spread(values)}   at most {peak_mib(by_example[name]):.0f} MiB beside its input"
        )
    fixed, chosen, default = (name for name in by_example if name.startswith("RMIA"))
    print(f"  RMIA, a chosen against nothing chosen:     {ratio(seconds, chosen, fixed)}")
    print(f"  RMIA as by default against nothing chosen: {ratio(seconds, default, fixed)}\n")
    with tempfile.TemporaryDirectory() as folder:
        _measure_packing(given.images or _noise_images(Path(folder) / "few"), rounds)


def in_turn(work: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """CPU seconds of each piece of work, round by round, so that all pieces see the same machine."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_ in range(rounds + 1):
        for name, run in work.items():
            started = time.process_time()
            run()
            if round_:
                seconds[name].append(time.process_time() - started)
    return seconds


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):.3f} s ({min(values):.3f} to {max(values):.3f})"


def peak_mib(run: Callable[[], object]) -> float:
    """What the work allocates at its peak, as Python and numpy count it."""
    tracemalloc.start()
    run()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return peak / 2**20


def ratio(seconds: dict[str, list[float]], above: str, below: str) -> str:
    """The median of the ratios within each round, and their range."""
    ratios = [a / b for a, b in zip(seconds[above], seconds[below], strict=True)]
    return f"{statistics.median(ratios):.2f}x ({min(ratios):.2f} to {max(ratios):.2f})"


def _trainer(
    images: np.ndarray, labels: np.ndarray, precision: str = "bfloat16", objective: Objective = ERM
) -> Trainer:
    torch.manual_seed(0)
    data = ResidentData(images, labels, mean=MEAN, deviation=DEVIATION, device=torch.device("cpu"))
    network = lenet5((28, 28, 1), 10).to(memory_format=torch.channels_last)
    recipe = Recipe(BATCH_SIZE, "adam", 1e-3, 0.0, 0.0, precision)
    task = Task(network, data, BATCH_SIZE, 10, reference=data)
    return Trainer(task, objective, recipe, lambda epoch: np.random.default_rng(epoch))


def _with_admm(images: np.ndarray, labels: np.ndarray) -> Trainer:
    trainer = _trainer(images, labels)
    solver = Admm(rho=(0.001,), epochs=1000)
    trainer.hooks.append(
        solver.start(trainer.task, Cardinality(compression=15.78), np.random.default_rng(0))
    )
    return trainer


def _admm_epoch(trainer: Trainer) -> None:
    trainer.train_epoch(0)
    trainer.hooks[-1].on_epoch(0)


class _PilImages(Dataset):
    """What torchvision's own data sets do for each example."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.images, self.labels = images[..., 0], labels
        normalise = transforms.Normalize([MEAN[0] / 255], [DEVIATION[0] / 255])
        self.transform = transforms.Compose([transforms.ToTensor(), normalise])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.images[index])), int(self.labels[index])


def _pil_epoch(images: np.ndarray, labels: np.ndarray) -> Callable[[], None]:
    torch.manual_seed(0)
    network = lenet5((28, 28, 1), 10)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    loader = DataLoader(_PilImages(images, labels), batch_size=BATCH_SIZE, shuffle=True)

    def epoch() -> None:
        for batch, target in loader:
            optimizer.zero_grad()
            nn.functional.cross_entropy(network(batch), target).backward()
            optimizer.step()

    return epoch


def _threshold_attack() -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(0)

    def signals(membership: bool) -> Signals:
        members = rng.random((10, 25_000)) < 0.5
        logits = rng.normal(size=(10, 25_000, 10)).astype(np.float32) * (
            1 + members[..., np.newaxis]
        )
        labels = rng.integers(10, size=25_000)
        return Signals(logits, labels, np.ones_like(members), members if membership else None)

    targets, shadows = signals(False), signals(True)
    return lambda: loss(targets, shadows, rng, per_class=False)


def _pooled_threshold(n: int) -> Callable[[], float]:
    rng = np.random.default_rng(0)
    members = rng.random(n) < 0.5
    scores = rng.normal(size=n) + members
    return lambda: best_threshold(scores, members)


def _attack_network(n: int, n_epochs: int = 6) -> tuple[Callable[[], np.ndarray], float]:
    """The work, and how many rows it trains on."""
    rng = np.random.default_rng(0)
    members = rng.random(n) < 0.5
    rows = torch.from_numpy((rng.normal(size=(n, 10)) + members[:, np.newaxis]).astype(np.float32))
    fitting = Fitting(
        n_epochs, min_steps=1, batch_size=250, learning_rate=2e-3, precision="bfloat16"
    )
    return lambda: learnt_scores(
        _attack_layers, [rows], members, [[rows[:1]]], rng, fitting
    ), n * n_epochs


def _attack_layers() -> nn.Module:
    widths = [10, 512, 256, 128]
    hidden = [
        layer for a, b in itertools.pairwise(widths) for layer in (nn.Linear(a, b), nn.ReLU())
    ]
    return nn.Sequential(*hidden, nn.Linear(widths[-1], 1), nn.Flatten(0))


SCORE_BASED = (
    correctness, confidence, entropy, loss, modified_entropy, calibrated_loss,
    lira_offline, lira_online, rmia_offline, rmia_online,
    base_offline, base_online, bavaria_offline, bavaria_online, pmia,
)  # fmt: skip

#: the setting that RMIA's authors give for few references
FIXED_RMIA = functools.partial(rmia_offline, a=0.3, temperature=1.0)
CHOSEN_A = functools.partial(rmia_offline, a="auto", temperature=1.0)


def _scored(targets: Signals, shadows: Signals, rng: np.random.Generator) -> list[np.ndarray]:
    return [attack(targets, shadows, rng) for attack in SCORE_BASED]


def _by_example(
    attack: Callable, n_shadows: int, n_examples: int, n_population: int
) -> Callable[[], np.ndarray]:
    rng = np.random.default_rng(0)
    labels, population_labels = (
        rng.integers(10, size=n_examples),
        rng.integers(10, size=n_population),
    )

    def signals(n_models: int) -> Signals:
        halves = np.argsort(rng.random((max(1, n_models // 2), n_examples)), axis=1) % 2 == 0
        members = np.stack([halves, ~halves], axis=1).reshape(-1, n_examples)[:n_models]
        logits = rng.normal(size=(n_models, n_examples, 10)).astype(np.float32)
        logits[:, np.arange(n_examples), labels] += members
        population = rng.normal(size=(n_models, n_population, 10)).astype(np.float32)
        return Signals(
            logits, labels, np.ones_like(members), members, population, population_labels
        )

    target, shadows = signals(1), signals(n_shadows)
    return lambda: attack(target, shadows, rng)


def _noise_images(folder: Path, n_classes: int = 10, per_class: int = 500) -> Path:
    rng = np.random.default_rng(0)
    for name in map(str, range(n_classes)):
        (folder / name).mkdir(parents=True)
        for number in range(per_class):
            coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
            coarse.resize((64, 64)).save(folder / name / f"{number}.jpg")
    return folder


def _four_times(folder: Path, copy: Path) -> Path:
    """A folder with four links to each image of another."""
    for path in folder.glob("*/*"):
        (copy / path.parent.name).mkdir(parents=True, exist_ok=True)
        for number in range(4):
            (copy / path.parent.name / f"{number}_{path.name}").symlink_to(path.absolute())
    return copy


PACK = """
    import json, resource, sys, time
    from mia_pruning.data.image_folder import image_folder
    from mia_pruning.stages.pack import pack_dataset

    started = time.perf_counter()
    source = image_folder(folder=sys.argv[1], resolution=64)
    pack_dataset(source, f"{sys.argv[2]}/dataset.json", {})
    seconds = time.perf_counter() - started
    # Not ru_maxrss of the job itself, which counts from before exec, when it still was the process that started it.
    peak = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")) / 1024
    print(json.dumps([source.n_examples, seconds, peak, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))
    """


def _packed(folder: Path) -> list[float]:
    """Number of images, seconds, and MiB of the job and of its largest worker, in a process of its own."""
    with tempfile.TemporaryDirectory() as output:
        command = [sys.executable, "-c", textwrap.dedent(PACK), str(folder), output]
        return json.loads(
            subprocess.run(command, capture_output=True, text=True, check=True).stdout
        )


def _measure_packing(few: Path, rounds: int) -> None:
    print(f"Packing 64 x 64 JPEG files with {len(os.sched_getaffinity(0))} processes, wall time")
    with tempfile.TemporaryDirectory() as folder:
        for images in (few, _four_times(few, Path(folder))):
            found = [_packed(images) for _ in range(rounds + 1)][1:]
            n_images, seconds, job, worker = zip(*found, strict=True)
            rate = n_images[0] / statistics.median(seconds)
            memory = f"peak {max(job):.0f} MiB, a worker {max(worker):.0f} MiB"
            print(
                f"  {n_images[0]:6.0f} images   {spread(list(seconds))}   {rate:6.0f} images/s   {memory}"
            )


if __name__ == "__main__":
    main()
