"""A browser for these tests, and reports to open in it. Where no browser can be they are skipped and say why."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright

from mia_pruning.reporting.report import write_report
from mia_pruning.study.completion import complete
from mia_pruning.study.reading import read_yaml
from mia_pruning.tables import TABLES

ROOT = Path(__file__).parents[2]
STUDY = "studies/smoke.yaml"
#: Debian's packages, and a program of each
PACKAGES = {"chromium": "chromium", "poppler-utils": "pdftotext"}
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync",
]  # fmt: skip

#: milliseconds, in which a browser draws a few frames
FRAMES = 50
#: every figure that has panels shows them
ALL_ARE_DRAWN = """() => [...document.querySelectorAll("script.interactive")].every(
    (script) => script.closest("figure").querySelectorAll(".panel .main-svg").length)"""


def install() -> str:
    """What is missing, by apt; returns why it cannot be had, or nothing."""
    missing = [package for package, program in PACKAGES.items() if shutil.which(program) is None]
    if not missing:
        return ""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return (
            f"{', '.join(missing)} is not installed: run `sudo apt-get install {' '.join(missing)}`"
        )
    quiet = {
        "capture_output": True,
        "text": True,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        "check": False,
    }
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    if subprocess.run(command, **quiet).returncode:
        subprocess.run(["apt-get", "update"], **quiet)
        if (done := subprocess.run(command, **quiet)).returncode:
            return f"`{' '.join(command)}` failed: {done.stderr.strip()}"
    return ""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if reason := install():
        pytest.skip(f"no browser here: {reason}")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def study() -> Path:
    """The results of the smoke study, as `make reproduce` makes them."""
    done = subprocess.run(
        ["make", "reproduce", f"STUDY={STUDY}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return ROOT / "results" / "smoke"


@pytest.fixture(scope="session")
def report(study: Path) -> Path:
    return study / "report.html"


@pytest.fixture
def planted(study: Path, tmp_path: Path) -> Callable[..., Path]:
    """A function that writes the report of the smoke study with some of its tables changed."""

    def write(**changes: Callable[[pd.DataFrame], pd.DataFrame]) -> Path:
        for path in study.glob("*.csv"):
            changes.get(path.stem, lambda table: table)(pd.read_csv(path)).to_csv(
                tmp_path / path.name, index=False
            )
        settings = complete(read_yaml(ROOT / STUDY))
        names = pd.read_csv(tmp_path / "results.csv")["defence"]
        settings = {
            **settings,
            "defences": {
                **dict.fromkeys(names, settings["defences"]["baseline"]),
                **settings["defences"],
            },
        }
        shutil.copytree(study / "figures", tmp_path / "figures")
        shutil.copytree(study / "logs", tmp_path / "logs")
        write_report(
            str(tmp_path / "report.html"),
            tables={name: str(tmp_path / f"{name}.csv") for name in TABLES},
            figures={path.stem: str(path) for path in sorted((tmp_path / "figures").glob("*.svg"))},
            claims=read_yaml(ROOT / "report" / "claims.yaml"),
            settings=settings,
            missing=[],
            datasets={
                "fashion_mnist": str(study.parent / "data" / "fashion_mnist" / "dataset.json")
            },
            folder=tmp_path,
            pages=ROOT / "report",
        )
        return tmp_path / "report.html"

    return write


@pytest.fixture
def opened(browser: Browser) -> Iterator[Callable[..., Page]]:
    """A function that opens a page and scrolls through it, so that all figures are drawn; its complaints are in `complaints`."""
    contexts = []

    def open_page(path: Path, width: int = 1280, scheme: str = "light", **options: object) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                page.complaints.append(said.text) if said.type in ("error", "warning") else None
            ),
        )
        page.on(
            "request",
            lambda request: (
                page.complaints.append(request.url) if _leaves(request.url, path) else None
            ),
        )
        page.goto(path.as_uri())
        drawn = ALL_ARE_DRAWN if options.get("java_script_enabled", True) else "true"
        try:
            _draw_all(page, drawn)
        except TimeoutError:  # a browser without a screen now and then stops drawing for good; what never draws fails again
            page.reload()
            _draw_all(page, drawn)
        return page

    yield open_page
    for context in contexts:
        context.close()


def _draw_all(page: Page, drawn: str) -> None:
    """Scroll through the page, so that every figure comes near and is drawn, and back. drawn: what is then true in the page."""
    for figure in page.locator("figure[data-name]").all():
        figure.evaluate("figure => figure.scrollIntoView()")
        page.wait_for_timeout(FRAMES)
    page.wait_for_function(drawn, polling=FRAMES)
    page.evaluate("scrollTo(0, 0)")


def _leaves(url: str, path: Path) -> bool:
    """Whether a request is for anything but the page itself and what is inside it."""
    return not url.startswith(("data:", "blob:")) and url != path.as_uri()
