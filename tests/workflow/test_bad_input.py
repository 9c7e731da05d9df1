"""What a study's author can get wrong: refused before the first job, with the key, the value and what is allowed."""

import dataclasses
import datetime
import math
import shutil
import textwrap
from pathlib import Path

import pytest
import yaml

from mia_pruning.data.fashion_mnist import CARRIED, SHA256
from mia_pruning.study.completion import complete
from mia_pruning.study.loading import load_study
from mia_pruning.types import StudyError

IMAGES, LABELS = SHA256
EXPERIMENT = "experiments.lenet5_fashion"
SPLIT, TRAINING, MODEL = f"{EXPERIMENT}.split", f"{EXPERIMENT}.training", f"{EXPERIMENT}.model"
DISJOINT = {
    "protocol": "disjoint",
    "examples": 200,
    "models": 2,
    "shadow_examples": 200,
    "shadow_models": 2,
    "test": 100,
}

UNKNOWN_KEYS = {  # the key -> the nearest known one
    "seed": "seeds",
    f"{EXPERIMENT}.trainig": "training",
    f"{SPLIT}.exmples": "examples",
    f"{TRAINING}.epoch": "epochs",
    f"{MODEL}.chanels": "channels",
    "datasets.fashion_mnist.foldr": "folder",
    "constraints.admm.compresion": "compression",
    "constraints.admm.retrain_epoch": "retrain_epochs",
    "defences.mia_pruning.constrant": "constraint",
    "attacks.shadow_network.epoch": "epochs",
    "attacks.correctness.target_per_group": "targets_per_group",
}
UNKNOWN_NAMES = {  # the key -> the wrong value and the nearest known one
    "datasets.fashion_mnist.use": ("fashion_mnist_t10", "fashion_mnist_t10k"),
    f"{MODEL}.use": ("lenet", "lenet5"),
    "objectives.erm.use": ("emr", "erm"),
    "constraints.admm.use": ("cardinalty", "cardinality"),
    "constraints.admm.solver": ("adm", "admm"),
    "attacks.correctness.use": ("corectness", "correctness"),
    f"{EXPERIMENT}.dataset": ("fashion_mnis", "fashion_mnist"),
    "defences.mia_pruning.objective": ("er", "erm"),
    "defences.mia_pruning.constraint": ("adm", "admm"),
}
WRONG_VALUES = [  # key, value, words of the message
    ("study", 5, ["string"]),
    ("seeds", 3, ["array"]),
    ("seeds", [], ["non-empty"]),
    ("seeds", [-1], [">= 0"]),
    ("seeds", [True], ["integer"]),
    ("seeds", [0, 0], ["unique"]),
    ("attackers", ["adaptiv"], ["adaptive, dense_shadows"]),
    ("bootstrap_replicates", 10, [">= 100"]),
    (f"{TRAINING}.models_per_job", "many", ["a whole number >= 1, or auto"]),
    (f"{TRAINING}.models_per_job", 0, ["a whole number >= 1, or auto"]),
    (f"{TRAINING}.minutes_per_job", 0, ["> 0"]),
    ("experiments", [], ["object"]),
    ("attacks", {}, ["non-empty"]),
    ("attacks.correctness", None, ["object"]),
    ("attacks.correctness.use", 5, ["string"]),
    ("attacks.shadow_network.epochs", 0, ["int >= 1"]),
    ("attacks.shadow_network.epochs", "3", ["int >= 1"]),
    ("attacks.modified_entropy.per_class", "yes", ["bool"]),
    ("attacks.correctness.targets_per_group", 0, [">= 2"]),
    ("attacks.correctness.targets_per_group", 3, ["even"]),
    ("attacks.correctness.targets_per_group", 6, ["6 models", "less"]),
    ("constraints.admm.compression", 0.5, [">= 1"]),
    ("constraints.admm.compression", "10", ["float"]),
    ("constraints.admm.rho", 0.1, ["Sequence[float] > 0"]),
    ("constraints.admm.rho", [0.1, 0], ["> 0"]),
    ("constraints.admm.epochs", 1.5, ["int >= 1"]),
    ("constraints.admm.retrain_epochs", -1, [">= 0"]),
    (f"{TRAINING}.learning_rate", 0, ["> 0"]),
    (f"{TRAINING}.learning_rate", "fast", ["number"]),
    (f"{TRAINING}.optimizer", "adem", ["adam, adamw, sgd"]),
    (f"{TRAINING}.precision", "float16", ["float32, bfloat16"]),
    (f"{SPLIT}.protocol", "shared", ["pool, disjoint"]),
    (f"{SPLIT}.models", 5, ["even"]),
    (f"{SPLIT}.models", 2, ["at least 4"]),
    (f"{SPLIT}.examples", 401, ["even"]),
]
IMPOSSIBLE_SPLITS = [
    (
        {"protocol": "pool", "examples": 9700, "models": 4, "reference": 100, "test": 400},
        ["10200", "10000"],
    ),
    ({**DISJOINT, "shadow_examples": 9800}, ["shadow_examples 9800", "10100", "10000"]),
    ({**DISJOINT, "shadow_examples": 201}, ["shadow_examples = 201", "even"]),
    ({**DISJOINT, "shadow_models": 3}, ["shadow_models = 3", "even"]),
    ({**DISJOINT, "shadow_models": 0}, ["shadow_models = 0", ">= 2"]),
]
MISSING = [
    "study",
    "defences.baseline",
    "defences.mia_pruning.constraint",
    TRAINING,
    f"{SPLIT}.test",
    "attacks.correctness.use",
]
ELSEWHERE = ["../x", "..", "/tmp/x", "a/b", "a b", "", "1", "x\n", "Résumé"]
NAMED = ["study", "datasets", "experiments", "objectives", "constraints", "defences", "attacks"]


def problems(settings) -> list[str]:
    """The problems that a refusal lists, one a line."""
    with pytest.raises(StudyError) as caught:
        complete(settings)
    lines = str(caught.value).splitlines()[1:]
    assert all(line.startswith("  - ") for line in lines), lines
    assert len(set(lines)) == len(lines), f"said twice: {lines}"
    return lines


@pytest.mark.parametrize("key", UNKNOWN_KEYS)
def test_unknown_key_is_refused_and_the_nearest_offered(key, smoke_settings, changed):
    (problem,) = problems(changed(smoke_settings, {key: 1}))
    assert f"{key}: unknown key; did you mean {UNKNOWN_KEYS[key]!r}?" in problem


@pytest.mark.parametrize("key", UNKNOWN_NAMES)
def test_unknown_name_is_refused_and_the_nearest_offered(key, smoke_settings, changed):
    value, nearest = UNKNOWN_NAMES[key]
    (problem,) = problems(changed(smoke_settings, {key: value}))
    assert f"{key} = {value!r}" in problem
    assert f"did you mean {nearest!r}?" in problem


@pytest.mark.parametrize(("key", "value", "words"), WRONG_VALUES, ids=lambda item: str(item))
def test_wrong_value_is_refused_with_what_is_allowed(key, value, words, smoke_settings, changed):
    first, *_ = problems(changed(smoke_settings, {key: value}))
    assert key in first
    assert all(word in first for word in words), first


@pytest.mark.parametrize(("split", "words"), IMPOSSIBLE_SPLITS, ids=lambda item: str(item))
def test_impossible_split_is_refused(split, words, smoke_settings, changed):
    first, *_ = problems(changed(smoke_settings, {SPLIT: split}))
    assert SPLIT in first
    assert all(word in first for word in words), first


@pytest.mark.parametrize("key", MISSING)
def test_missing_key_is_named(key, smoke_settings, changed):
    assert problems(changed(smoke_settings, {key: ...})) == [f"  - {key}: missing"]


def test_each_missing_key_is_named():
    said = problems({"study": "only_a_name"})
    assert {line.split()[1] for line in said} == {f"{section}:" for section in NAMED[1:]}


def test_unknown_keys_are_all_named(smoke_settings, changed):
    said = problems(changed(smoke_settings, {"seed": [1], "attacker": ["adaptive"]}))
    assert all(any(f"{key}: unknown key" in line for line in said) for key in ("seed", "attacker"))


@pytest.mark.parametrize("name", ELSEWHERE)
@pytest.mark.parametrize("section", NAMED)
def test_name_that_is_no_plain_folder_name_is_refused(section, name, smoke_settings, changed):
    inside = {} if section == "study" else next(iter(smoke_settings[section].values()))
    where = "study" if section == "study" else (section, name)
    said = problems(changed(smoke_settings, {where: inside or name}))
    assert section in said[0]
    assert repr(name) in said[0]


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("key", ["learning_rate", "weight_decay", "momentum"])
def test_number_that_is_not_finite_is_refused(key, value, smoke_settings, changed):
    assert problems(changed(smoke_settings, {f"{TRAINING}.{key}": value}))


@pytest.mark.parametrize(
    "key", ["seeds", f"{SPLIT}.models", f"{TRAINING}.epochs", f"{TRAINING}.models_per_job"]
)
def test_whole_number_written_as_a_float_becomes_an_integer_or_is_refused(
    key, smoke_settings, changed
):
    try:
        found = complete(changed(smoke_settings, {key: [4.0] if key == "seeds" else 4.0}))
    except StudyError:
        return
    for name in key.split("."):
        found = found[name]
    assert all(isinstance(number, int) for number in (found if key == "seeds" else [found]))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("constraints.admm.rho", []),
        ("datasets.fashion_mnist.folder", 5),
        ("study", datetime.date(2024, 1, 1)),
        ("attacks.correctness.use", "math.sqrt"),
        ("attacks.correctness.use", "itertools.chain"),
        ("attacks.correctness.use", "nowhere.at_all"),
        ("attacks.correctness.use", "numpy.linalg.norm"),
        ("attacks.correctness.use", "nowhere..at_all"),
    ],
    ids=lambda item: str(item),
)
def test_value_that_no_job_could_use_is_refused_in_a_sentence(key, value, smoke_settings, changed):
    first, *_ = problems(changed(smoke_settings, {key: value}))
    assert key in first


@pytest.mark.parametrize(
    "definition",
    [
        "def mine(targets, shadows, rng, *, power=2): ...",
        "def mine(targets, shadows, rng, *, power: float = np.inf): ...",
        "def (",
    ],
    ids=["option without a type", "default that is computed", "syntax error"],
)
def test_own_plug_in_that_cannot_be_read_is_refused_in_a_sentence(
    definition, smoke_settings, changed, tmp_path, monkeypatch
):
    text = (
        f"import numpy as np\nfrom mia_pruning.registry import attack\n\n\n@attack\n{definition}\n"
    )
    (tmp_path / "unreadable_attack.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    (problem,) = problems(
        changed(smoke_settings, {"attacks.correctness.use": "unreadable_attack.mine"})
    )
    assert "attacks.correctness.use" in problem
    assert "unreadable_attack" in problem


def test_two_defences_that_are_the_same_pair_are_refused(smoke_settings, changed):
    (problem,) = problems(
        changed(smoke_settings, {"defences.again": smoke_settings["defences"]["mia_pruning"]})
    )
    assert "defences.again" in problem
    assert "defences.mia_pruning" in problem


def test_baseline_that_is_pruned_is_refused(smoke_settings, changed):
    problem, *_ = problems(changed(smoke_settings, {"defences.baseline.constraint": "admm"}))
    assert "defences.baseline" in problem


@pytest.mark.parametrize(
    "harm", ["images missing", "labels missing", "truncated", "altered", "empty"]
)
def test_damaged_data_file_is_named(harm, smoke_settings, changed, tmp_path):
    for name in SHA256:
        shutil.copyfile(CARRIED / name, tmp_path / name)
    name = LABELS if harm == "labels missing" else IMAGES
    content = (tmp_path / name).read_bytes()
    if "missing" in harm:
        (tmp_path / name).unlink()
    else:
        harmed = {
            "truncated": content[:-1],
            "altered": bytes([content[0] ^ 1]) + content[1:],
            "empty": b"",
        }[harm]
        (tmp_path / name).write_bytes(harmed)
    (problem,) = problems(changed(smoke_settings, {"datasets.fashion_mnist.folder": str(tmp_path)}))
    assert "datasets.fashion_mnist" in problem
    assert str(tmp_path / name) in problem
    assert ("missing" if "missing" in harm else SHA256[name]) in problem


def test_networks_that_cannot_work_are_all_refused_and_not_remembered(
    smoke_settings, changed, tmp_path, monkeypatch
):
    plug_ins = """
        from torch import nn
        from mia_pruning.registry import dataset, model
        from mia_pruning.types import DatasetSource


        @dataset
        def small_images() -> DatasetSource:
            return DatasetSource("small", {}, 10_000, (8, 8, 1), ("a", "b"), "none", "nobody", load=None)


        @model
        def seven_answers(image_shape, n_classes):
            return nn.Sequential(nn.Flatten(), nn.Linear(784, 7))
        """
    (tmp_path / "misfits.py").write_text(textwrap.dedent(plug_ins), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    cardinality = {"use": "cardinality"}
    too_high, no_such_layer = (
        {**cardinality, "compression": 1e5},
        {**cardinality, "keep": {"fc9": 0.5}},
    )
    both, neither = {**cardinality, "compression": 5, "keep": {"fc1": 0.5}}, cardinality
    constraints = {
        "too_high": too_high,
        "no_such_layer": no_such_layer,
        "both": both,
        "neither": neither,
    }
    experiment = smoke_settings["experiments"]["lenet5_fashion"]
    changes = {
        "datasets.small": {"use": "misfits.small_images"},
        "experiments.small": {**experiment, "dataset": "small"},
        "experiments.seven": {**experiment, "model": {"use": "misfits.seven_answers"}},
        **{f"constraints.{name}": entry for name, entry in constraints.items()},
        **{f"defences.{name}": {"objective": "erm", "constraint": name} for name in constraints},
    }
    with pytest.raises(StudyError) as caught:
        load_study(
            changed(smoke_settings, changes),
            default=Path("unused.yaml"),
            files=[],
            results=tmp_path,
        )
    said = str(caught.value).splitlines()[1:]
    for words in (
        ["experiments.small.model", "8 x 8 x 1"],
        ["experiments.seven.model", "(1, 7)", "(1, 10)"],
        ["constraints.too_high.compression = 100000.0", "conv1.weight", "empty"],
        ["constraints.no_such_layer.keep.fc9", "conv1, conv2, fc1, fc2"],
        ["constraints.both", "compression", "keep"],
        ["constraints.neither", "compression", "keep"],
    ):
        assert any(all(word in line for word in words) for line in said), (words, said)
    assert not list(tmp_path.glob("approved/*"))


def test_command_line_refuses_a_typo_in_a_few_lines_and_leaves_nothing(project, variant, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    outcome = project.snakemake(folder, "--cores", "1", study=variant({f"{TRAINING}.epohcs": 3}))
    assert outcome.code != 0
    assert (
        f"{TRAINING}.epohcs: unknown key; did you mean 'epochs'? Allowed: augmentation, batch_size, epochs"
        in outcome.text
    )
    assert "Traceback" not in outcome.text
    assert len(outcome.text.splitlines()) < 15
    assert not (folder / "results").exists()


@pytest.mark.parametrize(
    "content", ["", "- a\n- b\n", "only words\n", "study: [unclosed\nseeds: 3\n"]
)
def test_command_line_refuses_a_file_that_is_no_mapping(content, project, tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(content, encoding="utf-8")
    outcome = project.snakemake(tmp_path, "-n", study=study)
    assert outcome.code != 0
    assert "YAML" in outcome.text
    assert "Traceback" not in outcome.text
    assert not (tmp_path / "results").exists()


def test_command_line_names_a_study_file_that_is_not_there(project, tmp_path):
    outcome = project.snakemake(tmp_path, "-n", study=tmp_path / "absent.yaml")
    assert outcome.code != 0
    assert "absent.yaml" in outcome.text
    assert not (tmp_path / "results").exists()


def test_command_line_refuses_a_name_that_stands_twice(project, smoke_settings, changed, tmp_path):
    text = yaml.safe_dump(changed(smoke_settings, {"defences": ...})) + textwrap.dedent("""
        defences:
          baseline: {objective: erm, constraint: none}
          pruned: {objective: erm, constraint: admm}
          pruned: {objective: erm, constraint: none}
        """)
    study = tmp_path / "twice.yaml"
    study.write_text(text, encoding="utf-8")
    outcome = project.snakemake(tmp_path, "-n", study=study)
    assert outcome.code != 0
    assert "'pruned' stands twice" in outcome.text
    assert str(study) in outcome.text
    assert "Traceback" not in outcome.text


def test_a_failing_network_check_ends_in_a_sentence(project, variant, tmp_path):
    text = "from mia_pruning.registry import model\n\n\n@model\ndef broken(image_shape, n_classes):\n    raise KeyError('no')\n"
    (tmp_path / "broken_model.py").write_text(text, encoding="utf-8")
    own = dataclasses.replace(project, python_path=str(tmp_path))
    outcome = own.snakemake(tmp_path, "-n", study=variant({MODEL: {"use": "broken_model.broken"}}))
    assert outcome.code != 0
    assert f"{MODEL}" in outcome.text
    assert "Traceback" not in outcome.text


def test_command_line_refuses_a_claim_that_cannot_be_judged(project, edit, tmp_path):
    edit(
        "report/claims.yaml",
        lambda text: text.replace(b"metric: compression, at_least: 10", b"metric: compresion"),
    )
    outcome = project.snakemake(tmp_path, "-n", study=project.smoke)
    assert outcome.code != 0
    assert (
        "claim C4, condition 1 = {'metric': 'compresion'}: allowed is a metric and exactly one of"
        in outcome.text
    )
    assert "Traceback" not in outcome.text


def test_command_line_refuses_a_faulty_figure_of_the_project_by_its_name(project, edit, tmp_path):
    edit(
        "workflow/lib/mia_pruning/reporting/figures/exposure.py",
        lambda text: text.replace(b"(tables: Tables, ", b"("),
    )
    outcome = project.snakemake(tmp_path, "-n", study=project.smoke)
    assert outcome.code != 0
    assert "figure exposure: " in outcome.text
    assert "those of this figure must be (tables, headline)" in outcome.text
    assert "Traceback" not in outcome.text
