import pandas as pd

from mia_pruning.reporting.operating import operating_tables

COLUMNS = [
    "experiment",
    "seed",
    "defence",
    "attack",
    "attacker",
    "allowed_fpr",
    "true_positives",
    "members",
    "false_positives",
    "others",
]


def counts(*rows):
    return pd.DataFrame([("e", *row) for row in rows], columns=COLUMNS)


def row(seed, fpr, false_positives, others, *, attack="a", defence="d", true_positives=30):
    return (seed, defence, attack, "adaptive", fpr, true_positives, 500, false_positives, others)


def test_seeds_add_up_and_what_too_few_non_members_resolve_is_said():
    tables = list(operating_tables(counts(*(row(seed, fpr, 4, 500) for seed in (0, 1) for fpr in (0.01, 0.001))), "e"))
    assert [table["fpr"] for table in tables] == [0.01, 0.001]
    assert tables[0]["rows"] == [["a", "adaptive", "0.060 (0.046-0.077) at 0.0080"]]
    assert tables[1]["rows"] == [["a", "adaptive", "n too small: 1000"]]


def test_a_lower_rate_has_a_table_where_non_members_resolve_it():
    rows = [row(0, fpr, 9, n) for fpr in (0.01, 0.001, 0.0001) for n in (100_000,)]
    assert [table["fpr"] for table in operating_tables(counts(*rows), "e")] == [0.01, 0.001, 0.0001]
    few = [row(0, fpr, 9, 99_999) for fpr in (0.01, 0.001, 0.0001)]
    assert [table["fpr"] for table in operating_tables(counts(*few), "e")] == [0.01, 0.001]


def test_a_defence_that_an_attack_was_not_tried_on_has_an_empty_cell():
    rows = [row(0, fpr, 9, 10_000, attack=a, defence=d) for fpr in (0.01, 0.001) for a, d in (("a", "d"), ("a", "f"), ("b", "f"))]
    table, _ = operating_tables(counts(*rows), "e")
    assert table["columns"] == ["d", "f"]
    assert [cells[2] == "" for cells in table["rows"]] == [False, True]
    assert [cells[3] == "" for cells in table["rows"]] == [False, False]
