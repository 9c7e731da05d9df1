"""Downloading a published file.

It is checked by its digest. An interrupted download resumes. Where one mirror fails, the next is
tried.
"""

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
#: A mirror is asked again as long as it sends something, but at most this many times.
ATTEMPTS = 20


def download(urls: Sequence[str], target: Path, digest: str) -> None:
    """Download the file that has this digest to `target`; an existing one is only checked.

    A partial file of an interrupted download, next to it, is completed. Another process that
    wants the same file waits. Raises StudyError with the addresses, the reasons and where to put
    the file by hand.
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
    """Return nothing once `part` holds the content, else why each address failed."""
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
    """Complete `part` from this address; return None if it then has the digest, else the reason.

    Wrong content is thrown away.
    """
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
    """Append what is missing.

    A server that does not know ranges sends everything, which replaces what is there.
    """
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
