"""Reports of what other studies may hold, in a browser: names that are code, hundreds of defences, stages that are missing."""

import pandas as pd


def rename(name):
    return lambda table: table.replace({"lottery_ticket": name}) if "defence" in table else table


def test_names_that_are_code_are_shown_as_they_are(planted, opened):
    name = "<script>alert(1)</script><b>x"
    tables = ("results", "operating", "exposed", "audit", "strongest")
    tables += ("exposure_correlation", "agreement")
    changed = {table: rename(name) for table in tables}
    page = opened(planted(**changed))
    assert page.complaints == []
    assert page.locator("#defences tbody b, #attackers tbody b").count() == 0
    assert name in page.locator("#defences").inner_text()


def multiplied(n):
    """A table with a first defence and n copies of the second, each under a name of its own."""

    def multiply(table: pd.DataFrame) -> pd.DataFrame:
        copies = [
            table[table["defence"] == "mia_pruning"].assign(defence=f"copy_{number}")
            for number in range(n)
        ]
        return pd.concat([table, *copies], ignore_index=True)

    return multiply


def test_hundreds_of_defences_can_still_be_read(planted, opened):
    tables = ("results", "differences", "operating", "strongest", "audit", "exposed")
    tables += ("exposure_correlation", "agreement")
    path = planted(**{table: multiplied(300) for table in tables})
    assert path.stat().st_size < 15_000_000
    page = opened(path)
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    assert page.locator("#defences tbody tr").count() == 50
    search = page.locator(".dt-container", has=page.locator("#defences")).locator(
        "input[type=search]"
    )
    search.fill("copy 299")
    assert page.locator("#defences tbody tr").count() == 1


def none(table: pd.DataFrame) -> pd.DataFrame:
    return table.iloc[:0]


def test_stages_that_a_study_lacks_are_said_to_be_missing(planted, opened):
    lacking = ("guarantees", "exposed", "projection", "strongest", "audit")
    lacking += ("exposure_correlation", "agreement")
    page = opened(planted(**dict.fromkeys(lacking, none)))
    assert page.complaints == []
    assert (
        "No defence of this study promises differential privacy."
        in page.locator("#audit").inner_text()
    )
    assert "Single examples cannot be told apart here" in page.locator("#examples").inner_text()


def test_one_seed_is_said_to_be_one(planted, opened):
    page = opened(planted())
    assert (
        "One seed (0): intervals are over targets and examples"
        in page.locator("#method").inner_text()
    )
