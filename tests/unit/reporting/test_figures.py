"""Figures on planted tables: what is plotted and what is said of it can be worked out by hand."""

import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from mia_pruning.registry import catalogue
from mia_pruning.reporting import style
from mia_pruning.reporting.curves import joined
from mia_pruning.reporting.style import colours

HEADLINE = {"attack": "net", "attacker": "adaptive"}
HISTORY = (
    "experiment",
    "defence",
    "stage",
    "model",
    "epoch",
    "train_loss",
    "train_accuracy",
    "test_accuracy",
    "gain",
)


@pytest.fixture(autouse=True)
def no_figure_stays_open():
    yield
    plt.close("all")


def draw(name, **tables):
    return catalogue("figure")[name].load()(tables, HEADLINE)


def history(*rows):
    """defence, stage, model, epoch, gain"""
    whole = [("e", *about, 1.0, 0.5, 0.5, gain) for *about, gain in rows]
    return pd.DataFrame(whole, columns=HISTORY)


def results(**metrics):
    """defence -> metrics and their values; an attack's metric is the headline's."""
    return pd.DataFrame(
        [
            {
                **dict.fromkeys(("value", "low", "high"), value),
                "experiment": "e",
                "defence": defence,
                "metric": metric,
                "frontier": False,
                **(
                    HEADLINE
                    if metric in ("attack_accuracy", "gain")
                    else {"attack": "", "attacker": ""}
                ),
            }
            for defence, of_defence in metrics.items()
            for metric, value in of_defence.items()
        ]
    )


def test_phases_are_joined_and_what_starts_untrained_starts_at_the_first_epoch():
    pruned = [
        ("p", "train", 0, 1),
        ("p", "train", 0, 2),
        ("p", "prune", 0, 1),
        ("p", "retrain", 0, 1),
    ]
    untrained = [("s", "retrain", 0, 1), ("s", "retrain", 0, 2)]
    table = joined(history(*[(*row, np.nan) for row in [*pruned, *untrained]]))
    epochs = {defence: rows["total_epoch"].tolist() for defence, rows in table.groupby("defence")}
    assert epochs == {"p": [1, 2, 3, 4], "s": [1, 2]}


def test_the_games_curve_is_the_mean_over_models_of_the_defences_that_play():
    dense = [
        ("erm", "train", 0, 1, np.nan),
        ("game", "train", 0, 1, -0.6),
        ("game", "train", 1, 1, -0.4),
    ]
    retrained = [("game", "retrain", 0, 1, -0.69), ("game", "retrain", 1, 1, -0.67)]
    drawing = draw(
        "gain",
        history=history(*dense, *retrained),
        results=results(erm={"auc": 0.5}, game={"auc": 0.5}),
    )
    assert drawing.table["defence"].tolist() == ["game", "game"]
    assert drawing.table["gain"].tolist() == pytest.approx([-0.5, -0.68])
    assert drawing.table["total_epoch"].tolist() == [1, 2]
    assert "-0.500 at its highest and -0.680 at the end (game, e)" in drawing.finding


def test_without_a_game_the_figure_says_so():
    drawing = draw(
        "gain", history=history(("erm", "train", 0, 1, np.nan)), results=results(erm={"auc": 0.5})
    )
    assert drawing.finding == "No defence in these results plays against an inference model."


def test_residuals_are_of_each_layer_and_of_all():
    columns = (
        "experiment",
        "seed",
        "defence",
        "model",
        "layer",
        "epoch",
        "rho",
        "primal",
        "dual",
        "weight_norm",
    )
    rows = [
        ("e", 0, "p", 0, "conv", 1, 0.1, 3.0, 0.5, 10.0),
        ("e", 0, "p", 0, "fc", 1, 0.1, 4.0, 0.0, 20.0),
    ]
    drawing = draw("residuals", residuals=pd.DataFrame(rows, columns=columns))
    primal = drawing.table.set_index("layer")["primal"].to_dict()
    assert primal == pytest.approx({"conv": 0.3, "fc": 0.2, "all layers": 5 / np.sqrt(500)})
    assert drawing.table.set_index("layer")["dual"]["all layers"] == pytest.approx(
        0.5 / np.sqrt(500)
    )
    assert "22.4 % (p, e; at most 30.0 %, in conv)" in drawing.finding


def test_without_admm_the_figure_says_so():
    empty = pd.DataFrame(columns=["experiment", "seed", "defence"])
    assert (
        draw("residuals", residuals=empty).finding
        == "No defence in these results is solved by ADMM."
    )


def test_compute_counts_operations_so_a_small_network_is_cheap_though_it_trains_longer():
    measured = {"attack_accuracy": 0.6, "test_accuracy": 0.8}
    drawing = draw(
        "compute",
        results=results(
            baseline={"sample_passes": 100, "training_flops": 9e6, **measured},
            small={"sample_passes": 200, "training_flops": 1e6, **measured},
            pruned={"sample_passes": 150, "training_flops": 2e7, **measured},
        ),
    )
    least, most = (
        "1e+06 FLOPs in 200 sample-passes (small, e)",
        "2e+07 FLOPs in 150 sample-passes (pruned, e)",
    )
    assert drawing.finding == f"Training one model takes from {least} to {most}."


def test_divergence_names_the_extremes_and_who_lies_above_the_bound():
    """At a divergence of log 2 outputs tell all, at 0 nothing: an accuracy of 0.9 is above what 0 allows."""
    rows = {
        "open": {"js_divergence": np.log(2), "gain": -0.1, "attack_accuracy": 0.9},
        "shut": {"js_divergence": 0.0, "gain": -0.69, "attack_accuracy": 0.9},
    }
    drawing = draw("divergence", results=results(**rows))
    assert drawing.table["highest_gain"].tolist() == pytest.approx([0.0, -np.log(2)])
    assert drawing.table["accuracy_bound"].tolist() == pytest.approx([1.0, 0.5], abs=1e-6)
    assert drawing.finding == (
        "The divergence is largest at 0.6931 nats (open, e), least at 0.0000 nats (shut, e); "
        "the headline attack lies above the bound on shut, e."
    )


def test_the_farthest_subnetwork_of_each_stage_is_named():
    columns = ["experiment", "seed", "defence", "model", "stage", "total_variation"]
    values = {
        ("near", "pruned"): (0.1, 0.3),
        ("near", "retrained"): (0.2, 0.2),
        ("far", "pruned"): (0.5, 0.7),
    }
    rows = [
        ("e", 0, name, model, stage, v)
        for (name, stage), of in values.items()
        for model, v in enumerate(of)
    ]
    compressed = results(near={"compression": 2.0}, far={"compression": 20.0})
    drawing = draw(
        "subnetwork_distance", distance=pd.DataFrame(rows, columns=columns), results=compressed
    )
    means = drawing.table.set_index(["defence", "stage"])["mean"].to_dict()
    assert means == pytest.approx(
        {("near", "pruned"): 0.2, ("near", "retrained"): 0.2, ("far", "pruned"): 0.6}
    )
    assert "0.600 when pruned (far, e), 0.200 when retrained (near, e)" in drawing.finding


def verdict_row(claim, value, **more):
    """Half an interval is 0.01, corrected 0.03."""
    about = {"claim": claim, "experiment": "e", "defence": "p", **HEADLINE, "headline": True}
    condition = {
        "metric": "attack_accuracy",
        "minus": "baseline",
        "direction": "below",
        "threshold": 0.0,
    }
    ends = {
        "low": value - 0.01,
        "high": value + 0.01,
        "corrected_low": value - 0.03,
        "corrected_high": value + 0.03,
    }
    row = {**about, **condition, "value": value, **ends, **more}
    claimed = {"below": row["threshold"] - value, "at_least": value - row["threshold"]}[
        row["direction"]
    ]
    return {**row, "outcome": outcome(claimed, 0.01), "corrected_outcome": outcome(claimed, 0.03)}


def outcome(claimed, half):
    """How far on the claimed side the middle of an interval lies, and half of its width."""
    return "inconclusive" if abs(claimed) < half else "supported" if claimed > 0 else "refuted"


BY_STRONGEST = {"attack": "strongest", "attacker": "any", "headline": False}
OF_UTILITY = {"metric": "test_accuracy", "direction": "at_least", "threshold": -0.01}


def test_claims_are_drawn_by_the_headline_attack_and_by_the_strongest_with_its_wider_interval():
    rows = [
        verdict_row("C1", -0.02),
        verdict_row("C1", -0.02, **BY_STRONGEST),
        verdict_row("C1", -0.9, **BY_STRONGEST, defence="another"),
        verdict_row("C1", -0.9, attack="loss", headline=False),
        verdict_row("C2", 0.02, minus="game"),
        verdict_row("C2", -0.005, **OF_UTILITY),
        verdict_row("C2", 0.05, minus="game", **BY_STRONGEST),
        verdict_row("C2", -0.005, **{**OF_UTILITY, **BY_STRONGEST}),
        verdict_row("C3", 15.0, metric="compression", minus=""),
        verdict_row("C4", float("nan")),
    ]
    drawing = draw("claims", verdicts=pd.DataFrame(rows), results=results(p={"auc": 0.5}))
    drawn = drawing.table.set_index(["condition", "by"])
    assert drawn["outcome"].to_dict() == {
        ("C1", "by the headline attack"): "supported",
        ("C1", "by the strongest attack, corrected"): "inconclusive",
        ("C2: attack accuracy", "by the headline attack"): "refuted",
        ("C2: test accuracy", "without an attack"): "inconclusive",
        ("C2: attack accuracy", "by the strongest attack, corrected"): "refuted",
    }
    assert drawn.loc[
        ("C1", "by the strongest attack, corrected"), ["low", "high"]
    ].tolist() == pytest.approx([-5, 1])
    assert drawing.finding == (
        "e: by the headline attack, of 2 differences 1 supported, 1 refuted; without an attack, of 1 difference 1 inconclusive; "
        "by the strongest attack, corrected, of 2 differences 1 refuted, 1 inconclusive."
    )


def test_conditions_of_a_claim_are_told_apart_by_no_more_than_it_takes():
    rows = [
        verdict_row("C1", -0.02),
        verdict_row("C1", -0.02, minus="game"),
        verdict_row("C2", -0.02, threshold=0.01),
    ]
    rows.append(verdict_row("C2", -0.02, direction="at_least", threshold=-0.01))
    drawing = draw("claims", verdicts=pd.DataFrame(rows))
    assert drawing.table["condition"].tolist() == [
        "C1: less baseline",
        "C1: less game",
        "C2: below 1",
        "C2: at least -1",
    ]


def test_without_a_tested_claim_the_figure_says_so():
    verdicts = pd.DataFrame([verdict_row("C1", float("nan"))])
    assert (
        draw("claims", verdicts=verdicts).finding == "No claim about a difference could be tested."
    )


def test_the_trade_off_is_drawn_under_the_strongest_attack_and_the_headline_attack():
    measured = results(
        base={"test_accuracy": 0.8, "attack_accuracy": 0.6},
        p={"test_accuracy": 0.7, "attack_accuracy": 0.5},
    )
    strongest = measured[measured["attack"] != ""].assign(
        attack="strongest", attacker="any", value=[0.7, 0.65]
    )
    drawing = draw("trade_off", results=pd.concat([measured, strongest.assign(low=0.6, high=0.75)]))
    assert drawing.finding == (
        "Attack accuracy on e, the strongest attack: base 0.700; lowest of all 0.650 (p) at 10.0 points less test accuracy. "
        "Attack accuracy on e, net: base 0.600; lowest of all 0.500 (p) at 10.0 points less test accuracy."
    )
    (lower, upper), *others = [panel["layout"]["yaxis"]["range"] for panel in drawing.interactive]
    assert lower < 0.5 < 0.75 < upper
    assert others == [[lower, upper]]
    alone = draw("trade_off", results=measured)
    assert [panel["layout"]["title"]["text"] for panel in alone.interactive] == ["e: net"]


def roc_tables(rates):
    """The results of one attack on two defences: metric -> the values of both."""
    values = [
        {
            "experiment": "e",
            "defence": d,
            "metric": m,
            "value": v,
            "low": v - 0.01,
            "high": v + 0.01,
            **HEADLINE,
        }
        for m, of_defences in {"auc": (0.6, 0.7), **rates}.items()
        for d, v in zip(("base", "pruned"), of_defences, strict=True)
    ]
    curve = [
        {"experiment": "e", "defence": d, "fpr": f, "tpr": f, "low": f, "high": f, **HEADLINE}
        for d in ("base", "pruned")
        for f in (0.01, 1)
    ]
    return {
        "results": pd.DataFrame(values),
        "roc": pd.DataFrame(curve),
        "guarantees": pd.DataFrame(columns=["experiment", "defence", "epsilon", "delta"]),
    }


def test_the_roc_speaks_of_the_lowest_rate_that_the_study_resolves_and_of_what_is_surely_above_nothing():
    rates = {"tpr_at_10_percent_fpr": (0.4, 0.3), "tpr_at_1_percent_fpr": (0.05, 0.06)}
    assert draw("roc", **roc_tables(rates)).finding == (
        "At 1 % false positives the highest true-positive rate of all adaptive attacks whose interval lies above 0 is "
        "0.060 (0.050 to 0.070): net on pruned, e."
    )
    lower = draw("roc", **roc_tables({**rates, "tpr_at_0.1_percent_fpr": (0.02, 0.01)}))
    assert "At 0.1 % false positives" in lower.finding
    assert "is 0.020 (0.010 to 0.030): net on base, e." in lower.finding
    unsure = roc_tables({"tpr_at_1_percent_fpr": (0.05, 0.06)})
    of_pruned = (unsure["results"]["metric"] == "tpr_at_1_percent_fpr") & (
        unsure["results"]["defence"] == "pruned"
    )
    unsure["results"].loc[of_pruned, "low"] = 0.0
    assert "is 0.050 (0.040 to 0.060): net on base, e." in draw("roc", **unsure).finding


def test_an_attack_that_is_not_drawn_may_find_the_most():
    tables = roc_tables({"tpr_at_1_percent_fpr": (0.05, 0.06)})
    more = tables["results"][tables["results"]["metric"] == "tpr_at_1_percent_fpr"].assign(
        attack="other", value=0.2, high=0.3
    )
    tables["results"] = pd.concat([tables["results"], more], ignore_index=True)
    assert "is 0.200 (0.040 to 0.300): other on base, e." in draw("roc", **tables).finding


def test_without_non_members_enough_the_roc_says_so():
    finding = "There are too few non-members for a true-positive rate at a low false-positive rate."
    assert draw("roc", **roc_tables({})).finding == finding


def test_what_a_guarantee_allows_is_drawn_beside_the_curves():
    tables = roc_tables({})
    tables["guarantees"] = pd.DataFrame(
        [{"experiment": "e", "defence": "pruned", "seed": 0, "epsilon": 1.5, "delta": 1e-4}]
    )
    (axis,) = draw("roc", **tables).figure.axes
    lines = {line.get_label(): line.get_xydata() for line in axis.lines}
    limit = lines["most by pruned"]
    fpr = limit[:, 0]
    wanted = np.minimum(
        np.minimum(np.exp(1.5) * fpr + 1e-4, 1 - np.exp(-1.5) * (1 - 1e-4 - fpr)), 1
    )
    np.testing.assert_allclose(limit[:, 1], wanted)
    assert "most by base" not in lines
    tables["guarantees"]["epsilon"] = 8.0  # allows an attacker everything
    drawing = draw("roc", **tables)
    assert "most by pruned" not in {line.get_label() for line in drawing.figure.axes[0].lines}
    assert "dashed" not in drawing.caption


def test_the_baselines_grey_is_nobody_elses_where_the_baseline_is_missing():
    both, alone = colours(["baseline", "pruned"]), colours(["pruned"])
    assert alone["pruned"] == both["pruned"] != both["baseline"]


def test_a_trade_off_leaves_out_where_the_headline_attack_has_no_result():
    planted = results(
        baseline={"test_accuracy": 0.8, "attack_accuracy": 0.6},
        pruned={"test_accuracy": 0.7, "attack_accuracy": 0.5},
    )
    other = results(pruned={"test_accuracy": 0.7}).assign(experiment="f")
    assert (
        draw("trade_off", results=pd.concat([planted, other])).finding.count("Attack accuracy on")
        == 1
    )


def test_the_dense_networks_of_the_frontier_are_joined_by_their_test_accuracies():
    measured = results(
        late={"test_accuracy": 0.9, "attack_accuracy": 0.7},
        pruned={"test_accuracy": 0.8, "attack_accuracy": 0.5, "compression": 4.0},
        early={"test_accuracy": 0.7, "attack_accuracy": 0.6},
    )
    drawing = draw("trade_off", results=measured.assign(frontier=measured["defence"] != "pruned"))
    joined_points = [
        line.get_xydata().tolist() for axis in drawing.figure.axes for line in axis.lines
    ]
    assert [[0.7, 0.6], [0.9, 0.7]] in joined_points
    assert drawing.interactive[0]["data"][1]["x"] == [0.7, 0.9]
    assert "grey line" in drawing.caption
    assert "grey line" not in draw("trade_off", results=measured).caption
    assert (
        "lowest of the pruned 0.500 (pruned) at 10.0 points less test accuracy" in drawing.finding
    )
    assert "lowest of all" not in drawing.finding


def test_where_the_first_network_is_pruned_it_is_among_the_pruned():
    measured = {"test_accuracy": 0.8, "compression": 4.0}
    drawing = draw(
        "trade_off",
        results=results(
            one={**measured, "attack_accuracy": 0.5}, two={**measured, "attack_accuracy": 0.6}
        ),
    )
    assert (
        drawing.finding == "Attack accuracy on e, net: one 0.500; lowest of the pruned 0.500 (one)."
    )


@pytest.mark.parametrize(
    "rates",
    [[5.0], [1, 5, 15.78, 40], list(range(2, 20)), [30.01 + number / 100 for number in range(40)]],
)
def test_a_few_rates_are_marked_on_an_axis_of_compression(rates):
    _, axis = plt.subplots()
    axis.plot(rates, rates)
    style.mark_rates(axis, rates)
    marks = [label.get_text() for label in axis.get_xticklabels()]
    assert 1 <= len(marks) <= 8
    assert all(float(mark) in {float(f"{rate:.3g}") for rate in rates} for mark in marks)


def test_a_legend_counts_what_it_has_no_room_for():
    """Known answer: twenty lines, of which sixteen are named."""
    drawn, axis = plt.subplots()
    for number in range(20):
        axis.plot([0, 1], label=f"line {number}")
    style.name_beside(axis)
    said = [text.get_text() for text in axis.get_legend().get_texts()]
    plt.close(drawn)
    assert said == [*(f"line {number}" for number in range(16)), "and 4 more"]


def test_points_count_the_examples_of_each_pair_of_exposures():
    rows = [("baseline", 1, 0.0, 1.0), ("baseline", 2, 0.5, 0.5), ("baseline", 3, 1.0, 1.0)]
    rows += [("pruned", 1, 0.5, 0.5), ("pruned", 2, 0.5, 0.5), ("pruned", 3, 0.0, 0.5)]
    exposed = pd.DataFrame(
        rows, columns=["defence", "example", "first_half", "second_half"]
    ).assign(
        experiment="e",
        seed=0,
        label=0,
        no_leak_first_half=[0.0, 0.5, 1.0] * 2,
        no_leak_second_half=0.5,
    )
    correlations = pd.DataFrame(
        [("baseline", 1.0, 1.0, 1.0), ("pruned", np.nan, np.nan, np.nan)],
        columns=["defence", "value", "low", "high"],
    ).assign(experiment="e")
    measured = results(baseline={"auc": 0.5}, pruned={"auc": 0.5})
    drawing = draw("exposure", exposed=exposed, exposure_correlation=correlations, results=measured)
    assert (
        drawing.finding
        == "e: correlation of exposures with the baseline's. For pruned it cannot be told."
    )
    points = {
        (row.baseline, row.exposure): (row.n_examples, row.examples)
        for row in drawing.table.itertuples()
    }
    assert points == {(0.5, 0.5): (2, "1, 2"), (1.0, 0.25): (1, "3")}
    luck = drawing.table[["baseline_luck_low", "baseline_luck_high", "luck_low", "luck_high"]]
    assert luck.iloc[0].tolist() == pytest.approx([0.255, 0.745, 0.255, 0.745])
    box = drawing.interactive[0]["data"][1]
    assert (min(box["x"]), max(box["y"])) == pytest.approx((0.255, 0.745))


def test_the_trade_off_tells_who_points_at_it_the_numbers_and_nothing_of_an_attack_that_failed():
    measured = {"attack_accuracy": 0.6, "test_accuracy": 0.8, "compression": 15.78}
    drawing = draw(
        "trade_off",
        results=results(
            baseline={**measured, "compression": 1.0}, pruned=measured, lost={"test_accuracy": 0.7}
        ),
    )
    (panel,) = drawing.interactive
    said = {trace["name"]: trace["hovertemplate"] for trace in panel["data"] if trace["name"]}
    assert set(said) == {"baseline", "pruned"}
    assert "attack accuracy 0.600 (0.600 to 0.600)" in said["pruned"]
    assert "compression 15.78" in said["pruned"]
    assert "nan" not in json.dumps(drawing.interactive).lower()


def test_without_an_adaptive_attack_there_is_no_roc_and_it_says_so():
    curves = pd.DataFrame(
        columns=["experiment", "defence", "attack", "attacker", "fpr", "tpr", "low", "high"]
    )
    known = results(baseline={"attack_accuracy": 0.6}).assign(attacker="known_members")
    drawing = draw(
        "roc", roc=curves, results=known, guarantees=pd.DataFrame(columns=["epsilon", "delta"])
    )
    assert drawing.finding == "No adaptive attack gave a result."
