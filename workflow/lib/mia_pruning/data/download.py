"""Downloading a published file: checked by its digest, resumed where it was cut, from the next mirror where one fails."""

import fcntl
import http.client
import logging
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from mia_pruning.data.sources import digest_like
from mia_pruning.types import StudyError

TIMEOUT_SECONDS = 30
BLOCK_BYTES = 2**18
logger = logging.getLogger("mia_pruning")
#: a mirror is asked again as long as it brings something, but not for ever
ATTEMPTS = 20


def download(urls: Sequence[str], target: Path, digest: str) -> None:
    """Bring the file that has this digest to `target`; one that is there is checked and left.

    What an interrupted download left beside it is completed. Another process that wants the same file waits.
    Raises StudyError with the addresses, the reasons and where to put the file by hand.
    """
    if target.is_file():
        _refuse_damaged(target, digest)
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    with part.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        if target.is_file():  # whoever held the lock has brought it, and it was checked
            return
        failures = _from_any(urls, file, part, digest)
        if not failures:
            part.replace(target)
            return
    raise StudyError(
        target.absolute(),
        f"missing, and could not be downloaded ({'; '.join(failures)})",
        f"download {urls[0]} elsewhere and copy it to this place",
    )


def _refuse_damaged(target: Path, digest: str) -> None:
    if (found := digest_like(digest, target)) != digest:
        raise StudyError(
            f"{target} is damaged or altered",
            f"it has {found}, published is {digest}",
            "delete it, and it is downloaded again",
        )


def _from_any(urls: Sequence[str], file: IO[bytes], part: Path, digest: str) -> list[str]:
    """Nothing once `part` holds the content, else why each address failed."""
    failures = []
    for url in urls:
        for _ in range(ATTEMPTS):
            before = file.tell()
            failure = _attempt(url, file, part, digest)
            if failure is None:
                return []
            if file.tell() == before:
                break
        failures.append(f"{url}: {failure}")
    return failures


def _attempt(url: str, file: IO[bytes], part: Path, digest: str) -> str | None:
    """Complete `part` from this address: None if it then has the digest, else the reason; wrong content is thrown away."""
    logger.info("downloading %s from byte %d", url, file.tell())
    try:
        _append_rest(url, file)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:  # else there is no rest
            return f"HTTP {error.code} {error.reason}"
    except (OSError, http.client.HTTPException) as error:
        return str(getattr(error, "reason", error)) or type(error).__name__
    finally:
        file.flush()
    found = digest_like(digest, part)
    if found == digest:
        return None
    _empty(file)
    return f"wrong content, it has {found}, published is {digest}"


def _append_rest(url: str, file: IO[bytes]) -> None:
    """Append what is missing. A server that does not know ranges sends all, which replaces what is there."""
    headers = {"User-Agent": "mia-pruning"} | (
        {"Range": f"bytes={file.tell()}-"} if file.tell() else {}
    )
    with urllib.request.urlopen(
        urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS
    ) as response:
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            _empty(file)
        expected, start = response.length, file.tell()
        while block := response.read(BLOCK_BYTES):
            file.write(block)
    if expected is not None and file.tell() < start + expected:
        raise OSError(f"the connection ended after {file.tell() - start} of {expected} bytes")


def _empty(file: IO[bytes]) -> None:
    file.truncate(0)
    file.seek(0)
