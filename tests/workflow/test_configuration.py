"""Where a study's settings come from: config.yaml, a file that replaces it, and single keys on the command line."""

from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
STUDIES = [
    "config.yaml",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "studies").glob("*.yaml")),
]


@pytest.fixture
def settings_of(project):
    """settings_of(name): a study of the copy, as its file has it."""
    return lambda name: yaml.safe_load((project.root / name).read_text(encoding="utf-8"))


def attackers_of(settings: dict, attack: str, defence: str) -> list[str]:
    """The joint attacker needs a network pruned from a trained one; the baseline's adaptive shadows are the dense ones."""
    entry = settings["attacks"][attack]
    if defence not in entry.get("defences", [defence]):
        return []
    if entry["use"] == "lira_joint":
        constraint = settings["constraints"][settings["defences"][defence]["constraint"]]
        return (
            ["adaptive"]
            if constraint.get("solver") in ("admm", "magnitude", "gradual_magnitude")
            else []
        )
    named = entry.get("attackers") or settings.get("attackers", ["adaptive", "dense_shadows"])
    twice = defence == "baseline" and "adaptive" in named
    return [name for name in named if not (twice and name == "dense_shadows")]


def run_folder(settings: dict, experiment: str, seed: int) -> str:
    return f"results/{settings['study']}/{experiment}/seed_{seed}/"


@pytest.mark.parametrize("name", [None, *STUDIES])
def test_every_study_plans_all_its_defences_attacks_and_tables_and_nothing_else(
    name, project, desk, settings_of
):
    settings = settings_of(name or "config.yaml")
    seed = settings["seeds"][0]  # others are planned alike
    plan = project.plan(desk, name and project.root / name, config=(f"seeds=[{seed}]",))
    runs = [run_folder(settings, experiment, seed) for experiment in settings["experiments"]]
    for run in runs:
        for defence, pair in settings["defences"].items():
            folder = f"{run}{pair['objective']}/{pair['constraint']}/"
            wanted = {
                f"{folder}attacks/{attack}.{attacker}.npz"
                for attack in settings["attacks"]
                for attacker in attackers_of(settings, attack, defence)
            }
            assert {path for path in plan.files if path.startswith(f"{folder}attacks/")} == wanted
            assert {f"{folder}evaluation.npz", f"{folder}release/measures.json"} <= plan.files
    tables = {
        f"results/{settings['study']}/{table}.csv"
        for table in ("results", "differences", "targets", "verdicts")
    }
    assert {*tables, f"results/{settings['study']}/report.html"} <= plan.files
    assert all(
        path.startswith(("results/data/", f"results/{settings['study']}/")) for path in plan.files
    )


def test_a_study_replaces_the_default_one_whole(project, desk, edit, settings_of):
    default, own = settings_of("config.yaml"), settings_of("studies/smoke.yaml")
    edit("config.yaml", lambda content: content + b"attackers: [adaptive]\n")
    files = project.plan(desk, project.smoke).files
    assert any("dense_shadows" in path for path in files)
    folders = {f"/{name}/" for name in set(default["constraints"]) - set(own["constraints"])}
    names = {f"/attacks/{name}." for name in set(default["attacks"]) - set(own["attacks"])}
    assert folders
    assert names
    assert not any(part in path for part in folders | names for path in files)


@pytest.mark.parametrize("name", ["config.yaml", "studies/smoke.yaml"])
def test_seeds_on_the_command_line_replace_those_of_the_study(name, project, desk, settings_of):
    study = None if name == "config.yaml" else project.root / name
    files, settings = project.plan(desk, study, config=("seeds=[3,5]",)).files, settings_of(name)
    (experiment,) = settings["experiments"]
    found = {path.split("/seed_")[1].split("/")[0] for path in files if "/seed_" in path}
    assert found == {"3", "5"}
    assert {f"{run_folder(settings, experiment, seed)}membership.npz" for seed in (3, 5)} <= files


def test_a_nested_number_on_the_command_line_is_a_number(project, desk):
    split = "experiments={lenet5_fashion: {training: {models_per_job: 1}}}"
    files = project.plan(desk, project.smoke, config=(split,)).files
    assert sum("/erm/trained/" in path and path.endswith(".safetensors") for path in files) == 6


def test_an_unknown_key_on_the_command_line_is_refused(project, desk):
    outcome = project.snakemake(
        desk, "-n", study=project.smoke, config=("bootstrap_replicate=100",)
    )
    assert outcome.code != 0
    assert "bootstrap_replicate: unknown key; did you mean 'bootstrap_replicates'?" in outcome.text
    assert "Traceback" not in outcome.text


def test_networks_that_are_pruned_untrained_wait_for_no_dense_ones(project, desk, variant):
    snip = {"use": "cardinality", "solver": "snip", "compression": 4, "retrain_epochs": 1}
    added = {
        "objectives.own": {"use": "erm"},
        "constraints.snip": snip,
        "defences.snip": {"objective": "own", "constraint": "snip"},
    }
    files = project.plan(desk, variant(added)).files
    assert any("/own/snip/retrained/" in file for file in files)
    assert not any(
        "/own/trained/" in file or file.endswith("/own/snip/distance.csv") for file in files
    )
    assert any(file.endswith("/erm/none/signals.npy") for file in files)
