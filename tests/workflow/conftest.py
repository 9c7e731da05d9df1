"""What the workflow tests share: a copy of the project, Snakemake's command line on it, and one run of the smoke study.

The copy keeps other work on the tree out of a test run, and a test may edit it. Results go to temporary folders only.
"""

import copy
import dataclasses
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock

ROOT = Path(__file__).parents[2]
#: what a run leaves in its working directory
RUN = ("results", ".snakemake")
GENERATED = (*RUN, "__pycache__")
sys.path.insert(0, str(ROOT / "workflow" / "lib"))
#: of the figures, those that these studies draw; that the page shows all of them is tested in a browser
FIGURES = ("trade_off", "claims", "exposure")
NOT_COPIED = shutil.ignore_patterns(*GENERATED, ".git", ".venv", ".*_cache", "*.egg-info", "build")


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a command ended and what it wrote."""

    code: int
    stdout: str
    text: str


@dataclasses.dataclass(frozen=True)
class Plan:
    """What Snakemake would do: every output of a study, those that a run would make now, and the rules that make these."""

    files: frozenset[str]
    pending: frozenset[str]
    rules: frozenset[str]


@dataclasses.dataclass(frozen=True)
class Project:
    """A copy of the project, and commands on it. python_path: a folder with somebody's own plug-ins."""

    root: Path
    python_path: str = ""

    @property
    def smoke(self) -> Path:
        return self.root / "studies" / "smoke.yaml"

    def environment(self) -> dict[str, str]:
        outside = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        path = os.pathsep.join([str(Path(sys.executable).parent), outside.get("PATH", "")])
        return {**outside, "PATH": path, "PYTHONPATH": self.python_path}

    def command(
        self, folder: Path, *arguments: str, study: Path | None = None, config: tuple[str, ...] = ()
    ) -> list[str]:
        """Snakemake's command line, with `folder` as its working directory."""
        places = ["--snakefile", str(self.root / "Snakefile"), "--directory", str(folder)]
        configured = ["--configfile", str(study)] if study else []
        overridden = ["--config", *config] if config else []
        return [sys.executable, "-m", "snakemake", *places, *arguments, *configured, *overridden]

    def execute(self, command: list[str], folder: Path) -> Outcome:
        done = subprocess.run(
            command, cwd=folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        return Outcome(done.returncode, done.stdout, done.stdout + done.stderr)

    def snakemake(self, folder: Path, *arguments: str, **configuration: Any) -> Outcome:
        return self.execute(self.command(folder, *arguments, **configuration), folder)

    def make(self, folder: Path, *arguments: str, **configuration: Any) -> Outcome:
        """A run on two cores that must end well."""
        outcome = self.snakemake(folder, *arguments, "--cores", "2", **configuration)
        assert outcome.code == 0, outcome.text[-4000:]
        return outcome

    def reproduction(self) -> list[str]:
        """What `make reproduce` runs; its working directory is the copy."""
        return [
            sys.executable,
            "-m",
            "mia_pruning.operations.reproduce",
            "studies/smoke.yaml",
            "--cores",
            "2",
        ]

    def reproduce(self) -> Outcome:
        return self.with_library().execute(self.reproduction(), self.root)

    def with_library(self) -> "Project":
        """The same copy with its library installed, so to say."""
        return dataclasses.replace(self, python_path=str(self.root / "workflow" / "lib"))

    def plan(self, folder: Path, study: Path | None, config: tuple[str, ...] = ()) -> Plan:
        outcome = self.snakemake(folder, "--summary", study=study, config=config)
        assert outcome.code == 0, outcome.text[-4000:]
        rows = [line.split("\t") for line in outcome.stdout.splitlines() if line.count("\t") == 5][
            1:
        ]
        pending = {row[0]: row[2] for row in rows if row[5] != "no update"}
        return Plan(
            frozenset(row[0] for row in rows), frozenset(pending), frozenset(pending.values())
        )


def _changed(settings: dict[str, Any], changes: dict[Any, Any]) -> dict[str, Any]:
    """A copy of the settings with values put at dotted keys, or at tuples of keys; the value `...` takes a key out."""
    settings = copy.deepcopy(settings)
    for where, value in changes.items():
        *above, key = where.split(".") if isinstance(where, str) else where
        section = settings
        for name in above:
            section = section.setdefault(name, {})
        if value is ...:
            del section[key]
        else:
            section[key] = value
    return settings


def _few_defences(smoke: Path) -> dict[str, Any]:
    """The smoke study with two of its defences, in two batches, and with both shadow attackers: what these tests look at."""
    settings = yaml.safe_load(smoke.read_text(encoding="utf-8"))
    kept = ("baseline", "mia_pruning")
    used = {
        axis: {settings["defences"][name][axis] for name in kept}
        for axis in ("objective", "constraint")
    }
    changes: dict[Any, Any] = {
        f"defences.{name}": ... for name in settings["defences"] if name not in kept
    }
    changes |= {
        f"objectives.{name}": ...
        for name in settings["objectives"]
        if name not in used["objective"]
    }
    changes |= {
        f"constraints.{name}": ...
        for name in settings["constraints"]
        if name not in used["constraint"]
    }
    changes |= {
        "attackers": ["adaptive", "dense_shadows"],
        "experiments.lenet5_fashion.training.models_per_job": 2,
    }
    return _changed(settings, changes)


@pytest.fixture(scope="session")
def changed() -> Callable[[dict[str, Any], dict[Any, Any]], dict[str, Any]]:
    return _changed


@pytest.fixture(scope="session")
def smoke_settings(project: Project) -> dict[str, Any]:
    return yaml.safe_load(project.smoke.read_text(encoding="utf-8"))


@pytest.fixture
def variant(smoke_settings: dict[str, Any], tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the smoke study with changes to a file."""

    def write(changes: dict[Any, Any]) -> Path:
        path = tmp_path / "variant.yaml"
        path.write_text(
            yaml.safe_dump(_changed(smoke_settings, changes), sort_keys=False), encoding="utf-8"
        )
        return path

    return write


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of this tree with few figures, committed to a repository of its own."""
    root = tmp_path_factory.mktemp("project") / "tree"
    shutil.copytree(ROOT, root, ignore=NOT_COPIED)
    for path in (root / "workflow/lib/mia_pruning/reporting/figures").glob("[a-z]*.py"):
        if path.stem not in FIGURES:
            path.unlink()
    claims = root / "report" / "claims.yaml"
    claims.write_text(
        claims.read_text(encoding="utf-8").replace(
            "shown_in: attack_by_compression", "shown_in: trade_off"
        )
    )
    made = Project(root)
    made.smoke.write_text(
        yaml.safe_dump(_few_defences(made.smoke), sort_keys=False), encoding="utf-8"
    )
    git = [
        "git",
        "-C",
        str(root),
        "-c",
        "user.name=test",
        "-c",
        "user.email=test@example.org",
        "-c",
        "commit.gpgsign=false",
    ]
    for arguments in (
        ["init", "--quiet"],
        ["add", "."],
        ["commit", "--quiet", "--message", "copy"],
    ):
        outcome = made.execute([*git, *arguments], root)
        assert outcome.code == 0, outcome.text
    return made


@pytest.fixture(scope="session")
def copied(project: Project) -> Callable[[Path], Project]:
    """A function that makes another copy, without results."""

    def copy_to(folder: Path) -> Project:
        shutil.copytree(project.root, folder, ignore=shutil.ignore_patterns(*GENERATED))
        return dataclasses.replace(project, root=folder)

    return copy_to


@pytest.fixture(scope="session")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory for dry runs, shared because it remembers which networks were found to fit."""
    return tmp_path_factory.mktemp("desk")


@pytest.fixture(scope="session")
def reproduced(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    """How the command that `make reproduce` runs ended on the smoke study, in the copy itself.

    Of processes that test side by side the first runs it; the others get what it left.
    """
    made = (
        tmp_path_factory.getbasetemp().parent
        / f"reproduced_{os.environ.get('PYTEST_XDIST_TESTRUNUID', os.getpid())}"
    )
    with FileLock(made.with_suffix(".lock")):
        if not made.exists():
            outcome = project.reproduce()
            for name in RUN:
                shutil.copytree(project.root / name, made / name, symlinks=True)
            (made / "outcome.json").write_text(
                json.dumps(dataclasses.asdict(outcome)), encoding="utf-8"
            )
            return outcome
    for name in RUN:
        shutil.copytree(made / name, project.root / name, symlinks=True)
    return Outcome(**json.loads((made / "outcome.json").read_text(encoding="utf-8")))


@pytest.fixture(scope="session")
def smoke(project: Project, reproduced: Outcome) -> Path:
    """The working directory of one whole run of the smoke study."""
    assert reproduced.code == 0, reproduced.text[-4000:]
    return project.root


@pytest.fixture
def edit(project: Project) -> Iterator[Callable[[str, Callable[[bytes], bytes]], None]]:
    """A function that changes a file of the copy; afterwards the file is as it was, its time of change included."""
    originals: dict[Path, tuple[bytes, os.stat_result]] = {}

    def change(name: str, function: Callable[[bytes], bytes]) -> None:
        path = project.root / name
        originals[path] = (path.read_bytes(), path.stat())
        after = function(originals[path][0])
        assert after != originals[path][0], f"{name}: the edit changes nothing"
        path.write_bytes(after)

    yield change
    for path, (content, status) in originals.items():
        path.write_bytes(content)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
