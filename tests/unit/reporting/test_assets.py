"""What the report carries of others is what they published, and their licences are beside it."""

import re
from pathlib import Path

import pytest

from mia_pruning.provenance import file_digest

ASSETS = Path(__file__).parents[3] / "report" / "assets"
LISTED = re.findall(
    r"^\| `(\S+)` \|.*\| `([0-9a-f]{64})` \|$",
    (ASSETS / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("name", "digest"), LISTED)
def test_a_library_is_unchanged(name, digest):
    assert file_digest(ASSETS / name) == digest


def test_every_library_is_listed():
    assert {name for name, _ in LISTED} == {
        path.name for path in ASSETS.iterdir() if path.suffix in (".js", ".css")
    }
