import pandas as pd

from mia_pruning.reporting.operating import operating_tables

ONE = {"experiment": "e", "attacker": "adaptive"}


def rates(*rows):
    """attack, defence, metric, value"""
    columns = ["attack", "defence", "metric", "value"]
    table = pd.DataFrame([{**dict(zip(columns, row, strict=True)), **ONE} for row in rows], columns=[*columns, *ONE])
    return table.assign(low=table["value"] - 0.01, high=table["value"] + 0.01)


def counts(*rows):
    """attack, defence, allowed_fpr, false_positives, others"""
    columns = ["attack", "defence", "allowed_fpr", "false_positives", "others"]
    return pd.DataFrame([{**dict(zip(columns, row, strict=True)), **ONE} for row in rows])


def test_a_cell_is_the_rate_its_interval_and_the_realised_rate_over_seeds_or_that_n_is_too_small():
    of_seeds = [("a", "d", fpr, n, 500) for fpr in (0.01, 0.001) for n in (3, 5)]
    tables = list(operating_tables(rates(("a", "d", "tpr_at_1_percent_fpr", 0.06)), counts(*of_seeds), "e"))
    assert [table["fpr"] for table in tables] == [0.01, 0.001]
    assert tables[0]["rows"] == [["a", "adaptive", "0.060 (0.050-0.070) at 0.0080"]]
    assert tables[1]["rows"] == [["a", "adaptive", "n too small: 1000"]]


def test_a_lower_rate_has_a_table_where_any_attack_resolves_it():
    counted = counts(*(("a", "d", fpr, 9, 90_000) for fpr in (0.01, 0.001, 0.0001)))
    assert [table["fpr"] for table in operating_tables(rates(), counted, "e")] == [0.01, 0.001]
    resolved = rates(("a", "d", "tpr_at_0.01_percent_fpr", 0.02))
    assert [table["fpr"] for table in operating_tables(resolved, counted, "e")] == [0.01, 0.001, 0.0001]


def test_a_defence_that_an_attack_was_not_tried_on_has_an_empty_cell():
    counted = counts(*((a, d, fpr, 9, 100) for fpr in (0.01, 0.001) for a, d in (("a", "d"), ("a", "f"), ("b", "f"))))
    table, _ = operating_tables(rates(), counted, "e")
    assert table["columns"] == ["d", "f"]
    assert table["rows"] == [["a", "adaptive", *["n too small: 100"] * 2], ["b", "adaptive", "", "n too small: 100"]]


def test_the_strongest_attack_comes_first_and_has_no_realised_rate():
    rate = rates(("a", "d", "tpr_at_1_percent_fpr", 0.06), ("strongest", "d", "tpr_at_1_percent_fpr", 0.07))
    rate.loc[1, "attacker"] = "any"
    table, _ = operating_tables(rate, counts(*(("a", "d", fpr, 9, 1000) for fpr in (0.01, 0.001))), "e")
    assert [row[0] for row in table["rows"]] == ["strongest", "a"]
    assert table["rows"][0][2] == "0.070 (0.060-0.080)"
