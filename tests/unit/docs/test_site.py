"""`make site` makes pages of the documents and what they link to; all is there."""

import hashlib
import re
import shlex
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml

ROOT = Path(__file__).parents[3]
SITE = ROOT / "docs" / "site"
#: What a page loads, by tag and attribute; a link is only followed by a reader.
LOADED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}
#: Folders that no document is made from.
LEFT_OUT = (".*", "results", "tests", "data", "resources", "*.egg-info", "__pycache__")


class References(HTMLParser):
    """Collects what a page loads, what it links to, and the anchors that it has."""

    def __init__(self, page):
        super().__init__()
        self.loaded, self.linked, self.anchors = [], [], set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.anchors.add(found.get("id"))
        if found.get(LOADED.get(tag)):
            self.loaded.append(found[LOADED[tag]])
        if tag == "a" and found.get("href"):
            self.linked.append(found["href"])


def build(copy, added=""):
    """Run what `make site` runs on a copy of the repository, a line added to a document."""
    shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(*LEFT_OUT))
    with (copy / "docs" / "DATA.md").open("a", encoding="utf-8") as page:
        page.write(added)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    command = shlex.split(re.search(r"-m mkdocs (build .*)", makefile)[1])
    run = [sys.executable, "-m", "mkdocs", *command]
    return subprocess.run(run, cwd=copy, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    copy = tmp_path_factory.mktemp("site") / "copy"
    built = build(copy)
    assert built.returncode == 0, built.stderr
    return copy / ".site"


@pytest.fixture(scope="module")
def pages(site):
    return {page: References(page) for page in site.rglob("*.html") if page.name != "404.html"}


def test_every_document_is_in_the_navigation_with_the_question_first():
    text = re.sub(r"!!python\S*", "", (SITE / "mkdocs.yml").read_text(encoding="utf-8"))
    places = [place for entry in yaml.safe_load(text)["nav"] for place in entry.values()]
    documents = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert places[0] == "README.md"
    assert set(places) == documents | {"README.md", "profiles/README.md"}


def test_pages_load_nothing_from_elsewhere(pages):
    loaded = {reference for page in pages.values() for reference in page.loaded}
    assert any(reference.endswith(".css") for reference in loaded)
    assert [reference for reference in loaded if urlsplit(reference).netloc] == []


def test_what_pages_load_and_link_to_is_there(site, pages):
    missing = []
    for page, found in pages.items():
        for reference in (urlsplit(text) for text in [*found.loaded, *found.linked]):
            target = (page.parent / unquote(reference.path)).resolve() if reference.path else page
            if reference.scheme:
                continue
            anchors = pages[target].anchors if target in pages else {""}
            if not target.is_file() or (reference.fragment and reference.fragment not in anchors):
                missing.append((str(page.relative_to(site)), reference.geturl()))
    assert missing == []


def test_a_file_that_a_document_links_to_is_shown_as_it_is(site):
    page = (site / "studies" / "smoke.yaml.html").read_text(encoding="utf-8")
    text = re.sub(r"<[^>]+>", "", page)
    for line in (ROOT / "studies" / "smoke.yaml").read_text(encoding="utf-8").splitlines():
        assert line in text


def test_a_bar_in_a_table_has_no_backslash(site):
    page = (site / "docs" / "PLUG_INS.html").read_text(encoding="utf-8")
    assert "<code>str | None</code>" in page
    assert r"\|" not in page


@pytest.mark.parametrize("link", ["OPERATING.md#nowhere", "nothing.md", "../studies/nothing.yaml"])
def test_a_link_that_leads_nowhere_is_an_error(tmp_path, link):
    built = build(tmp_path / "copy", f"\n[a link]({link})\n")
    assert built.returncode != 0
    assert f"contains a link '{link}'" in built.stderr


def test_the_library_that_the_site_carries_is_as_published():
    text = (SITE / "README.md").read_text(encoding="utf-8")
    ((name, digest),) = re.findall(r"^\| `(assets/\S+)` .* `(\w{64})` \|$", text, re.MULTILINE)
    assert hashlib.sha256((SITE / name).read_bytes()).hexdigest() == digest
