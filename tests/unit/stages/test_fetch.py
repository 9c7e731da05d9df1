import hashlib

import pytest

from mia_pruning import storage
from mia_pruning.stages.fetch import fetch_dataset
from mia_pruning.types import DatasetSource, StudyError

MD5 = f"md5:{hashlib.md5(b'abc').hexdigest()}"


def source_of(files, fetch=None, identity=None):
    return DatasetSource(
        "toy", files, 6, (2, 2, 1), ("a", "b"), "CC0", "nobody", None, fetch, identity
    )


def test_missing_files_are_brought_and_every_digest_is_noted(tmp_path):
    brought, own = tmp_path / "brought", tmp_path / "own"
    own.write_bytes(b"abc")
    source = source_of(
        {brought: MD5, own: None}, lambda: brought.write_bytes(b"abc"), "that folder"
    )
    fetch_dataset(source, str(tmp_path / "source.json"), {"rule": "fetch_dataset"})
    assert storage.read_json(tmp_path / "source.json") == {
        "name": "toy",
        "files": {"brought": MD5, "own": f"sha256:{hashlib.sha256(b'abc').hexdigest()}"},
        "identity": "that folder",
        "provenance": {"rule": "fetch_dataset"},
    }


@pytest.mark.parametrize(
    ("content", "message"), [(b"abd", "damaged or altered"), (None, "is missing")]
)
def test_what_was_brought_must_be_what_was_published(tmp_path, content, message):
    file = tmp_path / "f"
    source = source_of({file: MD5}, lambda: content and file.write_bytes(content))
    with pytest.raises(StudyError, match=message):
        fetch_dataset(source, str(tmp_path / "source.json"), {})
    assert not (tmp_path / "source.json").exists()
