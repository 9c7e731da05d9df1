"""The smoke study on the cluster by the commands that README has, against the same study run here."""

import re
import subprocess

import pytest
from conftest import ROOT
from same_bits import differences, result_files

from mia_pruning import storage
from mia_pruning.study.pipeline import rules_that

STUDY = "studies/smoke.yaml"


@pytest.fixture(scope="module")
def here():
    """The results of the study as `make reproduce` makes them on this machine."""
    done = subprocess.run(
        ["make", "reproduce", f"STUDY={STUDY}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return ROOT / "results" / "smoke"


@pytest.fixture(scope="module")
def there(site):
    return site("smoke")


@pytest.fixture(scope="module")
def said(there):
    """What the three commands of README's section said, one after the other."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## On a cluster\n.*?```\n(.*?)```", readme, flags=re.DOTALL).group(1)
    commands = block.splitlines()
    assert len(commands) == 3
    return [there.finish(there.start(["bash", "-c", command])) for command in commands]


def test_the_three_commands_end_with_the_report_and_nothing_left(there, said):
    prefetched, reproduced, status = said
    assert "fetch_dataset" in prefetched
    assert f"Report: {there.results / 'smoke' / 'report.html'}" in reproduced
    assert "Study smoke: 118 of 118 jobs done, 0 begun, 0 failed." in status
    assert "Nothing is left to do." in status


def test_the_cluster_gives_the_same_bits(here, there, said):
    assert len(result_files(here)) > 200
    assert differences(here, there.results / "smoke") == []


@pytest.fixture(scope="module")
def records(there, said):
    """The record of every job."""
    return [
        storage.read_json(path) for path in (there.results / "smoke").rglob("*.provenance.json")
    ]


def test_networks_ran_where_the_gpus_are_and_all_else_where_none_is(records):
    nodes = {}
    for record in records:
        nodes.setdefault(record["rule"], set()).add(record["node"])
    assert all(nodes[rule] == {"gpu1"} for rule in rules_that("on_gpu") if rule in nodes)
    assert set().union(
        *(found for rule, found in nodes.items() if rule not in rules_that("on_gpu"))
    ) == {"cpu1", "cpu2"}


def test_all_attacks_on_a_defence_and_the_whole_report_are_one_job_each(records):
    jobs = {}
    for record in records:
        jobs.setdefault(record["rule"], set()).add(record["slurm_job"])
    n_defences = sum(record["rule"] == "evaluate_defence" for record in records)
    assert len(jobs["run_attack"]) == len(jobs["evaluate_defence"]) == n_defences == 9
    assert len(jobs["draw_figure"] | jobs["write_report"] | jobs["export_study"]) == 1


def test_the_report_names_the_jobs_and_their_nodes(there, records):
    page = (there.results / "smoke" / "report.html").read_text(encoding="utf-8")
    section = page[page.index("Where the jobs ran") :]
    trained = sorted(
        {record["slurm_job"] for record in records if record["rule"] == "train_targets"}, key=int
    )
    rows = [" ".join(re.sub(r"<[^>]*>", " ", row).split()) for row in section.split("<tr>")]
    assert any(
        row.startswith(f"train_targets gpu1 {len(trained)} {', '.join(trained)}") for row in rows
    )
