"""Planning the smoke study: from Snakemake's own plan, without a trace, and near what the run then took and wrote."""

import sys

import numpy as np
import pytest

from mia_pruning.operations.plan.__main__ import plan_jobs
from mia_pruning.operations.plan.calibration import Machine
from mia_pruning.operations.plan.comparison import compare, read_benchmarks
from mia_pruning.operations.plan.costs import rule_costs
from mia_pruning.operations.plan.jobs import count_jobs
from mia_pruning.operations.plan.requesting import Device
from mia_pruning.types import StudyError

PLAN = [sys.executable, "-m", "mia_pruning.operations.plan"]
FILES = {
    "train_targets": "lenet5_fashion/seed_0/erm/trained/*.safetensors",
    "prune_models": "lenet5_fashion/seed_0/erm/admm/pruned/*.safetensors",
    "retrain_models": "lenet5_fashion/seed_0/erm/admm/retrained/*.safetensors",
    "query_models": "lenet5_fashion/seed_0/erm/*/signals.npy",
    "run_attack": "lenet5_fashion/seed_0/erm/*/attacks/*.npz",
}


@pytest.fixture(scope="module")
def costs(project, desk):
    layout, jobs, _ = plan_jobs(project.smoke, Machine(), Device("cpu", 10.0), desk / "results")
    return rule_costs(layout, jobs, Machine())


def test_jobs_and_models_of_the_smoke_study_counted_by_hand(costs):
    counts = {entry.rule: (entry.jobs, entry.cost.models) for entry in costs}
    assert counts["train_targets"] == counts["prune_models"] == counts["retrain_models"] == (3, 6)
    assert counts["query_models"] == (2, 12)
    assert counts["run_attack"] == (27, 0)
    assert counts["probe_models"] == (6, 36)


@pytest.mark.parametrize("rule", FILES)
def test_disk_is_within_a_tenth_of_what_the_run_wrote(rule, costs, smoke):
    planned = next(entry.cost.disk_bytes for entry in costs if entry.rule == rule)
    written = sum(path.stat().st_size for path in (smoke / "results" / "smoke").glob(FILES[rule]))
    assert planned == pytest.approx(written, rel=0.1)


def test_cpu_time_is_of_the_order_that_the_run_measured(costs, smoke):
    total = compare(costs, read_benchmarks(smoke / "results" / "smoke"))[-1]
    assert 1 / 3 < total.ratio < 3


@pytest.fixture
def one_attack(variant, smoke_settings):
    """A function that writes the smoke study with changes and with one attack, since each is measured."""
    others = {f"attacks.{name}": ... for name in smoke_settings["attacks"] if name != "correctness"}
    return lambda changes: variant({**others, "probes": {}, **changes})


def test_planning_prints_a_table_and_leaves_the_plan_alone(project, one_attack, tmp_path):
    outcome = project.with_library().execute([*PLAN, str(one_attack({})), "--cores", "2"], tmp_path)
    assert outcome.code == 0, outcome.text
    assert "train_targets" in outcome.stdout
    assert "Wall time on 2 cores" in outcome.stdout
    left = {
        str(path.relative_to(tmp_path))
        for path in tmp_path.rglob("*")
        if path.is_file() and path.parent.name != "approved"
    }
    snakemakes_own = {name for name in left if name.startswith(".snakemake/")}
    assert left - snakemakes_own == {"results/smoke/plan.json", "variant.yaml"}


@pytest.mark.parametrize("content", [None, "study: smoke\nsedes: [0]\n"])
def test_a_study_that_cannot_work_is_refused_in_words(content, project, tmp_path):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    outcome = project.with_library().execute([*PLAN, str(path)], tmp_path)
    assert outcome.code == 1
    assert "Traceback" not in outcome.text
    assert ("sedes" if content else "there is no such file") in outcome.text


LEFT_TO_THE_PLAN = {"experiments.lenet5_fashion.training.models_per_job": "auto"}


def test_models_a_job_that_are_left_to_the_plan_want_one(project, variant, tmp_path):
    outcome = project.snakemake(tmp_path, "--dry-run", study=variant(LEFT_TO_THE_PLAN))
    assert outcome.code != 0
    assert "models_per_job = 'auto': how many these are is not planned yet" in outcome.text
    assert "make plan" in outcome.text
    assert "Traceback" not in outcome.text


def test_planning_lays_models_over_jobs_and_the_study_then_runs_so(project, one_attack, tmp_path):
    study = one_attack(
        {**LEFT_TO_THE_PLAN, "experiments.lenet5_fashion.training.minutes_per_job": 1e-6}
    )
    outcome = project.with_library().execute([*PLAN, str(study)], tmp_path)
    assert outcome.code == 0, outcome.text
    assert "Models a job: lenet5_fashion 1." in outcome.stdout
    assert count_jobs(study, tmp_path)["train_targets"] == 6


@pytest.fixture(scope="module")
def own_images(tmp_path_factory):
    """A folder with a study on its own array file, which it names by a relative path."""
    folder = tmp_path_factory.mktemp("own_images")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (900, 28, 28, 1), dtype=np.uint8)
    np.savez(folder / "mine.npz", images=images, labels=np.arange(900) % 10)
    return folder


def test_a_study_of_data_at_a_relative_path_is_planned(project, variant, own_images):
    study = variant({"datasets.fashion_mnist": {"use": "arrays", "file": "mine.npz"}})
    outcome = project.with_library().execute([*PLAN, str(study)], own_images)
    assert outcome.code == 0, outcome.text
    assert "train_targets" in outcome.stdout


def test_why_snakemake_refuses_a_study_is_said(variant, tmp_path):
    study = variant({"datasets.fashion_mnist": {"use": "arrays", "file": "gone.npz"}})
    with pytest.raises(StudyError, match=r"cannot plan it: .*gone.npz: there is no such file"):
        count_jobs(study, tmp_path)


def test_a_finished_study_is_planned_in_full(project, smoke, tmp_path):
    everything = count_jobs(project.smoke, smoke, plan=tmp_path / "none.json")
    assert everything == count_jobs(project.smoke, tmp_path)
    assert len(everything) > 10
