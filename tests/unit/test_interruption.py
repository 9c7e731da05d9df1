"""Ctrl-C, SIGTERM and SIGHUP end a run in the same order, and nothing is left at work."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from mia_pruning import interruption
from mia_pruning.run_lock import LOCK, find_holders

#: A run whose command takes its time to end, as does the job that the command starts.
WORK = """
import os, signal, subprocess, sys, time
from pathlib import Path

job = []
try:
    if sys.argv[1] == "command":
        job.append(subprocess.Popen([sys.executable, __file__, "job"]))
    Path(f"{sys.argv[1]}.began").touch()
    time.sleep(60)
except KeyboardInterrupt:
    signal.signal(signal.SIGINT, lambda *_: os._exit(9))
    time.sleep(0.3)
    [started.wait() for started in job]
    Path(f"{sys.argv[1]}.ended").touch()
    sys.exit(7)
"""
RUN = """
import os, sys
from mia_pruning import interruption
from mia_pruning.run_lock import LOCK, take_lock
interruption.end_on_signals()
take_lock(LOCK)
print(tuple(interruption.run_to_its_end([sys.executable, "work.py", "command"], dict(os.environ))))
"""


@pytest.fixture
def at_work(tmp_path):
    """A function that starts a run in `tmp_path`, which ignores some signals from its start."""
    (tmp_path / "work.py").write_text(WORK, encoding="utf-8")
    begun = []

    def start(*ignored):
        def ignore():
            # The tests may run under nohup or in the background themselves.
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                handler = signal.SIG_IGN if number in ignored else signal.SIG_DFL
                signal.signal(number, handler)

        run = subprocess.Popen(
            [sys.executable, "-c", RUN],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=ignore,
            start_new_session=True,
        )
        begun.append(run)
        wait_for((tmp_path / "job.began").exists)
        return run

    yield start
    for run in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.wait()
        run.stdout.close()


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def ended(folder):
    return {path.stem for path in folder.glob("*.ended")}


@pytest.mark.parametrize("ignored", [(), (signal.SIGINT,)], ids=["", "begun in the background"])
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_command_and_its_jobs_as_ctrl_c_does(how, ignored, at_work, tmp_path):
    """Only the run itself gets the signal, and nothing is left at work when it has ended."""
    run = at_work(*ignored)
    run.send_signal(how)
    assert run.communicate()[0].strip() == "(7, True)"
    assert ended(tmp_path) == {"command", "job"}
    assert find_holders(tmp_path / LOCK) == []


def test_a_closed_terminal_lets_the_command_end_in_order(at_work, tmp_path):
    """Every process gets SIGHUP then, which would kill a command that empties a queue."""
    run = at_work()
    os.killpg(run.pid, signal.SIGHUP)
    assert run.communicate()[0].strip() == "(7, True)"
    assert ended(tmp_path) == {"command", "job"}


def test_a_signal_that_make_passes_on_too_interrupts_once(at_work, tmp_path):
    run = at_work()
    for _ in range(3):
        run.send_signal(signal.SIGTERM)
        time.sleep(0.05)
    assert run.communicate()[0].strip() == "(7, True)"
    assert ended(tmp_path) == {"command", "job"}


@pytest.fixture
def handlers():
    """Put back what a test makes of this process's signals."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
@pytest.mark.parametrize(
    ("before", "after"),
    [(signal.SIG_IGN, signal.SIG_IGN), (signal.SIG_DFL, interruption.interrupt)],
    ids=["under nohup", "in a terminal"],
)
def test_a_closed_terminal_interrupts_all_but_a_run_under_nohup(before, after):
    signal.signal(signal.SIGHUP, before)
    interruption.end_on_signals()
    assert signal.getsignal(signal.SIGHUP) is after


@pytest.mark.usefixtures("handlers")
def test_a_call_without_the_lock_interrupts_no_other_run(at_work, tmp_path, monkeypatch):
    at_work()
    interrupted = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(interruption.os, "kill", lambda pid, number: interrupted.append(pid))
    with pytest.raises(KeyboardInterrupt):
        interruption.interrupt()
    assert len(find_holders(LOCK)) == 3
    assert interrupted == []


@pytest.mark.usefixtures("handlers")
def test_ctrl_c_leaves_the_command_time_to_end(tmp_path):
    """The command takes a second over it, in which another program would have killed it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    ended = tmp_path / "ended"
    ignoring = "signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(1.5)"
    slow = f"import pathlib, signal, sys, time; {ignoring}; pathlib.Path({str(ended)!r}).touch(); sys.exit(7)"
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    assert interruption.run_to_its_end([sys.executable, "-c", slow], dict(os.environ)) == (7, True)
    assert ended.exists()
