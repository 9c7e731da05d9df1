"""What breaks on a cluster, made to happen while networks train: the outcome has the bits of an undisturbed run."""

import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from same_bits import same
from slurm import run

STUDY = "studies/faults.yaml"
SEED = "results/faults/lenet5_fashion/seed_0/erm/trained"
TARGETS = [f"{SEED}/targets_{batch}.safetensors" for batch in range(2)]
N_BATCHES = 4


@pytest.fixture(scope="module")
def place(site):
    """A copy with a study of four batches of a model or two that take a while, its data packed and split, and planned."""
    made = site("faults")
    settings = yaml.safe_load((made.root / "studies" / "smoke.yaml").read_text(encoding="utf-8"))
    experiment = settings["experiments"]["lenet5_fashion"]
    experiment["split"] |= {"examples": 2000, "models": N_BATCHES}
    experiment["training"] |= {"epochs": 60, "models_per_job": 1}
    settings |= {
        "study": "faults",
        "objectives": {"erm": {"use": "erm"}},
        "constraints": {"none": {"use": "none"}},
        "defences": {"baseline": {"objective": "erm", "constraint": "none"}},
        "attacks": {"correctness": {"use": "correctness"}},
        "probes": {},
    }
    (made.root / STUDY).write_text(yaml.safe_dump(settings), encoding="utf-8")
    for command in (
        ["-m", "mia_pruning.operations.plan", STUDY, "--device", "gpu"],
        [
            "-m",
            "snakemake",
            "--cores",
            "2",
            "--configfile",
            STUDY,
            "--",
            "results/faults/lenet5_fashion/seed_0/membership.npz",
        ],
    ):
        done = made.execute(command)
        assert done.returncode == 0, done.stdout + done.stderr
    return made


@pytest.fixture(scope="module")
def undisturbed(place, tmp_path_factory):
    """The two batches' models, trained on this machine."""
    done = place.execute(["-m", "snakemake", "--cores", "2", "--configfile", STUDY, "--", *TARGETS])
    assert done.returncode == 0, done.stdout + done.stderr
    kept = tmp_path_factory.mktemp("undisturbed")
    for name in TARGETS:
        shutil.copy(place.root / name, kept)
    shutil.rmtree(place.root / SEED)
    return kept


@pytest.fixture
def clean(place, undisturbed):
    """The place without trained models; afterwards nobody is at work there, and every node is up."""
    profile = place.root / place.profile / "config.yaml"
    before = profile.read_text(encoding="utf-8")
    yield place
    profile.write_text(before, encoding="utf-8")
    shutil.rmtree(place.root / SEED, ignore_errors=True)
    assert queue() == []


@pytest.fixture
def check(clean, undisturbed):
    """A function: the models are those of the undisturbed run, and no half file and no checkpoint is left."""

    def same_as_undisturbed(targets):
        for name in targets:
            assert same(clean.root / name, undisturbed / Path(name).name)
        assert [
            path.name for path in (clean.root / SEED).iterdir() if path.name.startswith(".")
        ] == []

    return same_as_undisturbed


def queue() -> list[tuple[str, str]]:
    """The jobs in the queue: number and state."""
    lines = run(["squeue", "--noheader", "--format=%A|%T"]).stdout.split()
    return [tuple(line.split("|")) for line in lines]


def history(number: str) -> dict[str, str]:
    """What Slurm's controller remembers of a job."""
    text = run(["scontrol", "show", "job", number]).stdout
    return dict(entry.split("=", 1) for entry in text.split() if "=" in entry)


def submitted(said: str) -> list[str]:
    return re.findall(r"SLURM jobid (\d+)", said)


def checkpoint(place) -> list[Path]:
    return list((place.root / SEED).glob(".*.checkpoint.safetensors"))


def wait_until(happened, seconds=60):
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def log(place, batch: int) -> str:
    return (
        (place.root / SEED)
        .parent.joinpath("logs", f"train_targets_{batch}.log")
        .read_text(encoding="utf-8")
    )


def test_a_job_over_its_memory_is_sent_again_with_more(clean, check, cluster):
    asking_little = {
        "train_targets": {
            "slurm_partition": "gpu",
            "gpu": 1,
            "mem_mb": "500 if attempt == 1 else 2500",
        }
    }
    clean.edit_profile(**{"set-resources": asking_little})
    said = clean.finish(clean.start(clean.snakemake(STUDY, TARGETS[0])))
    first, second = submitted(said)
    assert history(first)["JobState"] in ("OUT_OF_MEMORY", "FAILED")
    assert "exceeded memory limit" in (cluster.folder / "slurmd-gpu1.log").read_text(
        encoding="utf-8"
    )
    assert history(second)["JobState"] == "COMPLETED"
    check(TARGETS[:1])


def test_a_job_over_its_time_is_sent_again_and_goes_on_from_its_checkpoint(clean, check, cluster):
    short = {
        "train_targets": {
            "slurm_partition": "gpu",
            "gpu": 1,
            "mem_mb": 2500,
            "runtime": "1 if attempt == 1 else 20",
        }
    }
    clean.edit_profile(**{"set-resources": short})
    work = clean.start(clean.snakemake(STUDY, TARGETS[0]))
    work.wait_for(lambda: checkpoint(clean))
    cluster.freeze("gpu1")
    said = clean.finish(work)
    first, second = submitted(said)
    assert history(first)["JobState"] == "TIMEOUT"
    assert history(second)["JobState"] == "COMPLETED"
    assert "goes on after epoch" in log(clean, 0)
    check(TARGETS[:1])


def test_a_job_of_a_node_that_dies_goes_on_from_its_checkpoint(clean, check, cluster):
    work = clean.start(clean.snakemake(STUDY, TARGETS[0]))
    work.wait_for(lambda: checkpoint(clean))
    cluster.lose("gpu1")
    work.wait_for(lambda: cluster.state("gpu1").startswith("down"))
    cluster.start_node("gpu1")
    said = clean.finish(work)
    assert history(submitted(said)[-1])["JobState"] == "COMPLETED"
    assert "goes on after epoch" in log(clean, 0)
    check(TARGETS[:1])


def test_a_controller_that_is_killed_and_started_again_loses_no_job(clean, check, cluster):
    work = clean.start(clean.snakemake(STUDY, TARGETS[0]))
    work.wait_for(lambda: checkpoint(clean))
    cluster.end("slurmctld", signal.SIGKILL)
    time.sleep(15)
    cluster.start_controller()
    said = clean.finish(work)
    assert len(submitted(said)) == 1
    check(TARGETS[:1])


def test_a_job_that_somebody_cancels_is_sent_again(clean, check):
    work = clean.start(clean.snakemake(STUDY, *TARGETS))
    work.wait_for(lambda: checkpoint(clean))
    victim = submitted(work.said)[0]
    run(["scancel", victim])
    said = clean.finish(work)
    assert history(victim)["JobState"] == "CANCELLED"
    assert len(submitted(said)) == len(TARGETS) + 1
    check(TARGETS)


def test_ctrl_c_empties_the_queue_and_the_same_command_goes_on(clean, check):
    command = clean.snakemake(STUDY, *TARGETS)
    work = clean.start(command)
    work.wait_for(lambda: checkpoint(clean))
    work.signal(signal.SIGINT)
    assert work.process.wait() != 0
    assert queue() == []
    clean.finish(clean.start(command))
    assert "goes on after epoch" in log(clean, 0) + log(clean, 1)
    check(TARGETS)


def test_a_killed_run_is_refused_beside_its_jobs_and_goes_on_without_them(clean, check):
    """The recovery that profiles/README.md has: `make reproduce` names the jobs that are left and the command that ends them."""
    work = clean.start(clean.reproduction(STUDY))
    work.wait_for(lambda: checkpoint(clean))
    work.signal(signal.SIGKILL)
    work.process.wait()
    left = [number for number, _ in queue()]
    assert left
    refused = clean.start(clean.reproduction(STUDY))
    assert refused.process.wait() == 1
    assert all(number in refused.said for number in left)
    cancel = re.search(r"`(scancel [^`]+)`", refused.said).group(1)
    assert "Snakemake" not in refused.said
    run(cancel.split())
    wait_until(lambda: queue() == [])
    said = clean.finish(clean.start(clean.reproduction(STUDY)))
    assert "Report:" in said
    assert any("goes on after epoch" in log(clean, batch) for batch in range(N_BATCHES))
    check(TARGETS)
    sent = re.findall(r"rule_train_targets/(\S+?)/\d+\.log", said)
    assert len(sent) == len(set(sent)), "a job was sent twice"


def test_more_jobs_than_gpus_wait_for_one(clean, check):
    work = clean.start(
        clean.snakemake(
            STUDY, *(f"{SEED}/targets_{batch}.safetensors" for batch in range(N_BATCHES))
        )
    )
    work.wait_for(lambda: len(submitted(work.said)) == N_BATCHES)
    most = 0
    while work.process.poll() is None:
        most = max(most, sum(state == "RUNNING" for _, state in queue()))
        time.sleep(1)
    assert work.process.returncode == 0, work.said[-6000:]
    assert most == 2
    check(TARGETS)


def test_a_full_disk_is_named_and_the_same_command_goes_on_when_there_is_room(clean, check):
    seed = clean.root / SEED
    seed.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40k", "none", seed], check=True)
    try:
        clean.edit_profile(retries=0)
        work = clean.start(clean.snakemake(STUDY, TARGETS[0]))
        assert work.process.wait() != 0
        assert "no space left" in log(clean, 0)
        assert "Traceback" not in log(clean, 0)
        assert [path for path in seed.iterdir() if path.suffix == ".part"] == []
    finally:
        subprocess.run(["umount", seed], check=True)
    clean.finish(clean.start(clean.snakemake(STUDY, TARGETS[0])))
    check(TARGETS[:1])


def test_a_cluster_without_gpus_trains_on_its_processors(clean, check):
    clean.edit_profile(**{"set-resources": {"train_targets": {"slurm_partition": "cpu", "gpu": 0}}})
    said = clean.finish(clean.start(clean.snakemake(STUDY, TARGETS[0])))
    assert history(submitted(said)[0])["NodeList"].startswith("cpu")
    check(TARGETS[:1])


def test_a_study_that_is_changed_meanwhile_mixes_into_no_result(clean):
    work = clean.start(clean.snakemake(STUDY, TARGETS[0]))
    work.wait_for(lambda: submitted(work.said))
    path = clean.root / STUDY
    before = path.read_text(encoding="utf-8")
    try:
        path.write_text(
            before.replace("bootstrap_replicates: 100", "bootstrap_replicates: 101"),
            encoding="utf-8",
        )
        assert work.process.wait() != 0
    finally:
        path.write_text(before, encoding="utf-8")
    logs = "".join(
        file.read_text(encoding="utf-8")
        for file in (clean.results / "logs" / "slurm").rglob("*.log")
    )
    assert "was changed after this run began" in logs
    assert not (clean.root / TARGETS[0]).exists()
