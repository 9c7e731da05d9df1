"""What `make reproduce` decides before Snakemake starts."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from mia_pruning.operations import reproduce
from mia_pruning.operations.gaps import Gap, Missing, read_missing
from mia_pruning.operations.resources import Resources
from mia_pruning.stages.job import CONSOLE_LEVEL
from mia_pruning.study.layout import Combination
from mia_pruning.types import StudyError


@pytest.mark.parametrize(("terminal", "arguments"), [(True, ["--logger", "rich"]), (False, [])])
def test_bars_of_progress_are_for_terminals(terminal, arguments, monkeypatch):
    monkeypatch.delenv(CONSOLE_LEVEL, raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)
    assert reproduce.display() == arguments
    assert os.environ.pop(CONSOLE_LEVEL, None) == ("ERROR" if terminal else None)


def called(monkeypatch, tmp_path, load):
    """The exit code of the command where nothing is locked and no signal is watched."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce", "s.yaml"])
    monkeypatch.setattr(reproduce, "end_on_signals", lambda: None)
    monkeypatch.setattr(reproduce, "take_lock", lambda path: None)
    monkeypatch.setattr(reproduce, "read_study", load)
    return reproduce.main()


def test_an_interrupted_plan_ends_in_words(monkeypatch, tmp_path, capsys):
    def interrupted(file):
        raise KeyboardInterrupt

    assert called(monkeypatch, tmp_path, interrupted) == 130
    assert capsys.readouterr().err == "Interrupted. The same command resumes the study.\n"


def test_a_second_call_is_refused_before_it_reads_the_study(monkeypatch, tmp_path, capsys):
    def refuse(path):
        raise StudyError(f"{path}: another run")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["reproduce", "missing.yaml"])
    monkeypatch.setattr(reproduce, "end_on_signals", lambda: None)
    monkeypatch.setattr(reproduce, "take_lock", refuse)
    assert reproduce.main() == 1
    assert capsys.readouterr().err == ".snakemake/run.lock: another run\n"


CURRENT = Resources("now", "cpu", {}, {})


@pytest.fixture
def plans(monkeypatch):
    """The options of each plan that is made, on a cluster that takes everything."""
    made = []
    monkeypatch.setattr(reproduce, "check", lambda profile, folder: None)
    monkeypatch.setattr(reproduce, "display", list)
    monkeypatch.setattr(reproduce, "plan_of", lambda study, results: None)
    monkeypatch.setattr(reproduce, "make_plan", lambda file, *options: made.append(options))
    return made


@pytest.mark.parametrize(
    ("plan", "gpus", "made"),
    [
        (None, 0, [("--device", "cpu")]),
        (CURRENT, 0, []),
        (CURRENT, 1, [("--device", "gpu")]),
        (Resources("before", "cpu", {}, {}), 0, [("--device", "cpu")]),
    ],
)
def test_a_cluster_run_is_planned_unless_it_is_as_planned_for_its_device(
    plan, gpus, made, plans, monkeypatch, tmp_path
):
    monkeypatch.setattr(reproduce, "plan_of", lambda study, results: plan)
    (tmp_path / "config.yaml").write_text(
        f"executor: slurm\nset-resources: {{train_targets: {{gpu: {gpus}}}}}\n", encoding="utf-8"
    )
    assert reproduce.prepared(tmp_path / "study.yaml", Named(), tmp_path, "2") == [
        "--profile",
        str(tmp_path),
    ]
    assert plans == made


@pytest.mark.parametrize(("laid_out", "made"), [(True, []), (False, [()])])
def test_a_run_here_is_planned_where_models_are_to_be_laid_over_jobs(
    laid_out, made, plans, monkeypatch, tmp_path
):
    monkeypatch.setattr(reproduce, "is_laid_out", lambda study, plan: laid_out)
    assert reproduce.prepared(tmp_path / "study.yaml", Named(), None, "2") == ["--cores", "2"]
    assert plans == made


def test_a_plan_that_fails_says_why(monkeypatch, tmp_path):
    failed = subprocess.CompletedProcess([], 1, "", "no such thing\n")
    monkeypatch.setattr(reproduce.subprocess, "run", lambda command, **_: failed)
    with pytest.raises(StudyError, match="no such thing"):
        reproduce.make_plan(tmp_path / "study.yaml")


read_study = reproduce.read_study


@pytest.mark.parametrize(
    "content",
    ["study: s\nexperiments: []\n", "study: s\nexperiments: {e: {}}\n", "[]", "study: [\n"],
)
def test_a_study_that_cannot_work_is_refused_in_words(content, monkeypatch, tmp_path, capsys):
    (tmp_path / "bad.yaml").write_text(content, encoding="utf-8")
    assert called(monkeypatch, tmp_path, lambda _: read_study(Path("bad.yaml"))) == 1
    assert capsys.readouterr().err.strip()


@dataclasses.dataclass(frozen=True)
class Named:
    """All that a run needs of a study."""

    name: str = "s"
    identity: str = "now"


def gaps(n_missing, n_wanted=2):
    return Missing(
        1.0,
        n_wanted,
        tuple(Gap((Combination("e", seed, "a"),), (), ()) for seed in range(n_missing)),
    )


@pytest.fixture
def runs(monkeypatch, tmp_path):
    """A function that sets how runs end and what is missing after the first, and returns the runs: which file each leaves out."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / "s").mkdir(parents=True)

    def plant(*ends, missing):
        made, left = [], list(ends)

        def run(file, where, left_out=None):
            made.append(left_out)
            return left.pop(0)

        monkeypatch.setattr(reproduce, "run", run)
        monkeypatch.setattr(reproduce, "read_study", lambda file: Named())
        monkeypatch.setattr(reproduce, "read_outputs", lambda file: [])
        monkeypatch.setattr(reproduce, "find_missing", lambda *_: missing)
        monkeypatch.setattr(reproduce, "conclude", lambda *_: 0)
        return made

    return plant


WELL, FAILED = reproduce.Ended(0, False), reproduce.Ended(1, False)
GAPS = Path("results", "s", "missing.json")


def reproduced():
    return reproduce.reproduce(Path("s.yaml"), Named(), [], 0.0)


def test_a_failed_run_is_followed_by_one_without_what_is_missing_and_fails_all_the_same(
    runs, capsys
):
    made = runs(FAILED, WELL, missing=gaps(1))
    assert (reproduced(), made) == (1, [None, GAPS])
    assert read_missing(GAPS) == gaps(1)
    assert gaps(1).sentences()[1] in capsys.readouterr().err


def test_what_an_earlier_run_missed_is_forgotten(runs):
    gaps(1).write(GAPS)
    runs(WELL, missing=None)
    assert reproduced() == 0
    assert not GAPS.exists()


@pytest.mark.parametrize("ended", [reproduce.Ended(1, True), reproduce.Ended(-9, False)])
def test_a_run_that_somebody_ended_gets_no_report(ended, runs):
    made = runs(ended, missing=gaps(1))
    assert (reproduced(), made) == (ended.code, [None])


def test_where_nothing_is_whole_there_is_no_report_and_an_earlier_one_is_called_so(runs, capsys):
    made = runs(FAILED, missing=gaps(2))
    Path("results", "s", "report.html").touch()
    assert (reproduced(), made) == (1, [None])
    said = capsys.readouterr().err
    assert "No combination is whole, so there is no report." in said
    assert "is of an earlier run" in said


def test_a_study_that_was_changed_while_it_ran_gets_no_report(runs, monkeypatch, capsys):
    """What it asks for now was never begun, and would be by a run without what is missing of what it asked for."""
    made = runs(FAILED, missing=gaps(1))
    monkeypatch.setattr(reproduce, "read_study", lambda file: Named(identity="later"))
    assert (reproduced(), made) == (1, [None])
    assert "it was changed during the run" in capsys.readouterr().err


def test_ctrl_c_before_the_partial_report_ends_it_in_words(runs, monkeypatch, capsys):
    def interrupted(file):
        raise KeyboardInterrupt

    made = runs(FAILED, missing=gaps(1))
    monkeypatch.setattr(reproduce, "read_outputs", interrupted)
    assert (reproduced(), made) == (1, [None])
    assert "Interrupted" in capsys.readouterr().err


def test_a_report_that_fails_is_not_tried_again(runs, capsys):
    made = runs(FAILED, missing=gaps(0))
    assert (reproduced(), made) == (1, [None])
    assert "what failed is of the report itself." in capsys.readouterr().err
    made = runs(FAILED, FAILED, missing=gaps(1))
    assert (reproduced(), made) == (1, [None, GAPS])
    assert "It could not be made." in capsys.readouterr().err


def test_a_claim_is_called_untested_if_no_experiment_tests_it(tmp_path):
    rows = [
        ("C1", "e", "supported"),
        ("C1", "f", "not tested"),
        ("C2", "e", "not tested"),
        ("C2", "f", "not tested"),
    ]
    about = dict.fromkeys(("attack", "attacker", "minus"), "") | {
        "defence": "a",
        "corrected": "",
        "headline": True,
    }
    about |= {
        "metric": "compression",
        "value": 4.0,
        "low": 4.0,
        "high": 4.0,
        "direction": "at_least",
        "threshold": 2.0,
    }
    table = [
        {"claim": claim, "experiment": experiment, "verdict": verdict, **about}
        for claim, experiment, verdict in rows
    ]
    pd.DataFrame(table).to_csv(tmp_path / "verdicts.csv", index=False)
    assert "Not tested by this study: C2." in reproduce.summary(
        tmp_path, unchanged=True, seconds=1.0
    )
