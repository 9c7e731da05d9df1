"""What kind of study this is: its scale, its limits by its own numbers, and the command that makes it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mia_pruning.metrics.operating import TPR_AT
from mia_pruning.metrics.stand_ins import STRONGEST
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import pick
from mia_pruning.types import BASELINE

#: a study at the paper's scale uses so much of its data
WHOLE = 0.9


def scale(settings: Mapping[str, Any], paper: Mapping[str, list[str]], n_examples: Mapping[str, int]) -> tuple[str, str]:
    """The badge of the study's scale, and why.

    paper: the models and data sets that the paper names; n_examples: of each data set of the study.
    """
    reasons = list(
        dict.fromkeys(
            reason for about in settings["experiments"].values() for reason in _below(about, settings, paper, n_examples)
        )
    )
    if reasons:
        return "reduced size", "; ".join(reasons)
    return "paper scale", "every experiment uses a model, a data set and a number of examples of the paper"


def _below(
    experiment: Mapping[str, Any], settings: Mapping[str, Any], paper: Mapping[str, list[str]], n_examples: Mapping[str, int]
) -> Iterator[str]:
    """What keeps an experiment below the paper's scale."""
    data, model = settings["datasets"][experiment["dataset"]]["use"], experiment["model"]
    if data not in paper["datasets"]:
        yield f"{readable(data)} is not among the paper's data sets"
    if model["use"] not in paper["models"]:
        yield f"{readable(model['use'])} is not among the paper's models"
    if model.get("width", 1.0) < 1:
        yield f"{readable(model['use'])} has {model['width']:g} of its width"
    split, available = experiment["split"], n_examples[experiment["dataset"]]
    used = split["examples"] + split.get("shadow_examples", 0) + split["reference"] + split["test"]
    if used < WHOLE * available:
        yield f"{used:,} of {available:,} examples of {readable(experiment['dataset'])} are used"


def limitations(settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], paper: Mapping[str, list[str]]) -> list[str]:
    """What this study cannot say, by its own numbers."""
    return [*_of_sampling(settings), *_of_results(tables["results"]), *_of_attacks(tables), *_of_the_paper(settings, paper)]


def _of_sampling(settings: Mapping[str, Any]) -> Iterator[str]:
    if len(settings["seeds"]) == 1:
        seed = settings["seeds"][0]
        yield f"One seed ({seed}): intervals are over targets and examples; another pool of examples may differ by more."
    for name, experiment in settings["experiments"].items():
        split = experiment["split"]
        if split["models"] == 1:
            yield f"{readable(name)} has one target: its intervals are over examples only."
        elif split["models"] < 16:
            yield f"{readable(name)} has {split['models']} targets; the coverage of intervals over so few is approximate."
    if not settings["frontier"]:
        yield "There are no dense controls of several accuracies, so nothing is compared at matched accuracy."


def _of_results(results: pd.DataFrame) -> Iterator[str]:
    for experiment in in_order(results, "experiment"):
        base = pick(results, experiment=experiment, defence=BASELINE).drop_duplicates("metric").set_index("metric")["value"]
        if {"train_accuracy", "test_accuracy"} <= set(base.index):
            gap = 100 * (base["train_accuracy"] - base["test_accuracy"])
            yield (
                f"On {readable(experiment)} the baseline classifies members {gap:+.1f} points better than unseen examples "
                f"({base['train_accuracy']:.3f} against {base['test_accuracy']:.3f}); networks with another gap leak differently."
            )
        resolved = [fpr for metric, fpr in TPR_AT.items() if len(pick(results, experiment=experiment, metric=metric))]
        if resolved:
            yield f"On {readable(experiment)} the non-members resolve no false-positive rate below {100 * min(resolved):g} %."
        else:
            yield f"On {readable(experiment)} the non-members are too few for any low false-positive rate."


def _of_attacks(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    if n_failed := len(tables["failures"]):
        yield f"{n_failed} attacks failed; they are listed above, and no table counts them."
    if pick(tables["results"], metric="attack_accuracy", **STRONGEST).empty:
        yield "No strongest attack could be chosen: that takes an attack on two targets of every defence."


def _of_the_paper(settings: Mapping[str, Any], paper: Mapping[str, list[str]]) -> Iterator[str]:
    used = {
        "models": {experiment["model"]["use"] for experiment in settings["experiments"].values()},
        "datasets": {entry["use"] for entry in settings["datasets"].values()},
    }
    for kind, words in (("models", "models"), ("datasets", "data sets")):
        missing = [name for name in paper[kind] if name not in used[kind]]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            yield f"Of the paper's {words}, {', '.join(map(readable, missing))} {verb} not in this study."


def command(name: str, root: Path) -> str:
    """The command that makes this study, if its file is in the repository at `root`; else with a place for the file's name."""
    default = root / "config.yaml"
    for file in [default, *sorted((root / "studies").glob("*.yaml"))]:
        if file.is_file() and (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("study") == name:
            return "make reproduce" if file == default else f"make reproduce STUDY={file.relative_to(root)}"
    return "make reproduce STUDY=<the file that holds the configuration below>"
