"""The smoke study through the Slurm profile, against the same study run here."""

import re
import subprocess

import pytest
from conftest import ROOT
from same_bits import differences, result_files

STUDY = "studies/smoke.yaml"


@pytest.fixture(scope="module")
def here():
    """The results of the study as `make reproduce` makes them on this machine."""
    done = subprocess.run(["make", "reproduce", f"STUDY={STUDY}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return ROOT / "results" / "smoke"


@pytest.fixture(scope="module")
def there(site):
    return site("smoke")


@pytest.fixture(scope="module")
def said(there):
    return there.finish(there.start(there.reproduction(STUDY)))


def test_the_cluster_gives_the_same_bits(here, there, said):
    assert len(result_files(here)) > 200
    assert differences(here, there.results / "smoke") == []


def test_networks_ran_where_the_gpus_are_and_all_else_where_none_is(there, said):
    nodes = {}
    for path in there.results.rglob("*.provenance.json"):
        record = path.read_text(encoding="utf-8")
        rule, node = (re.search(rf'"{key}": "?([\w-]+)', record).group(1) for key in ("rule", "node"))
        nodes.setdefault(rule, set()).add(node)
    assert all(
        nodes[rule] == {"gpu1"} for rule in ("train_targets", "prune_models", "retrain_models", "query_models", "probe_models")
    )
    assert nodes["evaluate_defence"] | nodes["run_attack"] | nodes["write_report"] <= {"cpu1", "cpu2"}
