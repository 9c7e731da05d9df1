"""How far a study is, from planted records."""

import os
import platform
from datetime import datetime
from pathlib import Path

import pytest

from mia_pruning.operations import status
from mia_pruning.operations.gaps import Missing
from mia_pruning.operations.resources import Need, Resources
from mia_pruning.operations.slurm import Queued
from mia_pruning.operations.status import (
    Begun,
    Output,
    describe,
    is_alive,
    progress,
    queue_of,
    read_begun,
    seconds_of,
    start_of_run,
)
from mia_pruning.stages.job import _log_to, place
from mia_pruning.types import StudyError


def begun(rule, **changes):
    """A job that runs on this machine, with changes."""
    here = {"node": platform.node(), "process": str(os.getpid()), "slurm_job": ""}
    return Begun(
        rule,
        **{
            "what": "s e 0",
            **here,
            "log": Path("t0.log"),
            "last": ("10:00:00 epoch 1",),
            **changes,
        },
    )


@pytest.fixture
def outputs():
    """Two training jobs of two files, one of them done; a query that waits for both."""
    return [
        Output("t0.safetensors", "train_targets", "-", False),
        Output("t0.csv", "train_targets", "-", False),
        Output("t1.safetensors", "train_targets", "s/logs/train_1.log", True),
        Output("t1.csv", "train_targets", "s/logs/train_1.log", True),
        Output("split.npz", "split_examples", "s/logs/split.log", True),
        Output("signals.npy", "query_models", "-", False),
    ]


LEFT = {"train_targets": 1, "query_models": 1}


def test_jobs_are_counted_and_not_their_files(outputs):
    found = {
        entry.rule: (entry.total, entry.done, entry.begun)
        for entry in progress(outputs, LEFT, [begun("train_targets")])
    }
    assert found == {
        "split_examples": (1, 1, 0),
        "train_targets": (2, 1, 1),
        "query_models": (1, 0, 0),
    }


def test_a_job_is_at_work_while_its_process_or_its_place_in_the_queue_is_there():
    queue = [Queued("7", "RUNNING", "gpu1", "1:00", "run", "train_targets s")]
    assert is_alive(begun("train_targets"), [])
    assert not is_alive(begun("train_targets", process="0"), [])
    assert not is_alive(begun("train_targets", node="elsewhere"), [])
    assert is_alive(begun("train_targets", slurm_job="7", node="gpu1"), queue)
    assert not is_alive(begun("train_targets", slurm_job="8", node="gpu1"), queue)


@pytest.fixture
def silent_slurm(monkeypatch):
    """Slurm's commands without a controller that answers."""

    def fail(folder):
        raise StudyError("Slurm's controller does not answer: no configuration")

    monkeypatch.setattr(status.shutil, "which", lambda command: f"/usr/bin/{command}")
    monkeypatch.setattr(status, "read_queue", fail)


@pytest.mark.usefixtures("silent_slurm")
def test_a_run_without_slurm_is_told_of_although_slurm_does_not_answer(capsys, tmp_path):
    assert queue_of(tmp_path, [begun("train_targets")]) == []
    assert "does not answer" in capsys.readouterr().err


@pytest.mark.usefixtures("silent_slurm")
def test_jobs_sent_to_slurm_are_not_called_dead_because_it_does_not_answer(tmp_path):
    with pytest.raises(StudyError, match="does not answer"):
        queue_of(tmp_path, [begun("train_targets", slurm_job="7")])


def write(path, text, time):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    os.utime(path, (time, time))


def test_begun_are_jobs_of_this_run_without_a_good_end(tmp_path):
    results, logs = tmp_path / "s", tmp_path / "s" / "e" / "logs"
    write(
        logs / "runs.log",
        "10:00:00 train_targets s e 0 on gpu1, process 5, Slurm job 7\n10:00:09 epoch 1\n",
        200,
    )
    write(logs / "again.log", "10:00:00 train_targets s e 1 on gpu1, process 6\n", 200)
    write(logs / "again.provenance.json", "{}", 50)
    write(logs / "ended.log", "10:00:00 query_models s e on cpu1, process 7\n", 200)
    write(logs / "ended.provenance.json", "{}", 201)
    write(
        logs / "stopped.log",
        "10:00:00 run_attack s e on cpu1, process 8\n10:00:01 stopped: no\n",
        200,
    )
    write(logs / "earlier.log", "09:00:00 prune_models s e on cpu1, process 9\n", 100)
    write(
        tmp_path / "logs" / "pack_dataset" / "d.log",
        "10:00:00 pack_dataset d on cpu1, process 10\n",
        200,
    )
    found = {
        (job.rule, job.what, job.node, job.process, job.slurm_job, job.stopped)
        for job in read_begun(results, since=150)
    }
    assert found == {
        ("train_targets", "s e 0", "gpu1", "5", "7", False),
        ("train_targets", "s e 1", "gpu1", "6", "", False),
        ("run_attack", "s e", "cpu1", "8", "", True),
        ("pack_dataset", "d", "cpu1", "10", "", False),
    }


def test_the_first_line_of_a_jobs_log_is_one_that_is_understood(tmp_path):
    _log_to(tmp_path / "s" / "logs" / "a.log", "train_targets s e 0", place())
    (job,) = read_begun(tmp_path / "s", since=0)
    assert (job.rule, job.what, job.process) == ("train_targets", "s e 0", str(os.getpid()))


def test_a_run_began_when_its_log_is_named_after(tmp_path):
    for name in ("2026-11-25T043706.500000", "2026-11-25T033706.500000"):
        (tmp_path / f"{name}.snakemake.log").touch()
    assert datetime.fromtimestamp(start_of_run(tmp_path)) == datetime(
        2026, 11, 25, 4, 37, 6, 500000
    )
    assert start_of_run(tmp_path / "none") == 0


def test_a_rule_takes_as_long_as_its_jobs_took_or_as_was_planned(outputs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "s" / "benchmarks" / "train_1.tsv", "s\tcpu_time\n30.0\t9\n", 1)
    needs = {
        "train_targets": {"e": Need(1, 500)},
        "query_models": {"e": Need(1, 20), "f": Need(1, 40)},
    }
    Resources("", "cpu", needs, {}).write(tmp_path / "s" / "plan.json")
    assert seconds_of(outputs, tmp_path / "s") == {"train_targets": 30.0, "query_models": 30.0}


def test_the_rest_takes_its_work_over_what_runs_at_a_time(outputs):
    queue = [
        Queued(str(number), "RUNNING", "gpu1", "1:00", "run", "train_targets s")
        for number in range(2)
    ]
    queue.append(Queued("9", "PENDING", "", "0:00", "run", "train_targets s"))
    said = describe(
        "s", outputs, LEFT, [], queue, [], {"train_targets": 300.0, "query_models": 60.0}
    )
    assert (
        "Study s: 2 of 4 jobs done, 0 begun, 0 failed. In Slurm's queue: 2 running, 1 waiting."
        in said
    )
    assert (
        "About 3.2 min left if 2 run at a time as now." in said
    )  # 300 and 60 s, and 10 s each to start
    assert "without query_models" in describe(
        "s", outputs, LEFT, [], [], [], {"train_targets": 300.0}
    )
    assert "is not known" in describe("s", outputs, LEFT, [], [], [], {})


def test_a_finished_study_says_so(outputs):
    done = [Output(output.path, output.rule, output.path, True) for output in outputs]
    assert describe("s", done, {}, [], [], [], {}).endswith("Nothing is left to do.")


def test_a_failure_is_shown_with_the_last_lines_of_its_log(outputs):
    job = begun(
        "train_targets", last=("10:00:08 epoch 9", "10:00:09 stopped: the loss is not finite")
    )
    said = describe("s", outputs, LEFT, [], [], [job], {})
    assert "1 failed" in said
    assert "Failed: train_targets s e 0, on" in said
    assert "10:00:09 stopped: the loss is not finite" in said


def test_a_job_that_was_ended_from_outside_is_shown_with_what_slurm_wrote(
    outputs, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    write(
        tmp_path / "results" / "logs" / "slurm" / "rule_x" / "17.log",
        "slurmstepd: error: exceeded memory limit\n",
        1,
    )
    said = describe("s", outputs, LEFT, [], [], [begun("train_targets", slurm_job="17")], {})
    assert "Ended without a word: train_targets" in said
    assert "exceeded memory limit" in said


def test_a_long_queue_is_cut(outputs):
    queue = [Queued(str(number), "PENDING", "", "0:00", "run", "x") for number in range(500)]
    assert (
        len(describe("s", outputs, LEFT, [], queue, [], {}).splitlines()) < 2 * status.MOST_LISTED
    )


def test_a_job_that_raised_is_no_job_that_ended_without_a_word(tmp_path):
    """A traceback, longer than what is shown, stands below the line that says so."""
    lines = [
        "10:00:00 run_attack s e on cpu1, process 8",
        "10:00:01 failed; please report this",
        *["  File ..."] * 20,
        "KeyError: 1",
    ]
    write(tmp_path / "s" / "logs" / "a.log", "\n".join(lines), 200)
    (job,) = read_begun(tmp_path / "s", since=150)
    assert job.stopped
    assert (job.last[0], job.last[-1], len(job.last)) == (lines[1], lines[-1], status.LAST_LINES)


def test_after_a_partial_report_the_run_before_it_is_looked_at(tmp_path):
    write(tmp_path / ".snakemake" / "log" / "2026-11-25T043706.500000.snakemake.log", "", 1)
    partial = status.start_of_run(tmp_path / ".snakemake" / "log")
    assert status.since(tmp_path, tmp_path / "results" / "s") == partial
    Missing(partial - 100.0, 2).write(tmp_path / "results" / "s" / "missing.json")
    assert status.since(tmp_path, tmp_path / "results" / "s") == partial - 100.0
