"""The lock that keeps two runs from working in one folder.

`make reproduce` takes it before it reads a study, and a plain `snakemake` before its first job.
The locked file becomes the standard input of the run. Every process inherits that from its parent,
so Snakemake and its jobs hold the lock too. It ends with the last of them, even if some were
killed. Jobs on other nodes of a cluster do not hold it; `mia_pruning.operations.slurm` looks for
those in the queue.
"""

import fcntl
import logging
import os
import socket
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from mia_pruning.types import StudyError

#: A folder of studies has its lock at this path, relative to the folder.
LOCK = Path(".snakemake") / "run.lock"
STANDARD_INPUT = 0
logger = logging.getLogger("mia_pruning")


def take_lock(path: Path) -> None:
    """Lock a file until this process and all that it starts have ended.

    Do nothing if this process inherited the lock. Warn if the file system has no locks.

    Raises:
        StudyError: Another run holds the lock, or the file cannot be opened.
    """
    if _is_standard_input(os.getpid(), path):
        return
    descriptor = _open(path)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _refusal(path) from None
    except OSError as error:
        warning = "%s: the file system has no locks (%s); start only one run at a time here"
        logger.warning(warning, path, error.strerror)
    started = datetime.now().astimezone().isoformat(" ", "seconds")
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"{os.getpid()}\n{socket.gethostname()}\n{started}\n".encode())
    _make_standard_input(descriptor)


def _open(path: Path) -> int:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        advice = f"cannot be opened ({error.strerror}); make its folder writable"
        raise StudyError(path, advice) from error


def find_holders(path: Path) -> list[int]:
    """Return the processes on this machine that hold the lock, except those of other users."""
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return sorted(pid for pid in pids if _is_standard_input(pid, path))


def _is_standard_input(pid: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samefile(f"/proc/{pid}/fd/{STANDARD_INPUT}", path)
    return False


def _make_standard_input(descriptor: int) -> None:
    """Move a descriptor to the standard input; if that was closed, it may be there already."""
    if descriptor != STANDARD_INPUT:
        os.dup2(descriptor, STANDARD_INPUT)
        os.close(descriptor)
    os.set_inheritable(STANDARD_INPUT, True)


def _refusal(path: Path) -> StudyError:
    """Return an error that names the holder of the lock, and the way out."""
    fields = path.read_text(encoding="utf-8").split("\n")
    if len(fields) < 3:  # It was locked an instant ago.
        return StudyError(
            path, "another run has just begun in this folder", "wait until it has ended"
        )
    pid, host, started = fields[:3]
    run = f"(process {pid} on {host}, started {started})"
    again = f"on {host}, then run the same command again"
    holders = find_holders(path) if host == socket.gethostname() else []
    if not holders or int(pid) in holders:
        state = f"another run {run} is at work in this folder"
        advice = f"wait until it has ended, or end it with `kill {pid}` {again}"
    else:
        left = " ".join(map(str, holders))
        state = f"a run {run} has ended, but what it started is still at work in this folder"
        advice = f"wait until that has ended too, or end it with `kill -INT {left}` {again}"
    return StudyError(path, state, advice)
