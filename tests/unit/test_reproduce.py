"""What `make reproduce` decides before Snakemake starts."""

import os
import signal
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
    assert reproduce.run_to_its_end([sys.executable, "-c", slow]) == 7
    assert ended.exists()


class Checked:
    """A study as it was loaded."""

    def __init__(self, plan):
        self.plan, self.identity = plan, "now"


@pytest.mark.parametrize(
    ("plan", "device", "planned"),
    [
        (None, "cpu", True),
        (None, None, True),
        (Requests("now", "cpu", {}, {}), "cpu", False),
        (Requests("now", "cpu", {}, {}), None, False),
        (Requests("now", "cpu", {}, {}), "gpu", True),
        (Requests("before", "cpu", {}, {}), "cpu", True),
    ],
)
def test_a_study_is_planned_unless_it_is_as_it_was_planned_for_this_device(plan, device, planned, monkeypatch, tmp_path):
    calls = []
    monkeypatch.setattr(reproduce, "read_yaml", lambda path: {})
    monkeypatch.setattr(reproduce, "load_study", lambda *_, **__: Checked(plan))
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: calls.append(command) or _done(0))
    reproduce.plan_if_needed(tmp_path / "study.yaml", device)
    assert len(calls) == planned
    assert all(command[-1] == device for command in calls if device)


def test_a_plan_that_fails_says_why(monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "read_yaml", lambda path: {})
    monkeypatch.setattr(reproduce, "load_study", lambda *_, **__: Checked(None))
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: _done(1))
    with pytest.raises(StudyError, match="no such thing"):
        reproduce.plan_if_needed(tmp_path / "study.yaml", "cpu")


def _done(code):
    return type("Done", (), {"returncode": code, "stderr": "no such thing\n"})
