"""The badge, the limits and the command of planted studies."""

import pandas as pd
import pytest

from mia_pruning.reporting.page.study import command, limitations, scale

PAPER = {"models": ["lenet5", "vgg16"], "datasets": ["mnist", "cifar10"]}


def settings(*, use="mnist", model=None, examples=30_000, models=32, seeds=(0, 1), frontier=("baseline", "short")):
    split = {"protocol": "pool", "examples": examples, "models": models, "reference": 10_000, "test": 10_000}
    experiment = {"dataset": "digits", "model": model or {"use": "lenet5"}, "split": split}
    return {
        "seeds": list(seeds),
        "frontier": list(frontier),
        "datasets": {"digits": {"use": use}},
        "experiments": {"lenet5_digits": experiment},
    }


def test_a_study_of_the_papers_model_data_and_nearly_all_examples_is_at_its_scale():
    assert scale(settings(examples=50_000), PAPER, {"digits": 70_000})[0] == "paper scale"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, "50,000 of 70,000 examples of digits are used"),
        ({"examples": 50_000, "use": "fashion_mnist"}, "fashion mnist is not among the paper's data sets"),
        ({"examples": 50_000, "model": {"use": "mlp"}}, "mlp is not among the paper's models"),
        ({"examples": 50_000, "model": {"use": "vgg16", "width": 0.25}}, "vgg16 has 0.25 of its width"),
    ],
)
def test_a_smaller_study_says_what_is_smaller(changes, reason):
    assert scale(settings(**changes), PAPER, {"digits": 70_000}) == ("reduced size", reason)


def tables(*, n_failed=0, rates=("tpr_at_1_percent_fpr",), strongest=True):
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
    }


def said(*, planted=None, **changes):
    return " ".join(limitations(settings(**changes), planted or tables(), PAPER))


def test_the_gap_of_the_baseline_and_the_lowest_resolved_rate_are_said():
    text = said()
    assert "the baseline classifies members +10.0 points better than unseen examples (0.950 against 0.850)" in text
    assert "the non-members resolve no false-positive rate below 1 %" in text
    assert "Of the paper's models, vgg16 is not in this study." in text
    assert "Of the paper's data sets, cifar10 is not in this study." in text


@pytest.mark.parametrize(
    ("words", "planted", "changes"),
    [
        ("One seed (7)", None, {"seeds": (7,)}),
        ("has one target: its intervals are over examples only", None, {"models": 1}),
        ("has 8 targets", None, {"models": 8}),
        ("nothing is compared at matched accuracy", None, {"frontier": ()}),
        ("2 attacks failed", tables(n_failed=2), {}),
        ("the non-members are too few for any low false-positive rate", tables(rates=()), {}),
        ("No strongest attack could be chosen", tables(strongest=False), {}),
    ],
)
def test_a_limit_is_said_where_it_is_one_and_only_there(words, planted, changes):
    assert words in said(planted=planted, **changes)
    assert words not in said()


def test_the_command_names_the_file_of_the_study(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "config.yaml").write_text("study: usual\n", encoding="utf-8")
    (tmp_path / "studies" / "other.yaml").write_text("study: special\n", encoding="utf-8")
    assert command("usual", tmp_path) == "make reproduce"
    assert command("special", tmp_path) == "make reproduce STUDY=studies/other.yaml"
    assert command("stranger", tmp_path) == "make reproduce STUDY=<the file that holds the configuration below>"
