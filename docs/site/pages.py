"""Hook of MkDocs: makes pages of the documents, and of what they link to in the repository.

The site has the repository's layout, so a link that is right on GitHub is right on the site.
"""

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[2]
LINK = re.compile(r'(?:\]\(|src=")([^)#"\s]+)')
CODE = re.compile(r"`[^`]+`")
#: Files that the site has as they are; any other is shown as text.
AS_THEY_ARE = (".md", ".png")
LANGUAGES = {".yaml": "yaml", ".cff": "yaml", ".toml": "toml", "Snakefile": "python"}


class Shown(File):
    """A page about a file or folder that is no document."""

    def is_documentation_page(self) -> bool:
        return True


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each document, for what they link to, and so on."""
    waiting = ["README.md", *(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
    for place in waiting:  # which grows on the way
        if files.get_file_from_path(place) is None and (ROOT / place).exists():
            files.append(_page(place, config))
            waiting.extend(_linked(place))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    r"""Write \| as | in the code of tables: GitHub needs the backslash, MkDocs would show it."""
    return re.sub(r"^\|.*", lambda row: CODE.sub(_bars, row[0]), markdown, flags=re.MULTILINE)


def _bars(code: re.Match[str]) -> str:
    return code[0].replace(r"\|", "|")


def _page(place: str, config: MkDocsConfig) -> File:
    path = ROOT / place
    if path.suffix in AS_THEY_ARE:
        return File(place, str(ROOT), config.site_dir, config.use_directory_urls)
    body = _listing(path) if path.is_dir() else _text(path)
    page = Shown.generated(config, place, content=f"---\nsearch: {{exclude: true}}\n---\n{body}")
    page.dest_uri = f"{place}/files.html" if path.is_dir() else f"{place}.html"
    return page


def _linked(place: str) -> Iterator[str]:
    """Yield the places that a document links to, or the files of a folder."""
    path = ROOT / place
    if path.is_dir():
        yield from (f"{place}/{file.name}" for file in path.iterdir() if file.is_file())
    elif path.suffix == ".md":
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target:
                yield posixpath.normpath(posixpath.join(posixpath.dirname(place), target))


def _listing(folder: Path) -> str:
    """A folder as a list of links to its files, and of its folders' names."""
    rows = [
        f"- `{path.name}/`" if path.is_dir() else f"- [`{path.name}`]({folder.name}/{path.name})"
        for path in sorted(folder.iterdir())
    ]
    return "\n".join([f"# {folder.name}/", "", *rows])


def _text(path: Path) -> str:
    """A file as a block of code."""
    language = LANGUAGES.get(path.suffix, LANGUAGES.get(path.name, "text"))
    text = path.read_text(encoding="utf-8")
    return f"# {path.relative_to(ROOT)}\n\n`````{language}\n{text}\n`````\n"
