"""Common parts of every job: a log, a provenance record, and errors that end in one sentence."""

import errno
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mia_pruning import provenance, storage
from mia_pruning.types import StudyError

logger = logging.getLogger("mia_pruning")
#: This environment variable is the level of progress that a job sends to the console. It is set
#: where progress is already displayed.
CONSOLE_LEVEL = "MIA_PRUNING_CONSOLE_LEVEL"


@contextmanager
def job(snakemake: Any) -> Iterator[dict[str, Any]]:
    """Yield the provenance record of this job.

    If the job ends well, the record is also written next to the log, with outputs and times.
    Progress goes to the console and to the rule's log, a traceback only to the log.
    """
    started = now()
    name = " ".join([snakemake.rule, *map(str, snakemake.wildcards)])
    _log_to(Path(snakemake.log[0]), name, place())
    record = provenance.record(
        rule=snakemake.rule,
        inputs=list(map(str, snakemake.input)),
        params=dict(snakemake.params.items()),
        wildcards=dict(snakemake.wildcards.items()),
    )
    try:
        yield record
        made = {
            "outputs": provenance.file_digests(map(str, snakemake.output)),
            "started": started,
            "ended": now(),
        }
        storage.write_json(
            Path(snakemake.log[0]).with_suffix(".provenance.json"), {**record, **made}
        )
    except (StudyError, ArithmeticError) as error:
        logger.error("stopped: %s", error)
        sys.exit(1)
    except Exception as error:
        if _is_full(error):
            logger.error(
                "stopped: no space left where %s is to lie; make room and run again, it goes on where it was",
                snakemake.output[0],
            )
            sys.exit(1)
        logger.exception("failed; please report this with the log %s", snakemake.log[0])
        sys.exit(1)


def _is_full(error: Exception) -> bool:
    """Return whether a disk or a quota is full; a library may say so in words of its own."""
    return getattr(error, "errno", None) in (
        errno.ENOSPC,
        errno.EDQUOT,
    ) or "No space left on device" in str(error)


def identity(record: dict[str, Any]) -> str:
    """Return the fingerprint that a checkpoint of this job is bound to.

    It covers parameters (code included), wildcards and inputs, but neither commit nor machine.
    """
    return provenance.fingerprint(
        {key: record[key] for key in ("rule", "wildcards", "params", "inputs")}
    )


def now() -> str:
    """Return the time in UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def place() -> str:
    """Return where this process runs, for people."""
    where = provenance.environment()
    return f"on {where['node']}, process {os.getpid()}" + (
        f", Slurm job {where['slurm_job']}" if where["slurm_job"] else ""
    )


def _log_to(path: Path, name: str, place: str) -> None:
    """Send the logger's lines to a file and to the console.

    The file's first line says what runs where; `make status` reads it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    logger.setLevel(logging.INFO)
    console = logging.StreamHandler(sys.stderr)
    console.setLevel(os.environ.get(CONSOLE_LEVEL, "INFO"))
    console.setFormatter(_WithoutTraceback(f"  {name}: %(message)s"))
    file = logging.FileHandler(path, mode="w", encoding="utf-8")
    file.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    logger.handlers = [file]
    logger.info("%s %s", name, place)
    logger.handlers.append(console)
    logger.propagate = False  # a library may have given the root logger a console of its own


class _WithoutTraceback(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        shown = logging.makeLogRecord(vars(record))
        shown.exc_info = shown.exc_text = None
        return super().format(shown)
