"""Relative links of README and docs lead to files and headings that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "profiles" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(#[^)\s]*)?\)")


def anchors(page):
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {
        "#" + re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = LINK.findall(page.read_text(encoding="utf-8"))
    relative = [(target, anchor) for target, anchor in links if "://" not in target]
    missing = []
    for target, anchor in relative:
        path = page.parent / target if target else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            missing.append(target + anchor)
    assert missing == []


def test_every_page_is_linked_from_readme_or_another_page():
    text = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [
        page.name
        for page in PAGES[2:]
        if f"{page.name})" not in text and f"{page.name}#" not in text
    ] == []
