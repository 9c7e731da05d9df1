import numpy as np
import pandas as pd

from mia_pruning.reporting.page.agreement import agreement_table

COLUMNS = ["attack", "other_attack", "metric", "value", "by_chance"]


def planted(*rows, seed=0):
    """attack, other attack, metric, value and value by chance of each row."""
    return pd.DataFrame(rows, columns=COLUMNS).assign(
        experiment="e", seed=seed, defence="pruned", attacker="adaptive", other_attacker="adaptive"
    )


def shares(attack, coverage, stability):
    return (attack, np.nan, "coverage", coverage, 0.1), (
        attack,
        np.nan,
        "stability",
        stability,
        0.0,
    )


def test_each_attack_has_a_row_with_the_attacks_that_are_most_and_least_alike():
    pairs = [
        ("a", "b", "jaccard", 0.2, 0.05),
        ("a", "c", "jaccard", 0.6, 0.05),
        ("b", "c", "jaccard", np.nan, np.nan),
    ]
    alone = [*shares("a", 0.3, 0.1), *shares("b", 0.2, 0.0), *shares("c", 0.4, 0.2)]
    table = agreement_table(planted(*alone, *pairs))
    rows = {cells[2].text: [cell.text for cell in cells[4:]] for cells in table.rows}
    assert rows["a"][:2] == ["0.300 (0.100)", "0.100 (0.000)"]
    assert rows["a"][2:] == ["c, adaptive 0.600 (0.050)", "b, adaptive 0.200 (0.050)"]
    assert rows["b"][2:] == ["a, adaptive 0.200 (0.050)"] * 2
    assert rows["c"][2:] == ["a, adaptive 0.600 (0.050)"] * 2


def test_one_attack_alone_is_like_no_other_and_seeds_are_averaged():
    both = pd.concat([planted(*shares("a", 0.3, 0.1)), planted(*shares("a", 0.5, 0.1), seed=1)])
    ((*_, covered, _, most, least),) = agreement_table(both.assign(other_attacker=np.nan)).rows
    assert (covered.text, most.text, least.text) == ("0.400 (0.100)", "", "")


def test_without_a_measurement_there_is_no_table():
    assert agreement_table(planted()) is None
