"""The badge, the limits and the command of planted studies."""

import pandas as pd
import pytest

from mia_pruning.reporting.page.study import command, described, limitations, reported, scale

PAPER = {"models": ["lenet5", "vgg16"], "datasets": {"mnist": 70_000, "cifar10": 60_000}}


def settings(
    *,
    use="mnist",
    model=None,
    examples=30_000,
    models=32,
    seeds=(0, 1),
    frontier=("baseline", "short"),
    private=(),
):
    split = {
        "protocol": "pool",
        "examples": examples,
        "models": models,
        "reference": 10_000,
        "test": 10_000,
    }
    experiment = {"dataset": "digits", "model": model or {"use": "lenet5"}, "split": split}
    return {
        "seeds": list(seeds),
        "frontier": list(frontier),
        "datasets": {"digits": {"use": use}},
        "experiments": {"lenet5_digits": experiment},
        "objectives": {"erm": {"use": "erm"}, **{name: {"use": "dp_sgd"} for name in private}},
        "constraints": {
            "none": {"use": "none"},
            "sparse": {"use": "cardinality", "solver": "admm"},
        },
        "defences": {
            "baseline": {"objective": "erm", "constraint": "none"},
            "pruned": {"objective": "erm", "constraint": "sparse"},
            **{name: {"objective": name, "constraint": "none"} for name in private},
        },
    }


def test_a_study_of_the_papers_model_data_and_nearly_all_examples_is_at_its_scale():
    usual = {"use": "lenet5", "channels": [20, 50], "hidden": 500, "width": 1.0}
    assert scale(settings(examples=50_000), PAPER)[0] == "paper scale"
    assert scale(settings(examples=50_000, model=usual), PAPER)[0] == "paper scale"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "50,000 of 70,000 examples of mnist are used"),
        (
            {"examples": 50_000, "use": "fashion_mnist"},
            "70,000 images of digits (50,000 attacked, 10,000 test, 10,000 reference); "
            "the paper is not known to have used digits",
        ),
        (
            {"examples": 50_000, "model": {"use": "resnet18"}},
            "resnet18 is not among the paper's models",
        ),
        (
            {"examples": 50_000, "model": {"use": "lenet5", "hidden": 16}},
            "lenet5 has hidden 16, where 500 is usual",
        ),
        (
            {"examples": 50_000, "model": {"use": "vgg16", "width": 0.25}},
            "vgg16 has width 0.25, where 1.0 is usual",
        ),
    ],
)
def test_a_smaller_study_says_what_is_smaller(changes, reason):
    assert scale(settings(**changes), PAPER) == ("reduced size", reason)


def test_what_failed_is_no_part_of_what_is_told():
    whole = {**settings(frontier=("baseline", "short")), "attacks": {"net": {}, "loss": {}}}
    columns = ["experiment", "defence", "attack", "seeds"]
    results = pd.DataFrame(
        [("lenet5_digits", "baseline", "", "1"), ("lenet5_digits", "baseline", "net", "1")],
        columns=columns,
    )
    unmatched = pd.DataFrame([("pruned", "baseline")], columns=["defence", "minus"])
    told = reported(
        {**whole, "experiments": {**whole["experiments"], "other": {}}}, results, unmatched
    )
    assert [list(told[kind]) for kind in ("experiments", "defences", "attacks")] == [
        ["lenet5_digits"],
        ["baseline"],
        ["net"],
    ]
    assert (told["frontier"], told["seeds"]) == ([], [1])
    every = [
        ("lenet5_digits", name, attack, "0 1")
        for name in whole["defences"]
        for attack in ("", *whole["attacks"])
    ]
    matched = pd.DataFrame([("pruned", "matched_accuracy")], columns=["defence", "minus"])
    assert reported(whole, pd.DataFrame(every, columns=columns), matched) == whole


def test_a_defence_is_described_as_it_is_configured():
    said = described(settings(), "pruned")
    assert said == "objective erm: use: erm; constraint sparse: use: cardinality, solver: admm"
    filled = settings()
    filled["constraints"]["none"] |= {"solver": "magnitude", "retrain_epochs": 0}
    filled["objectives"]["erm"] |= {"model": {}, "training": {"epochs": 5}}
    assert (
        described(filled, "baseline")
        == "objective erm: use: erm, training: {epochs: 5}; constraint none: use: none"
    )


def tables(*, n_failed=0, rates=("tpr_at_1_percent_fpr",), strongest=True, removed=0.001):
    rows = [
        ("train_accuracy", 0.95, "", ""),
        ("test_accuracy", 0.85, "", ""),
        *((name, 0.02, "net", "adaptive") for name in rates),
    ]
    rows += [("attack_accuracy", 0.6, "strongest", "any")] if strongest else []
    results = pd.DataFrame(rows, columns=["metric", "value", "attack", "attacker"])
    return {
        "results": results.assign(experiment="lenet5_digits", defence="baseline"),
        "failures": pd.DataFrame({"attack": ["net"] * n_failed}),
        "projection": pd.DataFrame(
            {"defence": ["pruned", "other"], "removed_norm": [removed, 5.0], "weight_norm": 10.0}
        ).assign(experiment="lenet5_digits", layer="all"),
    }


def said(*, planted=None, **changes):
    return " ".join(limitations(settings(**changes), planted or tables(), PAPER))


def test_the_gap_of_the_baseline_and_the_lowest_resolved_rate_are_said():
    text = said()
    assert (
        "the baseline's accuracy is 0.950 on members and 0.850 on unseen examples, a gap of +10.0 points"
        in text
    )
    assert "the non-members are too few for false-positive rates of 10, 0.1, 0.01 %" in text
    assert "Of the paper's models, vgg16 is not named in this study." in text
    assert "Of the paper's data sets, cifar10 is not named in this study." in text


@pytest.mark.parametrize(
    ("words", "planted", "changes"),
    [
        ("One seed (7)", None, {"seeds": (7,)}),
        ("has 8 targets", None, {"models": 8}),
        ("nothing is compared at matched accuracy", None, {"frontier": ()}),
        ("2 attacks failed", tables(n_failed=2), {}),
        ("false-positive rates of 10, 1, 0.1, 0.01 %", tables(rates=()), {}),
        ("No strongest attack could be chosen", tables(strongest=False), {}),
        (
            "still removed 20 % (pruned, lenet5 digits) of the weights' norm",
            tables(removed=2.0),
            {},
        ),
        ("DP-SGD was tried at one setting", None, {"private": ("dp_8",)}),
    ],
)
def test_a_limit_is_said_where_it_is_one_and_only_there(words, planted, changes):
    assert words in said(planted=planted, **changes)
    assert words not in said()


def test_the_command_names_the_file_of_the_study(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "config.yaml").write_text("study: usual\n", encoding="utf-8")
    (tmp_path / "studies" / "broken.yaml").write_text("study: [\n", encoding="utf-8")
    (tmp_path / "studies" / "other.yaml").write_text(
        "# mine\nstudy: special # of May\n", encoding="utf-8"
    )
    assert command("usual", tmp_path) == "make reproduce"
    assert command("special", tmp_path) == "make reproduce STUDY=studies/other.yaml"
    assert (
        command("stranger", tmp_path)
        == "make reproduce STUDY=<the file that holds the configuration below>"
    )
