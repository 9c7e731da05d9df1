"""The report of a real study in a real browser: what every reader, with whatever screen, finds in it."""

import csv
import io
import re
import subprocess
from itertools import combinations
from urllib.parse import unquote

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import expect

WIDTHS, SCHEMES = (360, 1280, 3840), ("light", "dark")
INTERACTIVE = ("trade_off", "roc", "exposure")

#: of what a picture holds, without its outline
WHERE_IT_IS_DRAWN = """(element) => {
    const { x, y, width, height } = element.getBBox(), to = element.getScreenCTM();
    return { x: to.a * x + to.e, y: to.d * y + to.f, width: to.a * width, height: to.d * height };
}"""
WHERE_A_POINT_IS = """(panel) => {
    panel.scrollIntoView({ block: "center" });
    const { xaxis, yaxis } = panel._fullLayout, drawn = panel.querySelector(".nsewdrag").getBoundingClientRect();
    const { x, y } = panel._fullData.find((trace) => trace.hoverinfo !== "skip"), middle = Math.floor(x.length / 2);
    return [drawn.left + xaxis.d2p(x[middle]), drawn.top + yaxis.d2p(y[middle])];
}"""


@pytest.fixture
def page(opened, report):
    return opened(report)


def open_all(page):
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")


def saved(page, button) -> bytes:
    with page.expect_download() as download:
        button.click()
    return download.value.path().read_bytes()


def is_blank(image: Image.Image) -> bool:
    """Whether it shows one colour only."""
    return len(np.unique(np.asarray(image.convert("L")))) < 3


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_leaves_the_page_nothing_fails_and_nothing_sticks_out(
    width, scheme, opened, report
):
    page = opened(report, width, scheme)
    open_all(page)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", SCHEMES)
def test_axe_finds_nothing_serious(scheme, opened, report):
    page = opened(report, scheme=scheme)
    open_all(page)
    found = Axe().run(page).response["violations"]
    serious = [entry for entry in found if entry["impact"] in ("serious", "critical")]
    assert [(entry["id"], entry["nodes"][0]["html"][:200]) for entry in serious] == []


def test_every_link_has_a_target(page, report):
    targets = {link.get_attribute("href") for link in page.locator("a[href]").all()} - {"data:,"}
    assert len(targets) > 40
    missing = [
        target
        for target in targets
        if target.startswith("#") and page.locator(f"[id='{target[1:]}']").count() != 1
    ]
    missing += [
        target
        for target in targets
        if target[0] != "#" and not (report.parent / unquote(target)).is_file()
    ]
    assert missing == []


def test_a_link_into_what_is_folded_up_opens_it(page):
    row = page.locator("#attackers-C1-lenet5_fashion")
    assert not row.is_visible()
    page.locator("#C1 > summary").click()
    page.locator("a[href='#attackers-C1-lenet5_fashion']").click()
    assert row.is_visible()


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_parts_of_a_verdicts_line_fit_beside_each_other(width, opened, report):
    """Claim, verdict, bar and number: none over another, none cut off, and on a wide screen all in a line's height."""
    lines = opened(report, width).locator("#claims .line > summary")
    assert lines.count() >= 8
    for line in lines.all():
        parts = line.locator(".claim, .verdict, svg.bar, .measured .numbers, .reason").all()
        boxes = [part.bounding_box() for part in parts]
        assert not any(map(overlap, *zip(*combinations(boxes, 2), strict=True)))
        assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
        assert not any(
            part.evaluate("part => part.scrollWidth > part.clientWidth + 1 && part.clientWidth")
            for part in parts
        )
        assert line.bounding_box()["height"] < (200 if width < 500 else 100)


def overlap(one, other):
    """Whether two boxes of the page share more than a pixel's rim."""
    beside = (
        one["x"] + one["width"] <= other["x"] + 1 or other["x"] + other["width"] <= one["x"] + 1
    )
    return not (
        beside
        or one["y"] + one["height"] <= other["y"] + 1
        or other["y"] + other["height"] <= one["y"] + 1
    )


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_the_names_in_the_picture_overlap_neither_each_other_nor_a_point(width, opened, report):
    picture = opened(report, width).locator("svg.picture:visible")
    assert picture.count() == 1
    names = [name.evaluate(WHERE_IT_IS_DRAWN) for name in picture.locator("text.name").all()]
    points = [point.evaluate(WHERE_IT_IS_DRAWN) for point in picture.locator("circle").all()]
    assert len(names) == len(points) == 9
    assert not any(map(overlap, *zip(*combinations(names, 2), strict=True)))
    assert not any(overlap(name, point) for name in names for point in points)
    around = picture.bounding_box()
    assert all(
        around["x"] <= name["x"] and name["x"] + name["width"] <= around["x"] + around["width"]
        for name in names
    )


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_line_of_the_report_is_wider_than_a_telephone(scheme, opened, report):
    page = opened(report, 390, scheme)
    open_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_verdicts_line_opens_by_the_keyboard(page):
    line = page.locator("#C1")
    line.locator("summary").focus()
    page.keyboard.press("Enter")
    assert line.locator("dl").is_visible()
    assert "required: below 0 points" in line.inner_text()


def test_no_toolbar_lies_over_a_plot(page):
    page.locator("figure[data-name=roc] .panel").first.hover()
    assert page.locator(".modebar:visible").count() == 0


def test_no_name_stands_for_two_places(page):
    names = page.evaluate("[...document.querySelectorAll('[id]')].map((element) => element.id)")
    assert len(names) == len(set(names))


def test_every_table_sorts_filters_and_downloads(page):
    open_all(page)
    tables = page.locator("table.data").all()
    assert len(tables) >= 12
    for table in tables:
        around = page.locator(
            ".dt-container", has=page.locator(f"[id='{table.get_attribute('id')}']")
        )
        column = table.locator("thead th").count() - 1
        head, cells = (
            table.locator("thead th").nth(column),
            table.locator(f"tbody tr > :nth-child({column + 1})"),
        )
        rows, before = table.locator("tbody tr").count(), cells.all_inner_texts()
        downloaded = list(
            csv.reader(
                io.StringIO(
                    saved(page, around.get_by_role("button", name="CSV")).decode("utf-8-sig")
                )
            )
        )
        assert [row[column].strip() for row in downloaded[1 : rows + 1]] == [
            text.strip() for text in before
        ]
        head.click()
        expect(head).to_have_attribute("aria-sort", "ascending")
        ascending = cells.all_inner_texts()
        head.click()
        expect(head).to_have_attribute("aria-sort", "descending")
        if len(set(before)) > 1 and rows < 50:
            assert cells.all_inner_texts() != ascending
        search = around.locator("input[type=search]")
        search.fill("no row has these words")
        assert table.locator("tbody td.dt-empty").count() == 1
        search.fill(before[0])
        assert before[0] in cells.all_inner_texts()


def test_numbers_sort_as_numbers(page):
    """Bytes with separators, and values with their interval."""
    table = page.locator("#defences")
    labels = table.locator("thead th").all_inner_texts()
    column = next(index for index, label in enumerate(labels) if label.strip() == "bytes, sparse")
    head = table.locator("thead th").nth(column)
    head.click()
    expect(head).to_have_attribute("aria-sort", "ascending")
    found = [
        int(text.replace(",", ""))
        for text in table.locator(f"tbody tr > :nth-child({column + 1})").all_inner_texts()
    ]
    assert found == sorted(found)
    assert len(set(found)) > 1


def test_every_figure_is_seen_and_not_blank(page):
    figures = page.locator("figure[data-name]").all()
    assert len(figures) >= 11
    for figure in figures:
        name, plate = figure.get_attribute("data-name"), figure.locator(".plate")
        assert (figure.locator(".panel").count() > 0) == (name in INTERACTIVE)
        for panel in figure.locator(".panel").all():
            around, drawn = panel.bounding_box(), panel.locator(".main-svg").first.bounding_box()
            assert abs(around["width"] - drawn["width"]) < 2, name
        assert not is_blank(Image.open(io.BytesIO(plate.screenshot()))), name
        assert len(figure.locator("img").get_attribute("alt")) > 30, name
        assert figure.locator("figcaption strong").inner_text(), name


@pytest.mark.parametrize("name", INTERACTIVE)
def test_a_point_that_is_pointed_at_tells_its_numbers(name, page):
    figure = page.locator(f"figure[data-name={name}]")
    page.mouse.move(*figure.locator(".panel").first.evaluate(WHERE_A_POINT_IS))
    said = figure.locator(".hoverlayer .hovertext")
    said.first.wait_for()
    assert re.search(r"\d\.\d", said.first.text_content())


def test_every_figure_can_be_downloaded_and_enlarged(page, report):
    for number, figure in enumerate(page.locator("figure[data-name]").all()):
        if number % 3 == 0:
            page.reload()  # Chromium drops the eleventh download of a page
        name = figure.get_attribute("data-name")
        beside = report.parent / "figures" / name
        assert (
            saved(page, figure.get_by_role("button", name="SVG", exact=True))
            == beside.with_suffix(".svg").read_bytes()
        )
        assert not is_blank(
            Image.open(
                io.BytesIO(saved(page, figure.get_by_role("button", name="PNG", exact=True)))
            )
        )
        button = figure.get_by_role("button", name="CSV", exact=True)
        if button.count():
            assert saved(page, button) == beside.with_suffix(".csv").read_bytes()
    figure.get_by_role("button", name="Enlarge").click()
    assert page.locator("dialog").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog").is_visible()


def test_the_first_screen_has_the_answer_the_scale_the_numbers_the_picture_and_the_verdicts(
    opened, report
):
    page = opened(report, 1440)
    for what in (".answer", ".badge", "ul.numbers", "svg.picture", ".line >> nth=6"):
        box = page.locator(what).first.bounding_box()
        assert 0 <= box["y"] < 900, what
    box = page.locator("svg.picture:visible").bounding_box()
    assert box["y"] + box["height"] < 900
    assert 1 <= page.locator(".answer p").count() <= 2
    assert page.locator("ul.numbers li").count() == 3
    assert page.locator(".badge").first.inner_text() == "reduced size"


def test_a_printed_page_has_every_section_all_rows_and_every_figure(page, tmp_path):
    headings = page.locator("section h2").all_inner_texts()
    assert len(headings) > 12
    rules = page.locator("#records").evaluate(
        "(table) => new DataTable.Api(table).column(0).data().toArray()"
    )
    page.pdf(path=tmp_path / "page.pdf")
    text = subprocess.run(
        ["pdftotext", tmp_path / "page.pdf", "-"], capture_output=True, text=True, check=True
    ).stdout
    words = " ".join(text.split())
    assert [name for name in headings if name not in words] == []
    assert len(rules) > 50  # that a screen shows at a time
    assert text.count("run_attack\n") >= rules.count("run_attack") > 20
    listed = subprocess.run(
        ["pdfimages", "-list", tmp_path / "page.pdf"], capture_output=True, text=True, check=True
    ).stdout
    assert "image" in listed


def test_without_scripts_tables_and_figures_are_there(opened, report):
    page = opened(report, java_script_enabled=False)
    images = page.locator("figure[data-name] img")
    assert images.count() >= 11
    assert all(image.is_visible() for image in images.all())
    assert page.locator("#defences tbody tr").count() == 9
    assert page.locator("figure[data-name] button:visible").count() == 0
    assert page.locator("figure[data-name=roc] .downloads a:visible").count() == 2


def test_the_keyboard_reaches_the_results_first_and_every_wide_table(page):
    # The fixture has scrolled through the page, and some versions of Chromium then tab on from there.
    page.reload()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('href')") == "#main"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#main"
    assert page.locator(".scroll:not([tabindex='0'])").count() == 0


def test_the_page_is_small(report):
    assert report.stat().st_size < 5_000_000
