"""A study of one's own: the disjoint protocol, one-shot pruning, an attacker without data, a stranger's two attacks in a file
outside the project.
"""

import csv
import dataclasses
import textwrap
from pathlib import Path

import numpy as np
import pytest

from mia_pruning import storage
from mia_pruning.data.split import Split
from mia_pruning.stages.networks import read_models
from mia_pruning.stages.packed import read_packed, read_split

ATTACK = '''
    """Members get a large margin between the label and the best other class."""

    from typing import Annotated

    import numpy as np
    from mia_pruning.registry import attack
    from mia_pruning.types import Signals


    @attack
    def margin(targets: Signals, shadows: Signals, rng: np.random.Generator, *, offset: Annotated[float, ">= 0"] = 0.0):
        """The margin less the shadows' mean margin, less `offset`."""
        logits, labels, _ = shadows.known_rows()
        return _margin(targets.logits, targets.labels) - _margin(logits, labels).mean() - offset


    def _margin(logits, labels):
        at_label = np.arange(logits.shape[-1]) == labels[..., np.newaxis]
        return np.where(at_label, logits, -np.inf).max(axis=-1) - np.where(at_label, -np.inf, logits).max(axis=-1)


    @attack
    def broken(targets: Signals, shadows: Signals, rng: np.random.Generator):
        raise KeyError("a stranger's mistake")
    '''
STUDY = """
    study: stranger
    seeds: [7]
    attackers: [adaptive]
    bootstrap_replicates: 100
    datasets:
      fashion: {use: fashion_mnist_t10k}
    experiments:
      apart:
        dataset: fashion
        model: {use: lenet5, channels: [4, 8], hidden: 32}
        split: {protocol: disjoint, examples: 200, models: 2, shadow_examples: 160, shadow_models: 2, reference: 120, test: 100}
        training: {epochs: 2, batch_size: 50}
    objectives:
      erm: {use: erm}
    constraints:
      none: {use: none}
      quarter: {use: cardinality, solver: magnitude, compression: 4}
    defences:
      baseline: {objective: erm, constraint: none}
      magnitude: {objective: erm, constraint: quarter}
    generator: {models: 2, epochs: 60}
    attacks:
      margin: {use: strangers_attack.margin, offset: 0.5, attackers: [adaptive, generated_shadows]}
      broken: {use: strangers_attack.broken}
    """
TARGET = "results/stranger/report.html"


@dataclasses.dataclass(frozen=True)
class Stranger:
    project: object
    folder: Path

    @property
    def run(self) -> Path:
        return self.folder / "results/stranger/apart/seed_7"

    @property
    def generated(self) -> Path:
        """Of the shadow models of the attacker without data."""
        return self.folder / "results/stranger/apart.generated/seed_7"

    @property
    def study(self) -> Path:
        return self.folder / "study.yaml"


@pytest.fixture(scope="module")
def stranger(project, tmp_path_factory) -> Stranger:
    """The finished study; the attack's module lies in its folder, which is on Python's path."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "strangers_attack.py").write_text(textwrap.dedent(ATTACK).lstrip(), encoding="utf-8")
    made = Stranger(dataclasses.replace(project, python_path=str(folder)), folder)
    made.study.write_text(textwrap.dedent(STUDY), encoding="utf-8")
    made.project.make(folder, TARGET, study=made.study)
    return made


def results(stranger: Stranger) -> list[dict[str, str]]:
    with (stranger.folder / "results/stranger/results.csv").open(
        encoding="utf-8", newline=""
    ) as file:
        return list(csv.DictReader(file))


def test_shadows_share_no_example_with_the_targets(stranger):
    split: Split = read_split(stranger.run / "membership.npz")
    assert split.is_target.tolist() == [True, True, False, False]
    targets, shadows = split.candidates[:2].any(axis=0), split.candidates[2:].any(axis=0)
    assert (targets.sum(), shadows.sum(), (targets & shadows).sum()) == (200, 160, 0)
    assert split.membership.sum(axis=1).tolist() == [100, 100, 80, 80]


@pytest.mark.parametrize("stage", ["trained", "quarter/retrained"])
def test_targets_and_shadows_are_made_by_jobs_of_their_own(stage, stranger):
    folder = stranger.run / "erm" / stage
    assert set(read_models(str(folder / "targets_0.safetensors"))) == {0, 1}
    assert set(read_models(str(folder / "shadows_0.safetensors"))) == {2, 3}


def test_one_shot_pruning_keeps_the_largest_weights_of_each_layer(stranger):
    dense = read_models(
        *(
            str(stranger.run / f"erm/trained/{role}_0.safetensors")
            for role in ("targets", "shadows")
        )
    )
    pruned = read_models(
        *(
            str(stranger.run / f"erm/quarter/pruned/{role}_0.safetensors")
            for role in ("targets", "shadows")
        )
    )
    for row, model in pruned.items():
        for name, mask in storage.select(model, "masks").items():
            before, after = dense[row][f"weights/{name}"], model[f"weights/{name}"]
            assert after[mask].equal(before[mask])
            assert not after[~mask].any()
            assert before[mask].abs().min() >= before[~mask].abs().max()


@pytest.mark.parametrize(
    ("defence", "constraint"), [("baseline", "none"), ("magnitude", "quarter")]
)
def test_a_strangers_attack_has_its_row_and_its_scores_with_its_option(
    defence, constraint, stranger
):
    found = [
        row
        for row in results(stranger)
        if (row["defence"], row["attack"], row["metric"]) == (defence, "margin", "auc")
    ]
    assert {row["seeds"] for row in found} == {"7"}
    assert {row["n_targets"] for row in found} == {"2"}
    assert "adaptive" in {row["attacker"] for row in found}
    folder = stranger.run / "erm" / constraint
    split, labels = (
        read_split(stranger.run / "membership.npz"),
        read_packed(stranger.folder / "results/data/fashion/dataset.json").labels,
    )
    logits = storage.read_array(folder / "signals.npy")[:, : split.pool.size].astype(np.float64)
    at_label = np.eye(10, dtype=bool)[labels[split.pool]]
    margins = logits[:, at_label] - np.where(at_label, -np.inf, logits).max(axis=-1)
    expected = margins[:2] - margins[2:][split.candidates[2:]].mean() - 0.5
    scores = storage.read_arrays(folder / "attacks/margin.adaptive.npz")["scores"]
    np.testing.assert_allclose(scores, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("constraint", ["none", "quarter"])
def test_generated_shadows_see_the_targets_through_models_of_generated_examples(
    constraint, stranger
):
    split, own = (
        read_split(folder / "membership.npz") for folder in (stranger.run, stranger.generated)
    )
    drawn = read_packed(stranger.generated / "examples/dataset.json")
    logits, of_shadows = (
        storage.read_array(folder / "erm" / constraint / "signals.npy")[:, : of.pool.size].astype(
            np.float64
        )
        for folder, of in ((stranger.run, split), (stranger.generated, own))
    )
    known = margins(of_shadows, drawn.labels[own.pool])
    asked = margins(
        logits,
        read_packed(stranger.folder / "results/data/fashion/dataset.json").labels[split.pool],
    )
    file = stranger.run / "erm" / constraint / "attacks/margin.generated_shadows.npz"
    expected = asked[:2] - known.mean() - 0.5
    np.testing.assert_allclose(storage.read_arrays(file)["scores"], expected, rtol=1e-4, atol=1e-4)
    assert own.membership.sum(axis=1).tolist() == [100, 100]


def margins(logits, labels):
    at_label = np.eye(10, dtype=bool)[labels]
    return logits[:, at_label] - np.where(at_label, -np.inf, logits).max(axis=-1)


def test_the_models_of_generated_examples_share_no_initial_weights_with_the_targets(stranger):
    file = "erm/trained/targets_0.safetensors"
    targets, shadows = (
        read_models(str(folder / file))[0] for folder in (stranger.run, stranger.generated)
    )
    correlations = [
        np.corrcoef(targets[name].flatten(), shadows[name].flatten())[0, 1]
        for name in targets
        if name.startswith("weights/") and targets[name].numel() > 1000
    ]
    assert correlations
    assert np.abs(correlations).max() < 0.3


def test_generated_shadows_have_rows_of_their_own_and_their_experiment_none(stranger):
    rows = results(stranger)
    assert {row["experiment"] for row in rows} == {"apart"}
    found = {(row["defence"], row["attacker"]) for row in rows if row["attack"] == "margin"}
    assert found == {
        (defence, who)
        for defence in ("baseline", "magnitude")
        for who in ("adaptive", "generated_shadows")
    }
    assert not [
        path
        for path in stranger.generated.rglob("*")
        if path.name in ("evaluation.npz", "attacks", "release")
    ]
    report = (stranger.folder / "results/stranger/report.html").read_text(encoding="utf-8")
    assert (
        "2 shadow models of generated examples, and of the data only the 120 reference examples"
        in report
    )
    assert "apart.generated/seed_7/generate_examples" in report  # what it cost is counted
    assert ">apart.generated<" not in report


def test_an_attack_that_fails_stops_nothing_and_is_named_in_the_report(stranger):
    folder = stranger.folder / "results/stranger"
    assert "broken" not in {row["attack"] for row in results(stranger)}
    with (folder / "failures.csv").open(encoding="utf-8", newline="") as file:
        failures = list(csv.DictReader(file))
    assert {(row["defence"], row["attack"]) for row in failures} == {
        ("baseline", "broken"),
        ("magnitude", "broken"),
    }
    assert all("a stranger's mistake" in row["failure"] for row in failures)
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "2 attacks failed and are missing from every table" in report
    assert "a stranger&#39;s mistake" in report
    log = (stranger.run / "erm/none/logs/run_attack_broken.adaptive.log").read_text(
        encoding="utf-8"
    )
    assert "strangers_attack.py" in log


def test_a_changed_line_of_a_strangers_attack_reruns_it_and_a_comment_does_not(stranger):
    module = stranger.folder / "strangers_attack.py"
    text = module.read_text(encoding="utf-8")
    module.write_text(text + "\n# A comment.\n", encoding="utf-8")
    untouched = stranger.project.snakemake(stranger.folder, TARGET, "-n", study=stranger.study).text
    module.write_text(text.replace("- offset", "- 2 * offset"), encoding="utf-8")
    altered = stranger.project.plan(stranger.folder, stranger.study)
    module.write_text(text, encoding="utf-8")
    assert "Nothing to be done" in untouched
    assert {
        f"results/stranger/apart/seed_7/erm/{name}/attacks/margin.adaptive.npz"
        for name in ("none", "quarter")
    } <= altered.pending
    assert not altered.rules & {"train_targets", "train_shadows", "prune_models", "query_models"}
