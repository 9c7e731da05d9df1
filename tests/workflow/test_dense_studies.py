"""Studies in which no network is pruned from a trained dense one end with a report."""

import dataclasses
import shutil
from pathlib import Path

import pandas as pd
import pytest
import yaml

from mia_pruning.tables import TABLES

FIGURES = Path("workflow/lib/mia_pruning/reporting/figures")
#: Besides the baseline: nothing; a dense defence and one that is pruned before it is trained.
DEFENCES = {
    "baseline_alone": {},
    "untrained_pruning": {
        "smooth": {"objective": "label_smoothing", "constraint": "none"},
        "snip": {"objective": "erm", "constraint": "snip"},
    },
}


@pytest.fixture(scope="module")
def whole_project(project, tmp_path_factory):
    """The copied project with all of its figures."""
    root = tmp_path_factory.mktemp("whole") / "tree"
    shutil.copytree(project.root, root, ignore=shutil.ignore_patterns("results", ".snakemake"))
    shutil.copytree(Path(__file__).parents[2] / FIGURES, root / FIGURES, dirs_exist_ok=True)
    return dataclasses.replace(project, root=root)


@pytest.mark.parametrize("name", DEFENCES)
def test_a_study_without_subnetworks_has_its_report(name, whole_project, changed, tmp_path):
    smoke = yaml.safe_load(whole_project.smoke.read_text(encoding="utf-8"))
    baseline = {"baseline": smoke["defences"]["baseline"]}
    settings = changed(
        smoke,
        {
            "study": name,
            "objectives": {"erm": {"use": "erm"}, "label_smoothing": {"use": "label_smoothing"}},
            "constraints.snip": {
                "use": "cardinality",
                "solver": "snip",
                "compression": 4,
                "retrain_epochs": 1,
            },
            "defences": {**baseline, **DEFENCES[name]},
            "attackers": ["adaptive"],
            "attacks": {"loss": {"use": "loss"}},
            "probes": ...,
            "experiments.lenet5_fashion.training.epochs": 2,
            "experiments.lenet5_fashion.training.models_per_job": 6,
        },
    )
    study = tmp_path / "study.yaml"
    study.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    whole_project.make(tmp_path, f"results/{name}/report.html", study=study)
    for table in ("residuals", "projection", "distance"):
        written = pd.read_csv(tmp_path / f"results/{name}/{table}.csv")
        assert list(written.columns) == list(TABLES[table].columns)
