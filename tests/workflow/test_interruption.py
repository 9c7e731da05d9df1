"""A study that is killed while it trains, and again while it prunes, ends with the same bits as one that nobody disturbed."""

import dataclasses
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from mia_pruning import storage

RUN = "results/smoke/lenet5_fashion/seed_0/erm"
#: what is made of all networks, and what attacks that learn and that compare make of it
MADE = [
    f"{RUN}/none/signals.npy",
    *(f"{RUN}/admm/attacks/{attack}.adaptive.npz" for attack in ("shadow_network", "lira")),
]
PHASES = {"trained": "train_targets", "admm/pruned": "prune_targets"}
LOCKED = "cannot be locked"


@dataclasses.dataclass
class Interrupted:
    """A copy of the project, and what was seen in it."""

    project: object
    unreadable: list[str] = dataclasses.field(default_factory=list)
    stages_with_checkpoints: list[str] = dataclasses.field(default_factory=list)
    n_locked: int = 0

    @property
    def folder(self) -> Path:
        return self.project.root

    def reproduce_until(self, pattern: str) -> None:
        """Start the study, or start it again, and SIGKILL its process group once a file of this pattern is there.

        If a lock stops it, take the lock away and start it once more.
        """
        for _ in range(2):
            said = self._run_until(pattern)
            if LOCKED not in said:
                return
            self.n_locked += 1
            self.project.snakemake(self.folder, "--unlock", study=self.project.smoke)

    def _run_until(self, pattern: str) -> str:
        """What the run said."""
        console = self.folder / "console.txt"
        own = self.project.with_library()
        with console.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                own.reproduction(),
                cwd=self.folder,
                env=own.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                while process.poll() is None and not list(self.folder.glob(pattern)):
                    time.sleep(0.002)
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        return console.read_text(encoding="utf-8")


def read(path: Path) -> None:
    """Read a file to its end; raises if it is cut short."""
    if path.suffix == ".safetensors":
        storage.read_tensors(path)
    elif path.suffix == ".npz":
        storage.read_arrays(path)
    elif path.suffix == ".npy":
        np.array(storage.read_array(path))
    elif path.suffix == ".json":
        storage.read_json(path)
    elif path.suffix == ".csv":
        assert path.read_text(encoding="utf-8").endswith("\n")


def outputs(folder: Path) -> list[Path]:
    """Files under their final names."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


@pytest.fixture(scope="module")
def interrupted(copied, tmp_path_factory) -> Interrupted:
    """Killed while training, started again, killed while pruning, and then brought to its end."""
    case = Interrupted(copied(tmp_path_factory.mktemp("interrupted") / "tree"))
    for stage in PHASES:
        checkpoints = f"{RUN}/{stage}/.*.checkpoint.safetensors"
        case.reproduce_until(checkpoints)
        if list(case.folder.glob(checkpoints)):
            case.stages_with_checkpoints.append(stage)
        for path in outputs(case.folder / "results"):
            try:
                read(path)
            except Exception as error:
                case.unreadable.append(f"{path}: {error}")
    case.project.make(case.folder, *MADE, "--nolock", study=case.project.smoke)
    return case


def test_kills_came_while_training_and_while_pruning(interrupted):
    assert interrupted.stages_with_checkpoints == list(PHASES)


def test_a_kill_leaves_no_half_file_under_a_final_name(interrupted):
    assert not interrupted.unreadable


def test_the_same_command_goes_on_without_unlocking(interrupted):
    assert not interrupted.n_locked


@pytest.mark.parametrize("stage", PHASES)
def test_the_killed_job_goes_on_after_an_epoch(stage, interrupted):
    logs = (interrupted.folder / RUN / Path(stage).parent / "logs").glob(f"{PHASES[stage]}_*.log")
    assert any("goes on after epoch" in log.read_text(encoding="utf-8") for log in logs)


def test_no_checkpoint_is_left_at_the_end(interrupted):
    assert not list(interrupted.folder.glob("results/**/.*.checkpoint.safetensors"))


def test_networks_curves_and_signals_are_the_same_bits_as_undisturbed(interrupted, smoke):
    same = {}
    for path in outputs(interrupted.folder / "results"):
        twin = smoke / path.relative_to(interrupted.folder)
        if path.suffix == ".safetensors":
            here, there = storage.read_tensors(path)[0], storage.read_tensors(twin)[0]
            same[path] = set(here) == set(there) and all(
                torch.equal(tensor, there[name]) for name, tensor in here.items()
            )
        elif path.suffix == ".npz":
            here, there = storage.read_arrays(path), storage.read_arrays(twin)
            same[path] = set(here) == set(there) and all(
                np.array_equal(array, there[name]) for name, array in here.items()
            )
        elif path.suffix in (".npy", ".csv"):
            same[path] = path.read_bytes() == twin.read_bytes()
    assert {path.parent.name for path in same} >= {
        "trained",
        "pruned",
        "retrained",
        "none",
        "admm",
        "attacks",
    }
    assert len(same) > 25
    assert [path for path, is_same in same.items() if not is_same] == []
