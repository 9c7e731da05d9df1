"""The smoke study from raw data to the report, once: what every file of it promises."""

import csv
import hashlib
import itertools
import json
import math
import re
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from rocrate.rocrate import ROCrate

from mia_pruning import provenance as provenance_of_code
from mia_pruning import storage
from mia_pruning.metrics.compression import decode_sparse
from mia_pruning.registry import catalogue
from mia_pruning.reporting.drawing import draw_figure
from mia_pruning.reporting.report import write_report
from mia_pruning.stages.networks import build, read_models
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.study.completion import complete
from mia_pruning.study.reading import read_yaml
from mia_pruning.tables import TABLES as ALL_TABLES
from mia_pruning.types import StudyError

COUNTED = {
    "compression", "n_weights", "n_nonzero", "dense_bytes", "sparse_bytes", "dense_flops", "sparse_flops", "sample_passes",
    "training_flops",
}  # fmt: skip
TABLES = [
    "results", "differences", "targets", "roc", "operating", "confidence", "history", "residuals", "projection", "distance",
    "verdicts", "exposure_correlation",
]  # fmt: skip
BATCHES = ["targets_0", "targets_1"]
DEFENCES = ["none", "admm"]


@pytest.fixture(scope="module")
def results(smoke) -> Path:
    return smoke / "results" / "smoke"


@pytest.fixture(scope="module")
def run(results) -> Path:
    return results / "lenet5_fashion" / "seed_0"


@pytest.fixture(scope="module")
def experiment(smoke_settings) -> dict:
    return smoke_settings["experiments"]["lenet5_fashion"]


@pytest.fixture(scope="module")
def split(experiment) -> dict:
    return experiment["split"]


@pytest.fixture(scope="module")
def rate(smoke_settings) -> float:
    return smoke_settings["constraints"]["admm"]["compression"]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def provenance(path: Path) -> dict:
    """The record inside a file, or in a JSON file."""
    if path.suffix == ".safetensors":
        return storage.read_tensors(path)[1]["provenance"]
    if path.suffix == ".npz":
        return json.loads(str(np.load(path, allow_pickle=False)["provenance"]))
    content = storage.read_json(path)
    return content if path.name.endswith(".provenance.json") else content["provenance"]


def test_reproducing_ends_with_verdicts_and_the_place_of_the_report(reproduced, results):
    assert reproduced.code == 0, reproduced.text[-4000:]
    assert re.search(
        r"^Report: /.*/results/smoke/report\.html$", reproduced.text, flags=re.MULTILINE
    )
    assert (results / "snakemake_report.html").is_file()


def test_every_planned_file_is_there_and_a_second_run_does_nothing(smoke, project):
    plan = project.plan(smoke, project.smoke)
    assert not plan.pending
    assert all((smoke / path).stat().st_size > 0 for path in plan.files)
    before = {path: (smoke / path).stat().st_mtime_ns for path in plan.files}
    again = project.reproduce()
    assert again.code == 0
    assert "Nothing to be done" in again.text
    assert before == {path: (smoke / path).stat().st_mtime_ns for path in plan.files}


@pytest.mark.parametrize("table", TABLES)
def test_table_has_rows(table, results):
    assert rows(results / f"{table}.csv")


def test_nothing_temporary_is_left(results):
    hidden = [path for path in results.rglob(".*") if path.is_file()]
    assert {path.name for path in hidden} <= {".snakemake_timestamp"}  # of folders that jobs write


@pytest.mark.parametrize("stage", ["pruned", "retrained"])
@pytest.mark.parametrize("batch", BATCHES)
def test_pruned_model_has_exactly_the_budget_of_weights_and_all_inside_its_mask(
    stage, batch, run, rate
):
    for model in read_models(str(run / "erm" / "admm" / stage / f"{batch}.safetensors")).values():
        weights, masks = storage.select(model, "weights"), storage.select(model, "masks")
        assert set(masks) == {name for name, weight in weights.items() if weight.dim() > 1}
        n_weights = sum(weights[name].numel() for name in masks)
        assert sum(int(mask.sum()) for mask in masks.values()) == math.floor(n_weights / rate)
        for name, mask in masks.items():
            assert torch.equal(weights[name] != 0, mask)


@pytest.mark.parametrize("batch", BATCHES)
def test_retraining_moves_the_kept_weights_and_no_mask(batch, run):
    folder = run / "erm" / "admm"
    pruned, retrained = (
        read_models(str(folder / stage / f"{batch}.safetensors"))
        for stage in ("pruned", "retrained")
    )
    assert set(pruned) == set(retrained)
    for row, model in pruned.items():
        for name, mask in storage.select(model, "masks").items():
            assert torch.equal(mask, retrained[row][f"masks/{name}"])
            assert not torch.equal(model[f"weights/{name}"], retrained[row][f"weights/{name}"])


@pytest.mark.parametrize("constraint", DEFENCES)
def test_released_files_hold_the_finished_model_and_the_sparse_one_is_smaller_if_pruned(
    constraint, run, rate
):
    folder = run / "erm" / constraint / "release"
    dense, _ = storage.read_tensors(folder / "model_dense.safetensors")
    sparse, _ = storage.read_tensors(folder / "model_sparse.safetensors")
    counts = storage.read_json(folder / "measures.json")
    finished = (
        run
        / "erm"
        / ("trained" if constraint == "none" else "admm/retrained")
        / "targets_0.safetensors"
    )
    model = storage.select(read_models(str(finished))[counts["model"]], "weights")
    decoded = decode_sparse(sparse)
    assert set(model) == set(dense) == set(decoded)
    assert all(
        torch.equal(model[name], dense[name]) and torch.equal(model[name], decoded[name])
        for name in model
    )
    sizes = [(folder / f"model_{kind}.safetensors").stat().st_size for kind in ("sparse", "dense")]
    assert sizes == [counts["sparse_bytes"], counts["dense_bytes"]]
    assert (sizes[0] < sizes[1] / 4) == (constraint == "admm")
    assert counts["n_nonzero"] == sum(
        int(weight.count_nonzero()) for weight in model.values() if weight.dim() > 1
    )
    assert counts["compression"] == pytest.approx(rate if constraint == "admm" else 1, rel=0.01)


@pytest.mark.parametrize("constraint", DEFENCES)
def test_signals_are_what_the_stored_weights_answer(constraint, smoke, run, experiment, split):
    packed, made = (
        read_packed(smoke / "results/data/fashion_mnist/dataset.json"),
        read_split(run / "membership.npz"),
    )
    folder = run / "erm" / ("trained" if constraint == "none" else "admm/retrained")
    signals = storage.read_array(run / "erm" / constraint / "signals.npy")
    assert signals.shape == (
        split["models"],
        split["examples"] + split["test"] + split["reference"],
        10,
    )
    pixels = packed.images[np.concatenate([made.pool, made.test, made.reference])].astype(
        np.float32
    )
    mean, deviation = packed.description["mean"][0], packed.description["deviation"][0]
    images = torch.from_numpy((pixels - mean) / deviation).permute(0, 3, 1, 2)
    network = build(
        {"model": experiment["model"], "objective": {"use": "erm"}},
        packed.image_shape,
        packed.n_classes,
    ).eval()
    for row, model in read_models(
        *(str(folder / f"{batch}.safetensors") for batch in BATCHES)
    ).items():
        network.load_state_dict(storage.select(model, "weights"))
        with torch.no_grad():
            np.testing.assert_allclose(signals[row], network(images).numpy(), rtol=1e-4, atol=1e-4)


def test_membership_is_half_of_the_pool_for_each_model_and_passes_its_own_checks(run, split):
    made = read_split(run / "membership.npz")
    assert made.membership.shape == (split["models"], split["examples"])
    assert (made.membership.sum(axis=1) == split["examples"] / 2).all()
    assert (made.membership.sum(axis=0) == split["models"] / 2).all()
    assert made.is_target.all()
    assert (made.test.size, made.reference.size) == (split["test"], split["reference"])


def test_scores_are_finite_and_one_for_each_target_and_example(run, split, smoke_settings):
    files = list(run.glob("erm/*/attacks/*.npz"))
    by_both = {
        name for name, entry in smoke_settings["attacks"].items() if "attackers" not in entry
    } - {"both_releases"}
    # both attackers on the pruned models, one on the baseline; known members on each; the joint attacker on the pruned ones
    assert len(files) == 3 * len(by_both) + 2 + 1
    for path in files:
        scores = storage.read_arrays(path)["scores"]
        assert scores.shape == (split["models"], split["examples"])
        assert np.isfinite(scores).all()


def test_every_estimate_has_an_interval_around_it_its_n_and_its_seeds(results, split):
    table = rows(results / "results.csv")
    assert {row["metric"] for row in table} >= {"attack_accuracy", "auc", "test_accuracy", *COUNTED}
    for row in table:
        assert row["seeds"] == "0"
        if row["metric"] in COUNTED:
            assert float(row["value"]) > 0
            assert row["low"] == row["high"] == ""
        else:
            assert float(row["low"]) <= float(row["value"]) <= float(row["high"])
            n_examples = split["test" if row["metric"] == "test_accuracy" else "examples"]
            n_examples //= 2 if row["attacker"] == "known_members" else 1
            assert (int(row["n_targets"]), int(row["n_examples"])) == (split["models"], n_examples)


def test_every_defence_attack_and_attacker_has_every_privacy_metric(results):
    table = {
        tuple(row[key] for key in ("defence", "attack", "attacker", "metric"))
        for row in rows(results / "results.csv")
    }
    attacks, attackers = (
        ("shadow_network", "modified_entropy", "correctness"),
        ("adaptive", "dense_shadows"),
    )
    metrics = ("attack_accuracy", "auc", "tpr_at_10_percent_fpr", "tpr_at_1_percent_fpr")
    assert set(itertools.product(("baseline", "mia_pruning"), attacks, attackers, metrics)) <= table
    assert not any(
        "0.1_percent" in metric for *_, metric in table
    )  # 200 non-members of six targets resolve no such rate


def test_report_names_the_study_and_shows_every_figure(results):
    page = (results / "report.html").read_text(encoding="utf-8")
    assert "smoke" in page
    for figure in results.glob("figures/*.json"):
        assert figure.with_suffix(".svg").read_text(encoding="utf-8").lstrip().startswith("<")
        assert figure.stem in page


def test_the_record_of_the_run_lists_the_report_and_every_table_figure_and_export(results):
    made = [
        results / "report.html",
        *results.glob("*.csv"),
        *results.glob("figures/*"),
        *results.glob("export/*"),
    ]
    crate = ROCrate(results)
    assert {str(path.relative_to(results)) for path in made if path.is_file()} <= {
        entity.id for entity in crate.data_entities
    }
    assert crate.get("#run")["startTime"] < crate.get("#run")["endTime"]


def test_every_digest_in_the_record_of_the_run_is_that_of_the_file_beside_it(results):
    digests = {
        entity.id: entity.get("sha256")
        for entity in ROCrate(results).data_entities
        if entity.type != "Dataset"
    }
    assert len(digests) > 100
    assert {name: provenance_of_code.file_digest(results / name) for name in digests} == digests


def test_the_record_of_the_run_has_an_action_for_each_job_and_follows_its_profile(
    results, crate_issues
):
    crate = ROCrate(results)
    jobs = {entity.id for entity in crate.root_dataset["mentions"]} - {"#run"}
    assert (
        len(jobs) == len([*results.rglob("logs/*.provenance.json")]) - 1
    )  # its own is not among them
    assert crate_issues(results) == set()


def test_seeds_are_whole_numbers_in_every_table_and_on_the_page(results):
    for table in ("results", "differences", "verdicts"):
        assert set(pd.read_csv(results / f"{table}.csv", dtype=str)["seeds"].dropna()) == {"0"}
    assert "seed 0.0" not in (results / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def reported(results, project, tmp_path):
    """A function that writes the report of this study with some tables changed, and returns its text."""

    def report(**changes):
        tables = {name: tmp_path / f"{name}.csv" for name in ALL_TABLES}
        for name, path in tables.items():
            changes.get(name, lambda table: table)(pd.read_csv(results / path.name)).to_csv(
                path, index=False
            )
        write_report(
            str(tmp_path / "report.html"),
            tables=tables,
            figures={path.stem: str(path) for path in results.glob("figures/*.svg")},
            claims=read_yaml(project.root / "report" / "claims.yaml"),
            settings=complete(read_yaml(project.smoke)),
            missing=[],
            datasets={
                "fashion_mnist": str(results.parent / "data" / "fashion_mnist" / "dataset.json")
            },
            folder=results,
            pages=project.root / "report",
        )
        return (tmp_path / "report.html").read_text(encoding="utf-8")

    return report


@pytest.mark.parametrize(("n_correct", "warned"), [(40, True), (25, False)])
def test_report_warns_where_an_attack_contradicts_the_promise_and_only_there(
    reported, n_correct, warned
):
    """Planted: the baseline promises an epsilon of 0.1, and the audit guesses 40 of 40 right, or 25."""
    promise = {
        "experiment": "lenet5_fashion",
        "defence": "baseline",
        "seed": 0,
        "epsilon": 0.1,
        "delta": 1e-4,
    }
    other = {
        "curve": "0.1 at 0.0001; 0.1 at 1e-05",
        "accountant": "prv",
        "clip": 1.0,
        "phases": "",
        "not_covered": "",
    }
    design = {"n_canaries": 400, "n_classes": 10, "n_guesses": 40}
    page = reported(
        guarantees=lambda _: pd.DataFrame([{**promise, **other}]),
        audit=lambda table: table.assign(**design, n_correct=n_correct),
    )
    assert ("baseline, lenet5 fashion: an attack contradicts the promise." in page) == warned
    assert ("contradicts the promise</td>" in page) == warned
    assert page.count('<figure><img src="data:image/png;base64,') == 12  # the most exposed examples


def test_a_study_of_which_every_attack_failed_has_a_report_that_says_so(
    reported, results, tmp_path
):
    def none(table):
        return table[table["attack"].isna()]

    failed = {
        "experiment": "lenet5_fashion",
        "seed": 0,
        "defence": "baseline",
        "attack": "net",
        "attacker": "adaptive",
    }
    page = reported(
        **dict.fromkeys(("results", "differences", "operating", "strongest", "audit"), none),
        agreement=none,
        verdicts=lambda table: table[table["verdict"] == "not tested"],
        failures=lambda _: pd.DataFrame([{**failed, "failure": "KeyError: 'x'"}]),
    )
    assert "1 attack failed and is missing from every table" in page
    unchanged = (
        "targets",
        "confidence",
        "history",
        "residuals",
        "projection",
        "distance",
        "exposed",
    )
    unchanged += ("exposure_correlation",)
    tables = {name: str(results / f"{name}.csv") for name in unchanged}
    tables |= {
        name: str(tmp_path / f"{name}.csv")
        for name in ("results", "differences", "guarantees", "roc", "verdicts")
    }
    none(pd.read_csv(results / "roc.csv")).to_csv(tables["roc"], index=False)
    for name in catalogue("figure"):
        printed = {
            f"print_{kind}": str(tmp_path / f"{name}.print.{kind}") for kind in ("svg", "pdf")
        }
        outputs = {
            **printed,
            **{kind: str(tmp_path / f"{name}.{kind}") for kind in ("svg", "table", "words")},
        }
        draw_figure(name, tables, {"attack": "net", "attacker": "adaptive"}, **outputs)
    assert (
        json.loads((tmp_path / "trade_off.words").read_text(encoding="utf-8"))["finding"]
        == "No attack gave a result."
    )


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.99])
@pytest.mark.parametrize(
    "name",
    [
        "membership.npz",
        "erm/none/signals.npy",
        "erm/none/signals.json",
        "erm/trained/targets_0.safetensors",
    ],
)
def test_result_that_was_cut_short_is_named_in_a_sentence(name, keep, run, tmp_path):
    content = (run / name).read_bytes()
    path = tmp_path / Path(name).name
    path.write_bytes(content[: int(keep * len(content))])
    reader = {
        ".npz": "read_arrays",
        ".npy": "read_array",
        ".json": "read_json",
        ".safetensors": "read_tensors",
    }[path.suffix]
    with pytest.raises(StudyError) as caught:
        getattr(storage, reader)(path)
    assert str(path) in str(caught.value)


def test_every_job_leaves_a_log_and_a_record_beside_it(results):
    logs = {path.with_suffix("") for path in results.rglob("*.log")}
    assert len(logs) > 20
    assert logs == {
        Path(str(path).removesuffix(".provenance.json"))
        for path in results.rglob("*.provenance.json")
    }


def test_every_artefact_tells_how_it_was_made(smoke, project):
    made = [
        path for name in ("smoke", "data", "logs") for path in (smoke / "results" / name).rglob("*")
    ]
    recorded = [path for path in made if path.suffix in {".safetensors", ".npz", ".json"}]
    artefacts = [
        path
        for path in recorded
        if not {"figures", "approved", "ro-crate-metadata.json"} & set(path.parts)
    ]
    assert len(artefacts) > 50
    head = project.execute(
        ["git", "-C", str(project.root), "rev-parse", "HEAD"], project.root
    ).stdout.strip()
    digests = {}
    for path in artefacts:
        record = provenance(path)
        assert record["rule"], path
        assert record["params"]["code"], path
        if (
            path.parent.name != "release" or path.suffix == ".json"
        ):  # a release has the same bytes on every machine
            assert (record["commit"], record["dirty"]) == (head, False), path
            assert record["packages"]["torch"] == version("torch"), path
            assert all(record[key] for key in ("python", "cpu", "node")), path
        assert record["inputs"] or record["rule"] == "fetch_dataset", path
        if "seed_0" in path.parts:
            assert record["wildcards"]["seed"] == "0", path
        digests |= dict.fromkeys(record["inputs"].items(), path)
    for (name, digest), path in digests.items():
        assert hashlib.sha256((smoke / name).read_bytes()).hexdigest() == digest, (path, name)


def test_a_job_that_cannot_go_on_says_why_in_a_sentence_and_leaves_no_model(
    smoke, project, variant
):
    study = variant(
        {"study": "diverging", "experiments.lenet5_fashion.training.learning_rate": 1e30}
    )
    target = "results/diverging/lenet5_fashion/seed_0/erm/trained/targets_0.safetensors"
    outcome = project.snakemake(smoke, target, "--cores", "2", study=study)
    assert outcome.code != 0
    assert "stopped: model 0: the loss is nan in epoch 1" in outcome.text
    assert "learning_rate = 1e+30" in outcome.text
    assert "Traceback" not in outcome.text
    assert not (smoke / target).exists()
