"""The lock lasts as long as the last process of a run, however the others ended."""

import errno
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mia_pruning import run_lock
from mia_pruning.run_lock import find_holders, take_lock
from mia_pruning.types import StudyError

#: A run: it takes the lock, starts a process, says its number and waits for it.
RUN = """
import subprocess, sys
from pathlib import Path
from mia_pruning.run_lock import take_lock
take_lock(Path(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
child.wait()
"""
#: A call that ends at once, with the refusal if there is one.
CALL = """
import sys
from pathlib import Path
from mia_pruning.run_lock import take_lock
take_lock(Path(sys.argv[1]))
"""


@pytest.fixture
def lock(tmp_path):
    return tmp_path / "records" / "run.lock"


@pytest.fixture
def standard_input():
    """Take back what a test made of this process's standard input."""
    kept = os.dup(0)
    yield
    os.dup2(kept, 0)
    os.close(kept)


@pytest.fixture
def start(lock):
    """A function that starts a run and returns it with the number of its child."""
    begun = []

    def start_run(*shell):
        command = [*shell, sys.executable, "-c", RUN, str(lock)]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        child = int(run.stdout.readline())
        begun.append((run, child))
        return run, child

    yield start_run
    for run, child in begun:
        run.kill()
        run.wait()
        run.stdout.close()
        end(child)


def end(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    wait_for(lambda: not Path(f"/proc/{pid}/fd/0").exists())


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def call(lock):
    command = [sys.executable, "-c", CALL, str(lock)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_second_run_is_refused_with_who_is_at_work_and_how_to_end_it(lock, start):
    run, child = start()
    said = call(lock).stderr.splitlines()[-1]
    assert f"{lock}: another run (process {run.pid} on {socket.gethostname()}, started 2" in said
    assert f"`kill {run.pid}`" in said
    assert find_holders(lock) == sorted([run.pid, child])


def test_a_refused_call_leaves_the_lock_and_what_it_says(lock, start):
    start()
    before = lock.read_text()
    assert [call(lock).returncode for _ in range(2)] == [1, 1]
    assert lock.read_text() == before


def test_the_lock_outlasts_a_killed_run_until_what_it_started_has_ended(lock, start):
    run, child = start()
    run.send_signal(signal.SIGKILL)
    run.wait()
    said = call(lock).stderr.splitlines()[-1]
    assert f"a run (process {run.pid} on" in said
    assert f"`kill -INT {child}`" in said
    end(child)
    assert call(lock).returncode == 0


def test_the_lock_ends_with_its_run(lock, start):
    run, child = start()
    end(child)
    assert run.wait() == 0
    assert call(lock).returncode == 0
    assert find_holders(lock) == []


def test_a_run_without_a_standard_input_hands_the_lock_on_too(lock, start):
    run, child = start("sh", "-c", 'exec "$@" <&-', "sh")
    assert find_holders(lock) == sorted([run.pid, child])
    run.send_signal(signal.SIGKILL)
    run.wait()
    assert call(lock).returncode == 1


def test_what_a_run_starts_is_not_refused(lock):
    command = f"[sys.executable, '-c', {CALL!r}, sys.argv[1]]"
    again = f"import subprocess; subprocess.run({command}, check=True)"
    subprocess.run([sys.executable, "-c", CALL + again, str(lock)], check=True)


def test_a_run_on_another_machine_is_ended_there(lock, start):
    start()
    lock.write_text("4242\nnode7\n2026-01-05 14:03:10+00:00\n")
    said = call(lock).stderr
    assert "(process 4242 on node7, started 2026-01-05 14:03:10+00:00)" in said
    assert "`kill 4242` on node7" in said


def test_a_lock_that_says_nothing_yet_is_a_lock(lock, start):
    start()
    lock.write_text("")
    assert "another run has just begun" in call(lock).stderr


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
@pytest.mark.usefixtures("standard_input")
def test_without_locks_the_run_goes_on_with_a_warning(number, lock, monkeypatch, caplog):
    def flock(descriptor, operation):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(run_lock.fcntl, "flock", flock)
    with caplog.at_level(logging.WARNING, "mia_pruning"):
        take_lock(lock)
        take_lock(lock)
    (warned,) = caplog.messages
    assert f"{lock}: the file system has no locks ({os.strerror(number)})" in warned


def test_a_lock_that_cannot_be_opened_is_an_error_in_words(lock):
    lock.parent.touch()
    with pytest.raises(StudyError, match=r"run\.lock: cannot be opened \(.*\); make its folder"):
        take_lock(lock)
