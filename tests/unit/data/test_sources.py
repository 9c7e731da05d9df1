import hashlib
import os

import pytest

from mia_pruning.data.sources import check_sources, digest_like
from mia_pruning.types import DatasetSource, StudyError

CONTENT = b"abc"


def source_of(files, fetch=None):
    return DatasetSource("toy", files, 1, (1, 1, 1), ("a", "b"), "CC0", "nobody", None, fetch)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "f").write_bytes(CONTENT)
    return tmp_path / "f"


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_a_digest_names_its_algorithm(file, algorithm):
    digest = f"{algorithm}:{hashlib.new(algorithm, CONTENT).hexdigest()}"
    assert digest_like(digest, file) == digest_like(algorithm, file) == digest
    check_sources(source_of({file: digest}), "datasets.x")


@pytest.mark.parametrize("algorithm", ["md5", "sha256"])
def test_an_altered_file_is_refused_with_both_digests(file, algorithm):
    published, found = (
        f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"
        for content in (b"abd", CONTENT)
    )
    with pytest.raises(
        StudyError,
        match=rf"datasets.x: {file} is damaged or altered: it has {found}, published is {published}$",
    ):
        check_sources(source_of({file: published}), "datasets.x")
    with pytest.raises(
        StudyError, match=rf"published is {published}; delete it, and it is fetched again"
    ):
        check_sources(source_of({file: published}, fetch=print), "datasets.x")


def test_a_file_that_changes_between_two_checks_is_refused(file):
    source = source_of({file: f"md5:{hashlib.md5(CONTENT).hexdigest()}"})
    check_sources(source, "w")
    file.write_bytes(b"abd")
    os.utime(file, ns=(0, 0))
    with pytest.raises(StudyError, match="damaged or altered"):
        check_sources(source, "w")


def test_a_missing_file_is_refused_unless_it_can_still_be_fetched(tmp_path):
    absent = {tmp_path / "absent": None}
    with pytest.raises(StudyError, match=r"datasets.x: the file .*absent is missing"):
        check_sources(source_of(absent), "datasets.x")
    check_sources(source_of(absent, fetch=print), "datasets.x")
    with pytest.raises(StudyError, match=r"datasets.x: the file .*absent is missing"):
        check_sources(source_of(absent, fetch=print), "datasets.x", fetched=True)


def test_a_file_without_published_digest_must_only_exist(file):
    check_sources(source_of({file: None}), "datasets.x")
