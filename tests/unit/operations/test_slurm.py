"""What no test cluster has: a Slurm that keeps accounts, or none at all."""

import subprocess

import pytest

from mia_pruning.operations import slurm
from mia_pruning.operations.slurm import (
    Profile,
    Queued,
    Request,
    check,
    check_request,
    file_system,
    read_queue,
)
from mia_pruning.study.pipeline import rules_that
from mia_pruning.types import StudyError

REFUSAL = "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified\n"


@pytest.fixture
def answers(monkeypatch):
    """Slurm's commands, each answering what stands here."""
    known = {"sinfo": (0, "work*|gpu:a100:4\n", ""), "sbatch": (0, "", ""), "squeue": (0, "", "")}
    monkeypatch.setattr(
        slurm, "_run", lambda command: subprocess.CompletedProcess(command, *known[command[0]])
    )
    return known


@pytest.mark.parametrize(
    ("account", "hint"),
    [(None, "Set slurm_account"), ("abc", "slurm_account = 'abc' is not yours")],
)
def test_an_account_that_the_cluster_wants_or_does_not_know_is_named(account, hint, answers):
    answers["sbatch"] = (1, "", REFUSAL)
    with pytest.raises(
        StudyError,
        match=rf"p: Slurm refuses .*Invalid account.* {hint}.*sacctmgr show associations",
    ):
        check_request(Request("work", account, 1, "a100"), "p")


def test_a_controller_that_does_not_answer_is_named(answers):
    answers["sinfo"] = (1, "", "slurm_load_partitions: Unable to contact slurm controller")
    with pytest.raises(StudyError, match=r"controller does not answer .*Unable to contact"):
        check_request(Request("work", None, 0, None), "p")


def test_a_machine_without_slurm_is_named(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("executor: slurm\n", encoding="utf-8")
    monkeypatch.setattr(slurm.shutil, "which", lambda program: None)
    with pytest.raises(
        StudyError, match="this machine has no `sbatch`; run it on a login node, or without PROFILE"
    ):
        check(Profile(tmp_path), tmp_path)


def test_another_executor_is_left_to_its_plugin(tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text("executor: lsf\n", encoding="utf-8")
    monkeypatch.setattr(slurm.shutil, "which", lambda program: None)
    check(Profile(tmp_path), tmp_path)


def test_a_missing_profile_is_named(tmp_path):
    with pytest.raises(StudyError, match=r"nowhere/config.yaml: there is no such file"):
        check(Profile(tmp_path / "nowhere"), tmp_path)


def test_requests_are_the_places_that_rules_ask_for_each_once(tmp_path):
    (tmp_path / "config.yaml").write_text(
        "default-resources: [slurm_partition=work, slurm_account=me]\n"
        "set-resources: {a: {gpu: 1}, b: {gpu: 1}, c: {slurm_partition: long}}\n",
        encoding="utf-8",
    )
    assert Profile(tmp_path).requests == {
        "default-resources": Request("work", "me", 0, None),
        "set-resources.a": Request("work", "me", 1, None),
        "set-resources.c": Request("long", "me", 0, None),
    }


def test_the_file_system_of_a_folder_is_that_of_its_longest_mount():
    assert file_system(slurm.Path("/proc/self")) == "proc"
    assert file_system(slurm.Path("/dev/shm")) == "tmpfs"


def test_the_profile_asks_gpus_for_what_is_planned_on_them():
    profile = Profile(slurm.Path(__file__).parents[3] / "profiles" / "slurm")
    assert set(profile.settings["set-resources"]) == set(rules_that("on_gpu"))
    assert all(entry["gpu"] == 1 for entry in profile.settings["set-resources"].values())
    assert profile.device == "gpu"
    assert not set(profile.settings["groups"]) & set(rules_that("on_gpu"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            "set-resources: {a: {gpu: 1 * attempt}}",
            r"set-resources.a.gpu = '1 \* attempt': allowed is a whole number",
        ),
        ("set-resources: ['a:gpu=1']", r"set-resources = .*: allowed is a mapping of rules"),
        (
            "default-resources: [slurm_partition]",
            r"default-resources = .*: allowed is a mapping, or a list of name=value",
        ),
        ("default-resources: 5", r"default-resources = 5: allowed"),
    ],
)
def test_resources_that_cannot_be_read_are_named(settings, message, tmp_path):
    (tmp_path / "config.yaml").write_text(settings, encoding="utf-8")
    with pytest.raises(StudyError, match=message):
        _ = Profile(tmp_path).requests


def test_a_queue_that_cannot_be_asked_is_no_empty_queue(answers, tmp_path):
    answers["squeue"] = (1, "", "slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(StudyError, match="Unable to contact"):
        read_queue(tmp_path)


def test_the_queue_of_a_folder_is_that_of_its_own_runs(answers, tmp_path):
    answers["squeue"] = (
        0,
        f"7|RUNNING|gpu1|1:02|run-a|{tmp_path}|rule_train_targets_wildcards_s_0\n8|PENDING||0:00|run-b|/|rule_x\n",
        "",
    )
    assert read_queue(tmp_path) == [
        Queued("7", "RUNNING", "gpu1", "1:02", "run-a", "train_targets s_0")
    ]
