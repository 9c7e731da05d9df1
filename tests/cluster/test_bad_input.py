"""What a user can get wrong about a cluster: each is refused before the first job, in a sentence that says what to do."""

import subprocess

import pytest
import yaml
from slurm import run

from mia_pruning.operations.slurm import Profile, check, check_storage
from mia_pruning.types import StudyError

NETWORKS = {"slurm_partition": "gpu", "gpu": 1, "gpu_model": "fake"}


@pytest.fixture
def profile(cluster, tmp_path):
    """A function: a profile that works here, with keys of it changed."""

    def write(changes=(), networks=NETWORKS):
        settings = {
            "executor": "slurm",
            "slurm-status-command": "squeue",
            "default-resources": {"slurm_partition": "cpu"},
            "set-resources": {"train_targets": networks},
            **dict(changes),
        }
        path = tmp_path / "config.yaml"
        path.write_text(yaml.safe_dump(settings), encoding="utf-8")
        return Profile(path)

    return write


def test_a_profile_that_fits_is_accepted(profile, tmp_path):
    check(profile(), tmp_path)
    assert profile().device == "gpu"
    check(profile(networks={"slurm_partition": "cpu", "gpu": 0}), tmp_path)
    assert profile(networks={"slurm_partition": "cpu", "gpu": 0}).device == "cpu"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"slurm_partition": "gpus"},
            r"partition = 'gpus': this cluster has no such partition; did you mean 'gpu'\? Allowed: cpu, gpu",
        ),
        (
            {"slurm_partition": "cpu"},
            r"gpu = 1: no node of partition 'cpu' has a GPU; allowed is .*\(gpu\), or gpu: 0",
        ),
        ({"gpu_model": "a100"}, r"gpu_model = 'a100': partition 'gpu' has fake"),
        ({"gpu": 0}, r"gpu_model = 'fake': no GPU is requested, gpu = 0; leave gpu_model out"),
        ({"gpu": 3}, r"Slurm refuses a job of one minute there: .*not available"),
    ],
)
def test_a_request_that_the_cluster_cannot_serve_is_refused(changes, message, profile, tmp_path):
    with pytest.raises(StudyError, match=message):
        check(profile(networks={**NETWORKS, **changes}), tmp_path)


def test_a_profile_without_a_partition_is_refused_where_there_is_no_default(profile, tmp_path):
    bare = profile({"default-resources": {}})
    check(bare, tmp_path)
    run(["scontrol", "update", "PartitionName=cpu", "Default=NO"])
    try:
        with pytest.raises(
            StudyError,
            match=r"slurm_partition: missing, and this cluster has no default partition; allowed is one of cpu, gpu",
        ):
            check(bare, tmp_path)
    finally:
        run(["scontrol", "update", "PartitionName=cpu", "Default=YES"])


def test_sacct_without_accounting_is_refused(profile, tmp_path):
    with pytest.raises(
        StudyError,
        match=r"`sacct` does not work here \(.*disabled\); add the line slurm-status-command: squeue",
    ):
        check(profile({"slurm-status-command": "sacct"}), tmp_path)


def test_a_folder_that_a_node_does_not_see_is_refused(profile, cluster, tmp_path):
    requests = list(profile().requests.values())
    check_storage(requests, tmp_path)
    cluster.end("slurmd-gpu1")
    cluster.start_node("gpu1", hidden=tmp_path)
    try:
        with pytest.raises(
            StudyError,
            match=r"is on this machine's own disk .*, which a node of partition 'gpu' does not see; put the project",
        ):
            check_storage(requests, tmp_path)
    finally:
        cluster.end("slurmd-gpu1")
        cluster.start_node("gpu1")


def test_jobs_of_an_earlier_run_are_named_with_the_command_that_ends_them(profile, tmp_path):
    sent = run(
        [
            "sbatch",
            "--parsable",
            "--job-name=old-run",
            "--output=/dev/null",
            f"--chdir={tmp_path}",
            "--wrap=sleep 60",
        ]
    ).stdout.strip()
    try:
        with pytest.raises(
            StudyError, match=rf"Slurm's queue, jobs {sent}: .*`scancel --name=old-run`"
        ):
            check(profile(), tmp_path)
    finally:
        run(["scancel", sent])


def test_a_cluster_run_without_a_plan_says_how_to_plan(site):
    place = site("unplanned")
    done = subprocess.run(
        place.snakemake("studies/smoke.yaml"),
        cwd=place.root,
        env=place.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert (
        "plan.json, which says what jobs ask the cluster for, is not there: run `make plan"
        in done.stdout + done.stderr
    )
