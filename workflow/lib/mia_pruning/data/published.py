"""Published data sets in the layout of torchvision's folders: their places and downloads.

Their names, digests and addresses are written down in the plug-ins, so that planning a study
imports no torch. A test compares them with torchvision's.
"""

import gzip
import os
import shutil
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from mia_pruning import storage
from mia_pruning.data.download import download
from mia_pruning.types import StudyError

PARTS = {"all": ("train", "test"), "train": ("train",), "test": ("test",)}


@dataclass(frozen=True)
class Archive:
    """A file to download: its name, its published digest, and the folders' addresses.

    Each of these folders holds the file.
    """

    name: str
    digest: str
    mirrors: tuple[str, ...]


def data_folder(folder: str | None) -> Path:
    """Return the folder of all downloaded data.

    It is the option, else the environment's MIA_PRUNING_DATA, else `data` where the run is.
    """
    return Path(folder or os.environ.get("MIA_PRUNING_DATA") or "data")


def parts_of(part: str) -> tuple[str, ...]:
    """Return the official parts that an option `part` asks for.

    >>> parts_of("all")
    ('train', 'test')
    """
    if part not in PARTS:
        raise StudyError(f"part = {part!r}", allowed=f"allowed is one of {', '.join(PARTS)}")
    return PARTS[part]


def bring(archive: Archive, folder: Path, files: Mapping[Path, str]) -> None:
    """Download the archive into `folder` if one of its files is missing.

    Only missing files are unpacked.
    """
    missing = [path for path in files if not path.is_file()]
    if missing:
        packed = folder / archive.name
        download([mirror + archive.name for mirror in archive.mirrors], packed, archive.digest)
        _unpack(packed, missing)


def _unpack(packed: Path, missing: Iterable[Path]) -> None:
    for path in missing:
        with (
            _member(packed, path) as content,
            storage.atomic(path) as temporary,
            temporary.open("wb") as file,
        ):
            shutil.copyfileobj(content, file)


@contextmanager
def _member(packed: Path, path: Path) -> Iterator[IO[bytes]]:
    """Yield the content that belongs at `path`.

    Of a tar archive it is the member folder/file, of any other the complete content.
    """
    if not packed.name.endswith(".tar.gz"):
        with gzip.open(packed) as whole:
            yield cast(IO[bytes], whole)
        return
    member = f"{path.parent.name}/{path.name}"
    with tarfile.open(packed) as archive:
        content = archive.extractfile(member) if member in archive.getnames() else None
        if content is None:
            raise StudyError(packed, f"holds no file {member}")
        yield content
