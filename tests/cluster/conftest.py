"""A Slurm cluster for these tests, and copies of the project on it. Where none can be they are skipped and say why."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from slurm import Cluster, Unavailable, install

ROOT = Path(__file__).parents[2]
#: the repository is copied: a commit stands in every result
NOT_COPIED = shutil.ignore_patterns(
    "results", ".snakemake", ".venv", ".*_cache", "*.egg-info", "build", ".hypothesis"
)
#: for a cluster of one machine: nothing is far away, nobody keeps accounts
QUICK = {
    "slurm-status-command": "squeue",
    "slurm-init-seconds-before-status-checks": 1,
    "latency-wait": 10,
    "jobs": 20,
}

#: all that was started, to be ended with the cluster
RUNS: list["Run"] = []


@dataclasses.dataclass(frozen=True)
class Site:
    """A copy of the project on the cluster's storage."""

    root: Path
    profile: str = "profiles/slurm"

    @property
    def results(self) -> Path:
        return self.root / "results"

    def environment(self) -> dict[str, str]:
        outside = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("GIT_", "SLURM_", "MIA_PRUNING_"))
        }
        path = os.pathsep.join([str(Path(sys.executable).parent), outside.get("PATH", "")])
        return {**outside, "PATH": path, "PYTHONPATH": str(self.root / "workflow" / "lib")}

    def reproduction(self, study: str) -> list[str]:
        """The command of `make reproduce STUDY=... PROFILE=...`."""
        return [
            sys.executable,
            "-m",
            "mia_pruning.operations.reproduce",
            study,
            "--profile",
            self.profile,
        ]

    def snakemake(self, study: str, *targets: str) -> list[str]:
        """Snakemake itself by the profile, for a part of a study."""
        return [
            sys.executable,
            "-m",
            "snakemake",
            "--profile",
            self.profile,
            "--configfile",
            study,
            "--",
            *targets,
        ]

    def start(self, command: list[str]) -> "Run":
        console = self.root / f"console_{time.monotonic_ns()}.txt"
        with console.open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        RUNS.append(Run(process, console))
        return RUNS[-1]

    def finish(self, run: "Run") -> str:
        """What a run that must end well said."""
        assert run.process.wait() == 0, run.said[-6000:]
        return run.said

    def execute(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        """Python with these arguments, in the copy."""
        command = [sys.executable, *arguments]
        return subprocess.run(
            command,
            cwd=self.root,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )

    def edit_profile(self, **changes: object) -> None:
        path = self.root / self.profile / "config.yaml"
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        path.write_text(yaml.safe_dump({**settings, **changes}), encoding="utf-8")


@dataclasses.dataclass(frozen=True)
class Run:
    """A run at work."""

    process: subprocess.Popen
    console: Path

    @property
    def said(self) -> str:
        return self.console.read_text(encoding="utf-8")

    def wait_for(self, happened: Callable[[], object], seconds: float = 240) -> object:
        """What `happened` says once it says something; the run must still be at work then."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if found := happened():
                return found
            assert self.process.poll() is None, self.said[-6000:]
            time.sleep(0.05)
        raise AssertionError(f"nothing of the kind within {seconds} s:\n{self.said[-6000:]}")

    def signal(self, how: signal.Signals) -> None:
        os.killpg(self.process.pid, how)


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    if (running := Cluster.running()) is not None:
        yield running
        return
    ours = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        install()
        ours.up()
    except Unavailable as error:
        pytest.skip(f"no Slurm cluster here: {error}")
    try:
        yield ours
    finally:
        for work in RUNS:
            if work.process.poll() is None:
                work.signal(signal.SIGKILL)
        ours.down()


@pytest.fixture(scope="session")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Site]:
    """A function that makes a copy of the project, its profile adapted to this cluster in the lines that are marked for it."""

    def make(name: str) -> Site:
        root = tmp_path_factory.mktemp(name) / "tree"
        shutil.copytree(ROOT, root, ignore=NOT_COPIED)
        made = Site(root)
        (root / ".venv").symlink_to(ROOT / ".venv")
        profile = root / made.profile / "config.yaml"
        text = profile.read_text(encoding="utf-8")
        adapted = text.replace("gpu: 1}", "gpu: 1, gpu_model: fake}")
        assert adapted != text
        profile.write_text(yaml.safe_dump({**yaml.safe_load(adapted), **QUICK}), encoding="utf-8")
        return made

    return make
