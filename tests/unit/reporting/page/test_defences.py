"""Tables of defences from planted results."""

import numpy as np
import pandas as pd
import pytest

from mia_pruning.reporting.page.attacks import every_attack, privacy_matrix
from mia_pruning.reporting.page.defences import changes, overview

HEADLINE = {"attack": "net", "attacker": "adaptive"}


COUNTS = {
    "population_needed": np.nan,
    "experiment": "lenet5", "attack": "net", "attacker": "adaptive", "true_positives": 40, "members": 400, "others": 400,
}  # fmt: skip


def row(defence, metric, value, attack="", attacker="", half=0.01):
    interval = {"value": value, "low": value - half, "high": value + half}
    return {
        "experiment": "lenet5",
        "defence": defence,
        "metric": metric,
        "attack": attack,
        "attacker": attacker,
        **interval,
    }


RESULTS = pd.DataFrame(
    [
        row("baseline", "test_accuracy", 0.8),
        row("baseline", "attack_accuracy", 0.6, "net", "adaptive"),
        row("baseline", "attack_accuracy", 0.75, "strongest", "any"),
        row("baseline", "tpr_at_1_percent_fpr", 0.05, "net", "adaptive"),
        row("pruned", "test_accuracy", 0.4),
        row("pruned", "compression", 15.78, half=0.0),
        row("pruned", "attack_accuracy", 0.49, "net", "adaptive"),
    ]
)


def texts(table):
    return [[cell.text for cell in cells] for cells in table.rows]


def labels(table):
    return [column.label for column in table.columns]


def test_the_overview_has_the_columns_that_some_defence_has_and_gaps_where_one_has_not():
    table = overview(RESULTS, HEADLINE)
    shown = dict(zip(labels(table), zip(*texts(table), strict=True), strict=True))
    assert shown["test accuracy"] == ("0.800 (0.790 to 0.810)", "0.400 (0.390 to 0.410)")
    assert shown["compression"] == ("", "15.78")
    assert shown["attack accuracy, strongest"] == ("0.750 (0.740 to 0.760)", "")
    assert "epsilon" not in shown
    assert all(column.about for column in table.columns[2:])


def test_bars_compare_the_values_of_a_column():
    table = overview(RESULTS, HEADLINE)
    shares = {
        label: [cells[column].share for cells in table.rows]
        for column, label in enumerate(labels(table))
    }
    assert shares["test accuracy"] == [1.0, 0.5]
    assert shares["attack accuracy, net"] == [1.0, 0.0]  # 0.6 and 0.49: what exceeds guessing


def test_in_the_matrix_a_bar_is_what_exceeds_guessing_and_the_strongest_comes_first():
    table = privacy_matrix(RESULTS)
    assert labels(table)[2:] == ["strongest, any", "net, adaptive"]
    assert [[cell.share for cell in cells[2:]] for cells in table.rows] == [
        [0.5, pytest.approx(0.2)],
        [None, 0.0],
    ]
    assert table.rows[0][3].hint == "0.590 to 0.610"


def test_an_attack_below_correctness_is_marked_with_what_correctness_reaches():
    further = [
        row("baseline", "attack_accuracy", 0.62, "gap", "adaptive"),
        row("baseline", "attack_accuracy", 0.60, "net", "known_members"),
    ]
    results = pd.concat([RESULTS, pd.DataFrame(further)])
    table = privacy_matrix(results, "gap")
    (of_baseline, of_pruned) = [
        dict(zip(labels(table), cells, strict=True)) for cells in table.rows
    ]
    assert of_baseline["net, adaptive"].text == "0.600 †"
    assert of_baseline["net, adaptive"].hint == "0.590 to 0.610; below correctness, 0.620"
    assert of_baseline["gap, adaptive"].text == "0.620"
    assert of_baseline["strongest, any"].text == "0.750"
    assert of_baseline["net, known members"].text == "0.600"  # measured on other examples
    assert of_pruned["net, adaptive"].text == "0.490"


def test_a_rate_that_non_members_do_not_resolve_says_so():
    counts = {**COUNTS, "false_positives": 3}
    operating = pd.DataFrame(
        [{**counts, "defence": name, "allowed_fpr": 0.01} for name in ("baseline", "pruned")]
    )
    table = every_attack(RESULTS, operating)
    column = labels(table).index("TPR at 1 % FPR")
    found = {(cells[1].text, cells[2].text): cells[column].text for cells in table.rows}
    assert found[("baseline", "net")] == "0.050 (0.040 to 0.060) at 0.0075"
    assert found[("pruned", "net")] == "n too small: 400"
    assert found[("baseline", "strongest")] == ""


def test_a_rate_that_the_population_does_not_resolve_names_the_size_that_would():
    counts = {**COUNTS, "false_positives": 3}
    by_seed = [
        {**counts, "defence": "baseline", "allowed_fpr": 0.01, "population_needed": n}
        for n in (1000, 1250)
    ]
    table = every_attack(RESULTS, pd.DataFrame(by_seed))
    cells = next(
        cells for cells in table.rows if (cells[1].text, cells[2].text) == ("baseline", "net")
    )
    found = cells[labels(table).index("TPR at 1 % FPR")].text
    assert found == "0.050 (0.040 to 0.060) at 0.0075; population below 1,250"


def test_the_precision_is_that_of_all_seeds_together_where_the_rate_is_resolved():
    found = {"allowed_fpr": [np.nan, np.nan, 0.01], "false_positives": [30, 10, 0]}
    points = pd.DataFrame({**COUNTS, "defence": "baseline", **found})
    table = every_attack(RESULTS, pd.concat([points, points[2:].assign(defence="pruned")]))
    shown = [dict(zip(labels(table), cells, strict=True)) for cells in texts(table)]
    (measured,) = [row for row in shown if (row["defence"], row["attack"]) == ("baseline", "net")]
    # 80 of 800 and 40 of 800: the rates are 0.1 and 0.05
    assert measured["precision at its own threshold"] == "0.02 / 0.18 / 0.67"
    upper = 1 - 0.025 ** (1 / 400)
    wanted = [share * 0.1 / (share * 0.1 + (1 - share) * upper) for share in (0.01, 0.1, 0.5)]
    said = " / ".join(f"{value:.2g}" for value in wanted)
    assert measured["precision at 1 % FPR"] == f"at least {said}"
    (not_resolved,) = [row for row in shown if (row["defence"], row["attack"]) == ("pruned", "net")]
    assert (
        not_resolved["precision at 1 % FPR"] == not_resolved["precision at its own threshold"] == ""
    )


def test_changes_are_those_against_the_baseline():
    rows = [
        row("pruned", "attack_accuracy", -0.02, "net", "adaptive"),
        row("pruned", "test_accuracy", 0.01),
    ]
    differences = pd.DataFrame(
        [*({**r, "minus": "baseline"} for r in rows), {**rows[0], "minus": "min_max", "value": 9.0}]
    )
    table = changes(differences, HEADLINE)
    assert labels(table) == ["experiment", "defence", "test accuracy", "attack accuracy"]
    assert texts(table) == [
        ["lenet5", "pruned", "+1.0 points (+0.0 to +2.0)", "-2.0 points (-3.0 to -1.0)"]
    ]
