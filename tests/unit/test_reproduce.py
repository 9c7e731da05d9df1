"""What `make reproduce` decides before Snakemake starts."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading

import pytest

from mia_pruning import reproduce
from mia_pruning.requests import Requests
from mia_pruning.stages.job import CONSOLE_LEVEL
from mia_pruning.types import StudyError


@pytest.mark.parametrize(("terminal", "arguments"), [(True, ["--logger", "rich"]), (False, [])])
def test_bars_of_progress_are_for_terminals(terminal, arguments, monkeypatch):
    monkeypatch.delenv(CONSOLE_LEVEL, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert reproduce.display() == arguments
    assert os.environ.pop(CONSOLE_LEVEL, None) == ("ERROR" if terminal else None)


def test_ctrl_c_leaves_the_command_time_to_end(tmp_path):
    """The command takes a second over it, in which another program would have killed it."""
    ended = tmp_path / "ended"
    ignoring = "import pathlib, signal, sys, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1.5)"
    slow = f"{ignoring}; pathlib.Path({str(ended)!r}).touch(); sys.exit(7)"
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert reproduce.run_to_its_end([sys.executable, "-c", slow], dict(os.environ)) == (7, True)
    assert ended.exists()


@dataclasses.dataclass
class Loaded:
    """A study as it was loaded."""

    plan: Requests | None
    is_laid_out: bool = True
    identity: str = "now"


CURRENT = Requests("now", "cpu", {}, {})


@pytest.fixture
def plans(monkeypatch):
    """The options of each plan that is made, on a cluster that takes everything."""
    made = []
    monkeypatch.setattr(reproduce, "check", lambda profile, folder: None)
    monkeypatch.setattr(reproduce, "display", list)
    monkeypatch.setattr(reproduce, "make_plan", lambda file, *options: made.append(options))
    return made


@pytest.mark.parametrize(
    ("plan", "gpus", "made"),
    [
        (None, 0, [("--device", "cpu")]),
        (CURRENT, 0, []),
        (CURRENT, 1, [("--device", "gpu")]),
        (Requests("before", "cpu", {}, {}), 0, [("--device", "cpu")]),
    ],
)
def test_a_cluster_run_is_planned_unless_it_is_as_planned_for_its_device(plan, gpus, made, plans, tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"executor: slurm\nset-resources: {{train_targets: {{gpu: {gpus}}}}}\n", encoding="utf-8"
    )
    assert reproduce.prepared(tmp_path / "study.yaml", Loaded(plan), tmp_path, "2") == ["--profile", str(tmp_path)]
    assert plans == made


@pytest.mark.parametrize(("laid_out", "made"), [(True, []), (False, [()])])
def test_a_run_here_is_planned_where_models_are_to_be_laid_over_jobs(laid_out, made, plans, tmp_path):
    assert reproduce.prepared(tmp_path / "study.yaml", Loaded(None, laid_out), None, "2") == ["--cores", "2"]
    assert plans == made


def test_a_plan_that_fails_says_why(monkeypatch, tmp_path):
    failed = subprocess.CompletedProcess([], 1, "", "no such thing\n")
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: failed)
    with pytest.raises(StudyError, match="no such thing"):
        reproduce.make_plan(tmp_path / "study.yaml")


@pytest.mark.parametrize("content", ["study: s\nexperiments: []\n", "study: s\nexperiments: {e: {}}\n", "[]", "study: [\n"])
def test_a_study_that_cannot_work_is_refused_in_words(content, monkeypatch, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    (tmp_path / ".snakemake").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce", "bad.yaml"])
    assert reproduce.main() == 1
    assert capsys.readouterr().err.strip()
