"""A study of which a defence fails still gets a report, which says what is missing; once it is repaired nothing tells of it."""

import csv
import dataclasses
import html
import textwrap
from pathlib import Path

import pytest

SOLVER = '''
    """A pruning method that somebody is still working on."""

    from dataclasses import dataclass

    import numpy as np
    from mia_pruning.constraints.solving import Found, Solver, SparsitySet, prunable_weights
    from mia_pruning.registry import solver
    from mia_pruning.training.objective import Task


    @solver(reads_members=False)
    @dataclass(frozen=True)
    class Halves(Solver):
        """Project the trained weights once."""

        def start(self, task: Task, sparsity_set: SparsitySet, rng: np.random.Generator) -> Found:
            weights = {name: weight.detach() for name, weight in prunable_weights(task.model).items()}
            raise ValueError("half of <conv1> & more")
            return Found(sparsity_set.masks(weights))
    '''
MISTAKE = '        raise ValueError("half of <conv1> & more")\n'
REASON = "failed: ValueError: half of <conv1> & more"
STUDY = """
    study: partial
    seeds: [3]
    attackers: [adaptive]
    bootstrap_replicates: 100
    datasets:
      fashion: {use: fashion_mnist_t10k}
    experiments:
      tiny:
        dataset: fashion
        model: {use: lenet5, channels: [2, 4], hidden: 16}
        split: {protocol: pool, examples: 80, models: 4, test: 60}
        training: {epochs: 1, batch_size: 20, models_per_job: 4}
    objectives:
      erm: {use: erm}
    constraints:
      none: {use: none}
      halves: {use: cardinality, solver: strangers_solver.Halves, compression: 4}
      magnitude: {use: cardinality, solver: magnitude, compression: 4}
    defences:
      baseline: {objective: erm, constraint: none}
      mia_pruning: {objective: erm, constraint: halves}
      mia_pruning_5x: {objective: erm, constraint: magnitude}
    attacks:
      loss: {use: loss}
    """
MISSING = "mia_pruning on tiny, seed 3"
RESULTS = "results/partial"


@dataclasses.dataclass(frozen=True)
class Case:
    """What a run left: how it ended, what it said, its page, its tables, and these as bytes."""

    code: int
    said: str
    page: str
    tables: dict[str, list[dict[str, str]]]
    files: dict[str, bytes]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def tree(copied, tmp_path_factory):
    """A copy of the project, the study and a stranger's solver, which raises; and a function that runs it."""
    made = copied(tmp_path_factory.mktemp("partial") / "tree").with_library()
    (made.root / "studies" / "partial.yaml").write_text(textwrap.dedent(STUDY), encoding="utf-8")
    (made.root / "workflow" / "lib" / "strangers_solver.py").write_text(
        textwrap.dedent(SOLVER).lstrip(), encoding="utf-8"
    )

    def run() -> Case:
        command = [part.replace("smoke.yaml", "partial.yaml") for part in made.reproduction()]
        outcome, results = made.execute(command, made.root), made.root / RESULTS
        tables = {path.stem: rows(path) for path in results.glob("*.csv")}
        files = {path.name: path.read_bytes() for path in results.glob("*.csv")}
        return Case(
            outcome.code,
            outcome.text,
            (results / "report.html").read_text(encoding="utf-8"),
            tables,
            files,
        )

    return made, run


@pytest.fixture(scope="module")
def partial(tree) -> Case:
    return tree[1]()


@pytest.fixture(scope="module")
def repaired(tree, partial) -> Case:
    project, run = tree
    module = project.root / "workflow" / "lib" / "strangers_solver.py"
    module.write_text(module.read_text(encoding="utf-8").replace(MISTAKE, ""), encoding="utf-8")
    return run()


def test_the_run_fails_and_says_what_is_missing_and_why(partial):
    assert partial.code != 0
    assert "of 3 combinations of experiment, seed and defence 1 is missing" in partial.said
    (line,) = [line for line in partial.said.splitlines() if line.startswith(MISSING)]
    assert f"{MISSING}: prune_models partial tiny 3 erm halves targets_0 {REASON} (" in line
    never = "evaluate_defence, measure_distance, measure_release, query_models, retrain_models, run_attack"
    assert line.endswith(f"Never begun because of it: {never}.")
    assert "Report: " in partial.said


def test_the_page_says_so_at_its_top_with_what_strangers_wrote_escaped(partial):
    above, _, below = partial.page.partition('<section id="verdicts"')
    assert html.escape(REASON) in above
    assert "of 3 combinations of experiment, seed and defence 1 is missing" in above
    assert MISSING in above
    assert "<conv1>" not in partial.page
    assert "magnitude pruning 4x" in below


def test_tables_hold_the_other_defences(partial):
    assert {row["defence"] for row in partial.tables["results"]} == {"baseline", "mia_pruning_5x"}
    assert {row["defence"] for row in partial.tables["exposed"]} <= {"baseline", "mia_pruning_5x"}


def test_claims_on_the_missing_defence_are_not_tested_for_the_true_reason(partial):
    found = {(row["claim"], row["defence"]): row for row in partial.tables["verdicts"]}
    assert found["C1", "mia_pruning"]["verdict"] == "not tested"
    assert found["C1", "mia_pruning"]["reason"].startswith(
        "mia_pruning is missing from the results of tiny"
    )
    assert (
        found["C1", "mia_pruning_40x"]["reason"] == "the study has no defence named mia_pruning_40x"
    )
    assert found["C1", "mia_pruning_5x"]["verdict"] != "not tested"


def test_after_the_repair_nothing_tells_of_it(partial, repaired, tree):
    assert repaired.code == 0, repaired.said[-4000:]
    assert "missing" not in repaired.said
    assert 'id="missing"' not in repaired.page
    assert "not whole" not in repaired.page
    assert "because jobs failed" not in repaired.files["verdicts.csv"].decode()
    assert not (tree[0].root / RESULTS / "missing.json").exists()
    assert {row["defence"] for row in repaired.tables["results"]} == {
        "baseline",
        "mia_pruning",
        "mia_pruning_5x",
    }


def test_the_repaired_study_is_whole_and_its_tables_are_those_of_a_run_that_knows_of_no_failure(
    repaired, tree
):
    project, _ = tree
    study, results = project.root / "studies" / "partial.yaml", project.root / RESULTS
    assert not project.plan(project.root, study).pending
    for path in results.glob("*.csv"):
        path.unlink()
    project.make(project.root, f"{RESULTS}/verdicts.csv", study=study)
    assert {path.name: path.read_bytes() for path in results.glob("*.csv")} == repaired.files
