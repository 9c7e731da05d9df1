import dataclasses
import json
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from mia_pruning import storage
from mia_pruning.metrics.intervals import Replicates, interval
from mia_pruning.metrics.names import RELEASE_METRICS
from mia_pruning.stages.summarise import (
    Evaluation,
    Key,
    _difference_rows,
    _interval_rows,
    collect_tables,
    matched_rows,
    nested,
    read_evaluation,
    summarise,
)
from mia_pruning.types import StudyError

CELLS = [
    {"attack": "", "attacker": "", "metric": "test_accuracy"},
    {"attack": "", "attacker": "", "metric": "generalisation_gap"},
    {"attack": "net", "attacker": "adaptive", "metric": "auc"},
]
DENSE = {"attack": "net", "attacker": "dense_shadows", "metric": "auc"}
DEFENCES = {
    name: {"objective": "erm", "constraint": name} for name in ("baseline", "pruned", "other")
}


def write_evaluation(path, seed, cells, n_targets=4, failed=()):
    rng = np.random.default_rng(seed)
    arrays = {
        "per_target": rng.uniform(0.4, 0.6, (len(cells), n_targets)),
        "examples_drawn": rng.uniform(0.4, 0.6, (len(cells), 50)),
        "both_drawn": rng.uniform(0.4, 0.6, (len(cells), 50)),
        "n_targets": np.array(n_targets),
        "n_examples": np.array([20 if cell["metric"] == "test_accuracy" else 30 for cell in cells]),
    }
    of_failures = np.array(failed, dtype=str)
    storage.write_arrays(path, {}, cells=np.array(json.dumps(cells)), failed=of_failures, **arrays)
    return arrays


def replicates(arrays, number):
    return Replicates(
        *(arrays[name][number] for name in ("per_target", "examples_drawn", "both_drawn"))
    )


@pytest.fixture
def study(tmp_path):
    """Three defences under two seeds, of different sizes: the tables that summarise makes and what it made them from."""
    evaluations, releases, written = {}, {}, {}
    for number, defence in enumerate(DEFENCES):
        for seed, n_targets in ((0, 4), (3, 6)):
            cells = CELLS if defence == "baseline" else [*CELLS, DENSE]
            path, counts = tmp_path / f"{defence}_{seed}.npz", tmp_path / f"{defence}_{seed}.json"
            written[defence, seed] = write_evaluation(path, 10 * number + seed, cells, n_targets)
            storage.write_json(
                counts, {**dict.fromkeys(RELEASE_METRICS, 100 * number + seed), "guarantee": {}}
            )
            evaluations.setdefault("e", {}).setdefault(defence, {})[seed] = str(path)
            releases.setdefault("e", {}).setdefault(defence, {})[seed] = str(counts)
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    summarise(evaluations, releases, DEFENCES, [], {"e": "pool"}, outputs)
    tables = {
        name: pd.read_csv(path).fillna({"attack": "", "attacker": ""})
        for name, path in outputs.items()
    }
    return tables, written


def only(table, **wanted):
    for column, value in wanted.items():
        table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_the_interval_of_two_seeds_is_pooled(study):
    tables, written = study
    for number, cell in enumerate([*CELLS, DENSE]):
        found = only(tables["results"], experiment="e", defence="pruned", **cell)
        wanted = interval([replicates(written["pruned", seed], number) for seed in (0, 3)], (-1, 1))
        assert (found["value"], found["low"], found["high"]) == pytest.approx(
            (wanted.estimate, wanted.low, wanted.high)
        )
        assert (found["n_targets"], found["seeds"]) == (10, "0 3")
        assert found["n_examples"] == (2 * 20 if cell["metric"] == "test_accuracy" else 2 * 30)
        assert (found["objective"], found["constraint"]) == ("erm", "pruned")


def test_rates_stay_between_0_and_1_and_gaps_may_be_negative(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(0, 0.2, (3, 50)) for name in ("examples_drawn", "both_drawn")}
    arrays |= {
        "per_target": np.zeros((3, 4)),
        "n_targets": np.array(4),
        "n_examples": np.array([20, 30, 30]),
    }
    storage.write_arrays(
        tmp_path / "a.npz",
        {},
        failed=np.array([], dtype=str),
        cells=np.array(json.dumps(CELLS)),
        **arrays,
    )
    storage.write_json(tmp_path / "a.json", {**dict.fromkeys(RELEASE_METRICS, 1), "guarantee": {}})
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    summarise(
        {"e": {"baseline": {0: tmp_path / "a.npz"}}},
        {"e": {"baseline": {0: tmp_path / "a.json"}}},
        DEFENCES,
        [],
        {"e": "pool"},
        outputs,
    )
    results = pd.read_csv(outputs["results"]).set_index("metric")
    assert (results.loc[["test_accuracy", "auc"], "low"] == 0).all()
    assert results.loc["generalisation_gap", "low"] < 0


def test_the_baselines_adaptive_attacker_is_its_dense_shadow_attacker_too(study):
    tables, written = study
    adaptive, dense = (
        only(tables["results"], defence="baseline", metric="auc", attacker=a)
        for a in ("adaptive", "dense_shadows")
    )
    assert dense[["value", "low", "high"]].tolist() == adaptive[["value", "low", "high"]].tolist()
    against = only(
        tables["differences"], defence="pruned", minus="baseline", attacker="dense_shadows"
    )
    wanted = np.mean(
        [
            written["pruned", s]["per_target"][3].mean()
            - written["baseline", s]["per_target"][2].mean()
            for s in (0, 3)
        ]
    )
    assert against["value"] == pytest.approx(wanted)


def test_a_study_without_dense_shadows_has_no_row_of_them(tmp_path):
    write_evaluation(tmp_path / "a.npz", 0, CELLS)
    storage.write_json(tmp_path / "a.json", {**dict.fromkeys(RELEASE_METRICS, 1), "guarantee": {}})
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    evaluations, releases = (
        {d: {0: tmp_path / f"a.{kind}"} for d in ("baseline", "pruned")} for kind in ("npz", "json")
    )
    summarise({"e": evaluations}, {"e": releases}, DEFENCES, [], {"e": "pool"}, outputs)
    assert set(pd.read_csv(outputs["results"])["attacker"].dropna()) == {"adaptive"}


def test_another_defences_dense_shadow_attacker_is_its_own(study):
    tables, written = study
    found = only(tables["results"], defence="pruned", metric="auc", attacker="dense_shadows")
    assert found["value"] == pytest.approx(
        np.mean([written["pruned", seed]["per_target"][3].mean() for seed in (0, 3)])
    )


def test_differences_are_paired_replicate_by_replicate(study):
    tables, written = study
    found = only(tables["differences"], defence="pruned", minus="other", **CELLS[2])
    paired = [
        replicates(written["pruned", seed], 2) - replicates(written["other", seed], 2)
        for seed in (0, 3)
    ]
    wanted = interval(paired, (-1, 1))
    assert (found["value"], found["low"], found["high"]) == pytest.approx(
        (wanted.estimate, wanted.low, wanted.high)
    )
    assert found["n_targets"] == 10


def test_differences_are_antisymmetric_and_cover_every_ordered_pair(study):
    differences = study[0]["differences"]
    keys = ["defence", "minus", "attack", "attacker", "metric"]
    found = differences.set_index(keys)[["value", "low", "high"]].to_dict("index")
    assert len(found) == len(differences) == 3 * 2 * 4
    for (defence, minus, *rest), one in found.items():
        other = found[minus, defence, *rest]
        assert (one["value"], one["low"], one["high"]) == pytest.approx(
            (-other["value"], -other["high"], -other["low"])
        )


def test_identical_defences_differ_by_exactly_nothing(tmp_path):
    for name in ("baseline", "same"):
        write_evaluation(tmp_path / f"{name}.npz", 1, CELLS)
        storage.write_json(
            tmp_path / f"{name}.json", {**dict.fromkeys(RELEASE_METRICS, 1), "guarantee": {}}
        )
    evaluations, releases = (
        {"e": {n: {0: tmp_path / f"{n}.{end}"} for n in ("baseline", "same")}}
        for end in ("npz", "json")
    )
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    summarise(
        evaluations,
        releases,
        dict.fromkeys(("baseline", "same"), DEFENCES["baseline"]),
        [],
        {"e": "pool"},
        outputs,
    )
    differences = pd.read_csv(outputs["differences"])
    assert (differences[["value", "low", "high"]] == 0).all(axis=None)
    assert not differences.empty


def test_counts_are_the_mean_over_seeds_without_interval(study):
    for metric in RELEASE_METRICS:
        found = only(study[0]["results"], defence="other", metric=metric)
        assert found["value"] == 200 + 1.5
        assert found[["low", "high"]].isna().all()


def test_every_target_of_every_seed_has_a_row(study):
    tables, written = study
    targets = tables["targets"]
    chosen = targets[
        (targets["defence"] == "other")
        & (targets["seed"] == 3)
        & (targets["metric"] == "test_accuracy")
    ]
    assert chosen["target"].tolist() == list(range(6))
    assert chosen["value"].tolist() == pytest.approx(written["other", 3]["per_target"][0].tolist())
    assert len(targets) == (4 + 6) * (4 + 4 + 4)


def test_a_damaged_evaluation_is_refused_by_its_path(tmp_path):
    (tmp_path / "a.npz").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.npz"):
        read_evaluation(str(tmp_path / "a.npz"))


def test_nested_files_are_found_by_experiment_defence_and_seed():
    about = [{"experiment": e, "defence": d, "seed": s} for e in "ab" for d in "cd" for s in (0, 1)]
    tree = nested(about, [f"{key['experiment']}{key['defence']}{key['seed']}" for key in about])
    assert tree == {e: {d: {s: f"{e}{d}{s}" for s in (0, 1)} for d in "cd"} for e in "ab"}
    with pytest.raises(ValueError, match="shorter"):
        nested(about, ["x"])


def test_collected_tables_say_what_each_row_is_about(tmp_path):
    pd.DataFrame({"x": [1, 2]}).to_csv(tmp_path / "a.csv", index=False)
    pd.DataFrame({"x": [3]}).to_csv(tmp_path / "b.csv", index=False)
    parts = [
        ({"defence": "baseline", "seed": 0}, tmp_path / "a.csv"),
        ({"defence": "pruned", "seed": 1}, tmp_path / "b.csv"),
    ]
    collect_tables(tmp_path / "all.csv", parts, ["defence", "seed", "x"])
    assert (
        tmp_path / "all.csv"
    ).read_text() == "defence,seed,x\nbaseline,0,1\nbaseline,0,2\npruned,1,3\n"


CURVE = [{"epsilon": 0.0, "delta": 0.3}, {"epsilon": 2.41234, "delta": 1e-6}]


def test_what_a_defence_promises_stands_in_the_results_at_its_weakest_seed(tmp_path):
    promises = {
        "baseline": [{}, {}],
        "private": [
            {"epsilon": epsilon, "delta": 1e-5, "curve": CURVE, "not_covered": ["the mask"]}
            for epsilon in (2.5, 3.0)
        ],
    }
    evaluations, releases = {"e": {}}, {"e": {}}
    for defence, guarantees in promises.items():
        for seed, guarantee in enumerate(guarantees):
            path, counts = tmp_path / f"{defence}_{seed}.npz", tmp_path / f"{defence}_{seed}.json"
            write_evaluation(path, seed, CELLS)
            storage.write_json(
                counts, {**dict.fromkeys(RELEASE_METRICS, 1), "guarantee": guarantee}
            )
            evaluations["e"].setdefault(defence, {})[seed] = path
            releases["e"].setdefault(defence, {})[seed] = counts
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    summarise(
        evaluations,
        releases,
        dict.fromkeys(promises, DEFENCES["baseline"]),
        [],
        {"e": "pool"},
        outputs,
    )
    results = pd.read_csv(outputs["results"])
    assert only(results, defence="private", metric="epsilon")["value"] == 3.0
    assert only(results, defence="private", metric="delta")["value"] == 1e-5
    assert results[
        (results["defence"] == "baseline") & results["metric"].isin(["epsilon", "delta"])
    ].empty
    guarantees = pd.read_csv(outputs["guarantees"])
    assert guarantees["epsilon"].tolist() == [2.5, 3.0]
    assert set(guarantees["curve"]) == {"0 at 0.3; 2.4123 at 1e-06"}
    assert set(guarantees["not_covered"]) == {"the mask"}


def test_a_table_of_no_parts_is_its_columns_alone(tmp_path):
    collect_tables(tmp_path / "none.csv", [], ["experiment", "seed", "x"])
    assert pd.read_csv(tmp_path / "none.csv").columns.tolist() == ["experiment", "seed", "x"]


def test_a_part_with_other_columns_is_named_with_what_was_expected(tmp_path):
    pd.DataFrame({"y": [1]}).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(StudyError, match=r"a\.csv: its columns are y, expected are x; delete it"):
        collect_tables(tmp_path / "all.csv", [({"seed": 0}, tmp_path / "a.csv")], ["seed", "x"])


ACCURACY, AUC = Key("", "", "test_accuracy"), Key("net", "adaptive", "auc")


def made_run(accuracy, auc, seed=0, spread=0.01, n_targets=6, n_replicates=400):
    """An evaluation whose accuracy and AUC vary about these values, each by itself."""
    rng = np.random.default_rng(seed)

    def made(value):
        of_examples = spread / 3 * rng.normal()
        targets = value + of_examples + spread * rng.normal(size=n_targets)
        examples = targets.mean() + spread / 3 * rng.normal(size=n_replicates)
        both = examples + targets.std() / np.sqrt(n_targets) * rng.normal(size=n_replicates)
        return Replicates(targets, examples, both)

    return {
        0: Evaluation(
            {ACCURACY: made(accuracy), AUC: made(auc)}, n_targets, {ACCURACY: 10, AUC: 10}
        )
    }


def matched(runs, frontier):
    rows = list(matched_rows(runs, frontier))
    assert [row["metric"] for row in rows] in (["auc"], [])
    return rows[0] if rows else None


LINE = [
    made_run(0.9, 0.7, 1, spread=0),
    made_run(0.7, 0.5, 2, spread=0),
    made_run(0.8, 0.6, 3, spread=0),
]


@pytest.mark.parametrize(
    ("accuracy", "auc", "wanted"),
    [(0.85, 0.65, 0.0), (0.75, 0.5, -0.05), (0.9, 0.8, 0.1), (0.7, 0.5, 0.0)],
)
def test_a_defence_is_compared_with_the_frontier_at_its_own_accuracy(accuracy, auc, wanted):
    found = matched(made_run(accuracy, auc, spread=0), LINE)
    assert found["value"] == pytest.approx(wanted, abs=1e-9)
    assert (found["low"], found["high"]) == pytest.approx((wanted, wanted), abs=1e-6)


@pytest.mark.parametrize("accuracy", [0.69, 0.91])
def test_beyond_the_frontier_nothing_is_said(accuracy):
    assert matched(made_run(accuracy, 0.6), LINE) is None


def test_that_the_accuracies_are_estimates_widens_the_interval():
    """The slope is 1, so an error in the defence's own accuracy counts as much as one in its AUC."""
    noisy = made_run(0.75, 0.55, spread=0.01)
    of_exact = {
        **noisy[0].replicates,
        ACCURACY: made_run(0.75, 0, spread=0)[0].replicates[ACCURACY],
    }
    exact = {0: dataclasses.replace(noisy[0], replicates=of_exact)}
    both, auc_alone = matched(noisy, LINE), matched(exact, LINE)
    assert both["standard_error"] > 1.2 * auc_alone["standard_error"]


def test_intervals_of_matched_differences_cover_the_truth():
    """The frontier is a line of slope 1 and the defence lies 0.02 above it."""
    covered = 0
    for number in range(300):
        points = [made_run(0.7, 0.5, 1000 + number), made_run(0.9, 0.7, 2000 + number)]
        found = matched(made_run(0.8, 0.62, 3000 + number), points)
        covered += found["low"] <= 0.02 <= found["high"]
    assert covered / 300 == pytest.approx(0.95, abs=0.04)


def test_an_attack_that_failed_on_one_defence_is_not_compared_and_the_others_are():
    whole, spoilt = made_run(0.8, 0.6), made_run(0.8, 0.6, 1)
    del spoilt[0].replicates[AUC]
    assert [row["metric"] for row in _difference_rows(whole, spoilt)] == ["test_accuracy"]
    assert [row["metric"] for row in _difference_rows(spoilt, whole)] == ["test_accuracy"]
    assert [row["metric"] for row in _interval_rows({0: spoilt[0], 1: whole[0]})] == [
        "test_accuracy"
    ]


def test_the_table_of_targets_is_never_in_memory_as_a_whole(tmp_path):
    evaluation, counts = str(tmp_path / "evaluation.npz"), str(tmp_path / "counts.json")
    write_evaluation(evaluation, 0, CELLS, n_targets=10_000)
    storage.write_json(counts, {**dict.fromkeys(RELEASE_METRICS, 1), "guarantee": {}})
    outputs = {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    tracemalloc.start()
    try:
        summarise(
            {"e": {"baseline": {0: evaluation}}},
            {"e": {"baseline": {0: counts}}},
            DEFENCES,
            [],
            {"e": "pool"},
            outputs,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    size = (tmp_path / "targets.csv").stat().st_size
    assert size > 1_000_000
    assert peak < 2 * size


def summarised(study, tmp_path, frontier=(), without=()):
    """The tables of the study of these tests once more, without some of its (defence, seed) pairs."""
    _, written = study
    left = [key for key in written if key not in without]
    paths = {kind: {} for kind in ("npz", "json")}
    for defence, seed in left:
        for kind, tree in paths.items():
            tree.setdefault(defence, {})[seed] = str(tmp_path / f"{defence}_{seed}.{kind}")
    outputs = {
        name: str(tmp_path / f"partial_{name}.csv")
        for name in ("results", "differences", "targets", "guarantees")
    }
    summarise({"e": paths["npz"]}, {"e": paths["json"]}, DEFENCES, frontier, {"e": "pool"}, outputs)
    return {
        name: pd.read_csv(path).fillna({"attack": "", "attacker": ""})
        for name, path in outputs.items()
    }


def test_results_without_the_baseline_are_those_of_the_others(study, tmp_path):
    tables = summarised(study, tmp_path, without=[("baseline", 0), ("baseline", 3)])
    whole = study[0]["results"]
    pd.testing.assert_frame_equal(
        tables["results"], whole[whole["defence"] != "baseline"].reset_index(drop=True)
    )
    assert set(tables["differences"]["minus"]) == {"pruned", "other"}


def test_defences_are_compared_under_the_seeds_that_both_have(study, tmp_path):
    tables = summarised(study, tmp_path, without=[("other", 0), ("baseline", 3)])
    written = study[1]
    found = only(tables["differences"], defence="pruned", minus="other", **CELLS[2])
    paired = [replicates(written["pruned", 3], 2) - replicates(written["other", 3], 2)]
    assert found["value"] == pytest.approx(interval(paired, (-1, 1)).estimate)
    assert (found["n_targets"], str(found["seeds"])) == (6, "3")
    assert found["n_examples"] == only(tables["results"], defence="other", **CELLS[2])["n_examples"]
    assert set(tables["results"].query("defence == 'other'")["seeds"].astype(str)) == {"3"}
    assert tables["differences"].query("defence == 'other' and minus == 'baseline'").empty


def test_none_is_matched_with_half_a_frontier(study, tmp_path):
    frontier = ["baseline", "other"]
    gone = [("baseline", 0), ("baseline", 3)]
    assert "matched_accuracy" not in set(
        summarised(study, tmp_path, frontier, gone)["differences"]["minus"]
    )
    apart = [("baseline", 0), ("other", 3)]
    assert "matched_accuracy" not in set(
        summarised(study, tmp_path, frontier, apart)["differences"]["minus"]
    )


@pytest.mark.parametrize(("failed", "is_compared"), [((), False), (("net adaptive",), True)])
def test_the_strongest_of_fewer_attacks_is_not_compared_with_that_of_all(
    tmp_path, failed, is_compared
):
    strongest = {"attack": "strongest", "attacker": "any", "metric": "auc"}
    for name, of_defence in (("baseline", ("net adaptive",)), ("pruned", failed)):
        write_evaluation(tmp_path / name, 0, [CELLS[0], strongest], failed=of_defence)
    first, second = ({0: read_evaluation(tmp_path / name)} for name in ("baseline", "pruned"))
    compared = {row["attack"] for row in _difference_rows(first, second)}
    assert compared == ({"", "strongest"} if is_compared else {""})
