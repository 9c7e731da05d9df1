"""Checks of a data set's own files: they must be there, and be the published ones."""

from functools import cache
from pathlib import Path

from mia_pruning.provenance import file_digest
from mia_pruning.types import DatasetSource, StudyError


def check_sources(source: DatasetSource, where: str, *, fetched: bool = False) -> None:
    """Refuse a data set whose files are not the published ones, or are missing.

    `where` names the config entry. fetched: True if files that can be fetched must be there by
    now. Raises StudyError.
    """
    for path, expected in source.files.items():
        if not path.is_file():
            if fetched or source.fetch is None:
                raise StudyError(where, f"the file {path} is missing")
        elif expected is not None and (found := digest_like(expected, path)) != expected:
            again = "" if source.fetch is None else "delete it, and it is fetched again"
            problem = f"{path} is damaged or altered: it has {found}, published is {expected}"
            raise StudyError(where, problem, again)


def digest_like(digest: str, path: Path) -> str:
    """Return the digest of a file by the algorithm that another digest names."""
    status = path.stat()
    return _digest(path, digest.partition(":")[0], status.st_size, status.st_mtime_ns)


@cache
def _digest(path: Path, algorithm: str, size: int, modified: int) -> str:
    """Return the digest by this algorithm.

    Size and time of change only key the cache: planning checks the same files more than once.
    """
    return f"{algorithm}:{file_digest(path, algorithm)}"
