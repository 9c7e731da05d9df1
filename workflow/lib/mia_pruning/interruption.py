"""End of a run before its time: Ctrl-C, SIGTERM (`kill`) and SIGHUP (a closed terminal).

All three end it in the same order: every process gets SIGINT, Snakemake cancels its jobs, which
empties a cluster's queue, and `make reproduce` waits until Snakemake has ended.
"""

import os
import signal
import subprocess
from contextlib import suppress
from typing import NamedTuple

from mia_pruning.run_lock import LOCK, find_holders

#: A shell gives this exit code to a command that Ctrl-C ended.
INTERRUPTED = 130


def end_on_signals() -> None:
    """Make SIGTERM and SIGHUP end this process and its children as Ctrl-C does.

    A background job of a script ignores SIGINT, and so would its children: its handler is set
    again. SIGHUP stays ignored under nohup.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, interrupt)


def interrupt(*_: object) -> None:
    """Send SIGINT to every other process of this run, as a terminal does upon Ctrl-C.

    A process that does not hold the lock has no run. Later signals are ignored: `make` passes on
    one that all processes got, and a second SIGINT would keep Snakemake from cancelling its jobs.

    Raises:
        KeyboardInterrupt: In this process, always.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    holders, own = find_holders(LOCK), os.getpid()
    others = [pid for pid in holders if pid != own] if own in holders else []
    for pid in others:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)
    raise KeyboardInterrupt


class Ended(NamedTuple):
    """The end of a command.

    interrupted: by Ctrl-C, SIGTERM or SIGHUP.
    """

    code: int
    interrupted: bool


def run_to_its_end(command: list[str], environment: dict[str, str]) -> Ended:
    """Run a command and wait until it has ended, which takes a while after an interruption.

    The command ignores SIGHUP: a closed terminal would kill it before it has cancelled its jobs.
    """
    process = subprocess.Popen(command, env=environment, preexec_fn=_ignore_hangup)
    interrupted = False
    while True:
        try:
            return Ended(process.wait(), interrupted)
        except KeyboardInterrupt:
            interrupted = True


def _ignore_hangup() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
