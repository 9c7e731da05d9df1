"""What a change reruns after a finished smoke study: all that depends on it and nothing else."""

import ast
import dataclasses
import re
import shutil
from pathlib import Path

import pytest
import torch
import yaml

from mia_pruning.stages.networks import read_models

LIBRARY = "workflow/lib/mia_pruning"
RUN = "results/smoke/lenet5_fashion/seed_0"
EVALUATION = {
    "evaluate_defence",
    "summarise_study",
    "judge_claims",
    "draw_figure",
    "write_report",
    "export_study",
}
SIGNALS = {"query_models", "measure_release", "measure_distance", "run_attack", *EVALUATION}


def matching(plan, pattern: str) -> set[str]:
    """The planned files that a regular expression is found in."""
    return {path for path in plan.files if re.search(pattern, path)}


def comment(content: bytes) -> bytes:
    return b"# A comment.\n" + content + b"\n# Another.\n"


def docstring(content: bytes) -> bytes:
    """Another first line of the module's docstring and one more blank line; the code stays as it is."""
    assert ast.get_docstring(ast.parse(content))
    return content.replace(b'"""', b'"""Reworded. ', 1) + b"\n\n"


def statement(content: bytes) -> bytes:
    return content + b"\n\nADDED = True\n"


def test_comments_and_docstrings_rerun_nothing(smoke, project, edit):
    for name in (
        "attacks/modified_entropy.py",
        "training/loop.py",
        "constraints/admm.py",
        "storage.py",
    ):
        edit(f"{LIBRARY}/{name}", comment)
    for name in (
        "attacks/correctness.py",
        "metrics/intervals.py",
        "models/lenet5.py",
        "stages/query.py",
    ):
        edit(f"{LIBRARY}/{name}", docstring)
    for name in ("train_models", "run_attack", "write_report"):
        edit(f"workflow/scripts/{name}.py", comment)
    edit("workflow/rules/train.smk", comment)
    assert not project.plan(smoke, project.smoke).pending


def test_a_project_that_moves_with_its_results_reruns_nothing(smoke, project, tmp_path):
    moved = dataclasses.replace(project, root=tmp_path / "moved")
    shutil.copytree(smoke, moved.root, symlinks=True)
    assert not moved.plan(moved.root, moved.smoke).pending


def test_the_order_of_keys_in_a_study_reruns_nothing(smoke, project, smoke_settings, variant):
    experiment = smoke_settings["experiments"]["lenet5_fashion"]
    entries = {
        f"experiments.lenet5_fashion.{key}": experiment[key]
        for key in ("model", "split", "training")
    }
    entries |= {
        f"constraints.{name}": entry for name, entry in smoke_settings["constraints"].items()
    }
    entries |= {f"attacks.{name}": entry for name, entry in smoke_settings["attacks"].items()}
    study = variant({key: dict(reversed(entry.items())) for key, entry in entries.items()})
    assert not project.plan(smoke, study).pending


def test_a_changed_line_of_an_attack_reruns_that_attack_and_what_follows(smoke, project, edit):
    edit(f"{LIBRARY}/attacks/modified_entropy.py", statement)
    plan = project.plan(smoke, project.smoke)
    assert plan.rules == {"run_attack", *EVALUATION}
    assert {path for path in plan.pending if "/attacks/" in path} == matching(
        plan, r"/attacks/(modified|known_member)_entropy\."
    )


def test_a_changed_line_of_the_training_loop_reruns_all_models_but_not_the_data(
    smoke, project, edit
):
    edit(f"{LIBRARY}/training/loop.py", statement)
    plan = project.plan(smoke, project.smoke)
    assert matching(plan, "safetensors$") <= plan.pending
    assert not plan.rules & {"pack_dataset", "split_examples"}


def test_a_changed_line_of_admm_reruns_pruning_and_no_dense_training(smoke, project, edit):
    edit(f"{LIBRARY}/constraints/admm.py", statement)
    plan = project.plan(smoke, project.smoke)
    assert matching(plan, "/pruned/.*safetensors$") <= plan.pending
    assert not matching(plan, "/erm/(trained|none)/") & plan.pending


@pytest.fixture
def retrained_longer(smoke_settings, variant) -> Path:
    return variant(
        {
            "constraints.admm.retrain_epochs": smoke_settings["constraints"]["admm"][
                "retrain_epochs"
            ]
            + 1
        }
    )


def test_more_retraining_reruns_neither_training_nor_pruning(smoke, project, retrained_longer):
    plan = project.plan(smoke, retrained_longer)
    assert plan.rules == {"retrain_models", "probe_models", *SIGNALS}
    assert matching(plan, "/retrained/") <= plan.pending
    assert not matching(plan, "/erm/none/") & plan.pending


def test_an_attack_option_and_an_added_attack_run_these_attacks_only(smoke, project, variant):
    plan = project.plan(
        smoke,
        variant(
            {"attacks.modified_entropy.per_class": False, "attacks.entropy": {"use": "entropy"}}
        ),
    )
    assert plan.rules == {"run_attack", *EVALUATION}
    assert {path for path in plan.pending if "/attacks/" in path} == matching(
        plan, r"/attacks/(modified_)?entropy\."
    )


def test_more_replicates_rerun_no_attack(smoke, project):
    plan = project.plan(smoke, project.smoke, config=("bootstrap_replicates=120",))
    assert plan.rules == EVALUATION


def test_a_second_seed_leaves_the_first_alone(smoke, project, variant):
    plan = project.plan(smoke, variant({"seeds": [0, 1]}))
    assert not matching(plan, "/seed_0/") & plan.pending
    second = matching(plan, "/seed_1/")
    assert second <= plan.pending
    assert {path.replace("/seed_1/", "/seed_0/") for path in second} == matching(plan, "/seed_0/")


@pytest.mark.parametrize("name", ["images.npy", "labels.npy"])
def test_a_lost_part_of_the_packed_data_is_made_again_for_who_needs_it(
    name, smoke, project, retrained_longer
):
    array = smoke / "results/data/fashion_mnist" / name
    hidden = array.rename(array.with_name("hidden"))
    try:
        plan = project.plan(smoke, retrained_longer)
    finally:
        hidden.rename(array)
    assert str(array.relative_to(smoke)) in plan.pending


@pytest.mark.parametrize("name", ["figures/trade_off.svg", "differences.csv", "verdicts.csv"])
def test_what_the_report_leads_to_is_made_again_where_it_was_lost(name, smoke, project):
    lost = smoke / "results/smoke" / name
    hidden = lost.rename(lost.with_name("hidden"))
    try:
        plan = project.plan(smoke, project.smoke)
    finally:
        hidden.rename(lost)
    assert str(lost.relative_to(smoke)) in plan.pending


def test_an_altered_data_file_is_refused(smoke, project, edit):
    name = "workflow/resources/fashion_mnist/t10k-labels-idx1-ubyte.gz"
    edit(name, lambda content: content[:-1] + bytes([content[-1] ^ 1]))
    outcome = project.snakemake(smoke, "-n", study=project.smoke)
    assert outcome.code != 0
    assert name in outcome.text
    assert "damaged or altered" in outcome.text
    assert "Traceback" not in outcome.text


@pytest.fixture(scope="module")
def one_job(project, smoke_settings, changed, tmp_path_factory) -> Path:
    """The finished models of the smoke study, made by one job a stage instead of two, in another folder."""
    folder = tmp_path_factory.mktemp("one_job")
    settings = changed(smoke_settings, {"experiments.lenet5_fashion.training.models_per_job": 4})
    (folder / "study.yaml").write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    project.make(
        folder, f"{RUN}/erm/admm/retrained/targets_0.safetensors", study=folder / "study.yaml"
    )
    return folder


@pytest.mark.parametrize("stage", ["trained", "admm/pruned", "admm/retrained"])
def test_how_models_are_spread_over_jobs_changes_no_bit(stage, one_job, smoke):
    together = read_models(str(one_job / RUN / "erm" / stage / "targets_0.safetensors"))
    apart = read_models(
        *(str(smoke / RUN / "erm" / stage / f"targets_{batch}.safetensors") for batch in (0, 1))
    )
    assert set(together) == set(apart) == {0, 1, 2, 3}
    for row, model in together.items():
        assert set(model) == set(apart[row])
        assert all(torch.equal(tensor, apart[row][name]) for name, tensor in model.items())
