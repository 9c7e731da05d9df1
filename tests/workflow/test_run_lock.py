"""A run whose command was killed is still a run: no other works beside it, and reading goes on."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mia_pruning.run_lock import LOCK, find_holders

REFUSED = "is still at work in this folder"
#: Snakemake's commands that only look at a study.
READING = {
    "dry run": ["--dry-run"],
    "summary": ["--summary", "--nolock"],
    "lint": ["--lint"],
    "unlock": ["--unlock"],
    "graph": ["--rulegraph"],
}
CHECKPOINTS = "results/smoke/lenet5_fashion/seed_0/erm/trained/.*.checkpoint.safetensors"


class AtWork:
    """A copy of the project in which a command trains networks."""

    def __init__(self, project, command: list[str]):
        self.project, self.folder = project, project.root
        self.process = subprocess.Popen(
            command,
            cwd=self.folder,
            env=project.with_library().environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.wait_for(lambda: list(self.folder.glob(CHECKPOINTS)))
        assert self.process.poll() is None

    def holders(self) -> list[int]:
        return find_holders(self.folder / LOCK)

    def snakemake(self, *arguments: str):
        return self.project.snakemake(self.folder, *arguments, study=self.project.smoke)

    def wait_for(self, condition, seconds: float = 300) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.wait_for(lambda: not self.holders())


@pytest.fixture(scope="module")
def orphaned(copied, tmp_path_factory):
    """`make reproduce` was killed. What it started is stopped, so that it does not change."""
    project = copied(tmp_path_factory.mktemp("orphaned") / "tree")
    run = AtWork(project, project.reproduction())
    run.process.kill()
    run.process.wait()
    os.killpg(run.process.pid, signal.SIGSTOP)
    yield run
    run.kill()


def test_snakemake_and_its_jobs_hold_the_lock(orphaned):
    commands = [Path(f"/proc/{pid}/cmdline").read_text() for pid in orphaned.holders()]
    assert any("-m\0snakemake" in command for command in commands)
    assert any(".snakemake/scripts" in command for command in commands)


def test_make_reproduce_is_refused_beside_it(orphaned):
    outcome = orphaned.project.reproduce()
    assert outcome.code == 1
    assert REFUSED in outcome.text
    assert f"`kill -INT {' '.join(map(str, orphaned.holders()))}`" in outcome.text


def test_plain_snakemake_is_refused_beside_it_and_leaves_no_lock_of_its_own(orphaned):
    for _ in range(2):
        outcome = orphaned.snakemake("--cores", "1")
        assert outcome.code == 1
        assert REFUSED in outcome.text
        assert "Traceback" not in outcome.text


@pytest.mark.parametrize("arguments", READING.values(), ids=READING)
def test_reading_goes_on_beside_it(arguments, orphaned):
    outcome = orphaned.snakemake(*arguments)
    assert outcome.code == 0, outcome.text[-4000:]


def test_status_is_shown_beside_it(orphaned):
    own = orphaned.project.with_library()
    command = [sys.executable, "-m", "mia_pruning.operations.status", "studies/smoke.yaml"]
    outcome = own.execute(command, orphaned.folder)
    assert outcome.code == 0, outcome.text[-4000:]


def test_sigterm_leaves_nothing_at_work(copied, tmp_path):
    project = copied(tmp_path / "tree")
    run = AtWork(project, project.reproduction())
    try:
        run.process.terminate()
        assert run.process.wait() != 0
        assert run.holders() == []
        with pytest.raises(ProcessLookupError):
            os.killpg(run.process.pid, 0)
    finally:
        run.kill()


def test_make_reproduce_is_refused_beside_plain_snakemake(copied, tmp_path):
    project = copied(tmp_path / "tree")
    command = project.command(project.root, "--cores", "2", study=project.smoke)
    run = AtWork(project, command)
    try:
        outcome = project.reproduce()
        assert outcome.code == 1
        assert f"another run (process {run.process.pid} on" in outcome.text
    finally:
        run.kill()
