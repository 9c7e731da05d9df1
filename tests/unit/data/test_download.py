import hashlib
import socket
import subprocess
import sys
import textwrap

import pytest

from mia_pruning.data.download import download
from mia_pruning.types import StudyError

CONTENT = bytes(range(256)) * 4096
DIGEST = f"md5:{hashlib.md5(CONTENT).hexdigest()}"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "data" / "a.gz"


def left(target):
    return sorted(path.name for path in target.parent.iterdir())


def test_a_file_is_brought_and_asked_for_once(site, target):
    site.files["/a.gz"] = CONTENT
    for _ in range(2):
        download([site.url + "a.gz"], target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["a.gz"]
    assert site.requests == [("/a.gz", None)]


def test_a_sha256_is_checked_as_well(site, target):
    site.files["/a.gz"] = CONTENT
    download([site.url + "a.gz"], target, f"sha256:{hashlib.sha256(CONTENT).hexdigest()}")
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("cuts", [[1000], [300_000, 300_000, 0]])
def test_a_cut_download_goes_on_where_it_was(site, target, cuts):
    site.files["/a.gz"], site.cuts = CONTENT, [*cuts]
    urls = [
        site.url + "a.gz"
    ] * 2  # the last answer brings nothing, so that the second address is asked
    download(urls, target, DIGEST)
    assert target.read_bytes() == CONTENT
    starts = [int(range_.strip("bytes=-")) for _, range_ in site.requests[1:]]
    assert starts == [sum(cuts[: n + 1]) for n in range(len(cuts))]


def test_what_an_earlier_process_left_is_completed(site, target):
    site.files["/a.gz"] = CONTENT
    target.parent.mkdir()
    target.with_name("a.gz.part").write_bytes(CONTENT[:5000])
    download([site.url + "a.gz"], target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert site.requests == [("/a.gz", "bytes=5000-")]


@pytest.mark.parametrize("leftover", [CONTENT, CONTENT + b"x", b"x" * 5000, b"x" * len(CONTENT)])
def test_a_leftover_that_is_complete_or_wrong_does_no_harm(site, target, leftover):
    site.files["/a.gz"] = CONTENT
    target.parent.mkdir()
    target.with_name("a.gz.part").write_bytes(leftover)
    download([site.url + "a.gz"], target, DIGEST)
    assert target.read_bytes() == CONTENT
    assert left(target) == ["a.gz"]


def test_a_server_without_ranges_sends_all_again(site, target):
    site.files["/a.gz"], site.ranges, site.cuts = CONTENT, False, [5000]
    download([site.url + "a.gz"], target, DIGEST)
    assert target.read_bytes() == CONTENT


def test_the_next_mirror_is_asked_where_one_fails(site, target):
    site.files |= {"/wrong/a.gz": CONTENT[::-1], "/short/a.gz": CONTENT[:99], "/good/a.gz": CONTENT}
    download(
        [f"{site.url}{mirror}/a.gz" for mirror in ("none", "wrong", "short", "good")],
        target,
        DIGEST,
    )
    assert target.read_bytes() == CONTENT


def test_wrong_content_is_refused_with_both_digests_and_not_kept(site, target):
    site.files["/a.gz"] = b"not it"
    with pytest.raises(
        StudyError, match=rf"wrong content.*{hashlib.md5(b'not it').hexdigest()}.*{DIGEST}"
    ):
        download([site.url + "a.gz"], target, DIGEST)
    assert not target.exists()
    assert target.with_name("a.gz.part").read_bytes() == b""


def test_a_server_that_cuts_and_lies_is_given_up(site, target):
    site.files["/a.gz"], site.cuts = CONTENT[::-1], [5000] * 1000
    with pytest.raises(StudyError, match=r"a\.gz: missing, and could not be downloaded"):
        download([site.url + "a.gz"], target, DIGEST)
    assert len(site.requests) == 20


def test_without_a_network_one_sentence_says_what_to_do(target):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/a.gz"
        with pytest.raises(StudyError) as refused:
            download([url, "http://nowhere.invalid/a.gz"], target, DIGEST)
    message = str(refused.value)
    assert message.startswith(f"{target}: missing, and could not be downloaded ({url}: ")
    assert "refused" in message
    assert "http://nowhere.invalid/a.gz: " in message
    assert message.endswith(f"download {url} elsewhere and copy it to this place")
    assert "\n" not in message


def test_a_damaged_file_is_named_and_left(site, target):
    site.files["/a.gz"] = CONTENT
    target.parent.mkdir()
    target.write_bytes(CONTENT[:-1])
    with pytest.raises(
        StudyError, match=rf"a.gz is damaged or altered: .*published is {DIGEST}; delete it"
    ):
        download([site.url + "a.gz"], target, DIGEST)
    assert site.requests == []


def test_two_processes_that_want_the_same_file_download_it_once(site, target):
    site.files["/a.gz"] = CONTENT
    code = f"""
        from pathlib import Path
        from mia_pruning.data.download import download
        download(["{site.url}a.gz"], Path("{target}"), "{DIGEST}")
        """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    for process in [subprocess.Popen(command) for _ in range(3)]:
        assert process.wait() == 0
    assert target.read_bytes() == CONTENT
    assert len(site.requests) == 1
