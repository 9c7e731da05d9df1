"""The scale of a study, its limits by its own numbers, and the command that makes it."""

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mia_pruning.metrics.names import TPR_AT
from mia_pruning.metrics.stand_ins import MATCHED, STRONGEST
from mia_pruning.registry import find
from mia_pruning.reporting.page.table import Cell, Column, Table, table_of
from mia_pruning.reporting.sentences import listed
from mia_pruning.reporting.style import in_order, readable
from mia_pruning.reporting.tables import pick
from mia_pruning.types import BASELINE

#: Converged ADMM leaves at most this share of the weights' norm to the projection.
TRACE = 0.01
#: These objectives are defences by themselves and have these names in sentences.
RIVALS = {"min_max": "The Min-Max game", "dp_sgd": "DP-SGD"}
#: Intervals over fewer targets than this are approximate.
FEW = 16
#: A study at the paper's scale uses at least this share of a data set.
WHOLE = 0.9


def reported(
    settings: Mapping[str, Any], results: pd.DataFrame, differences: pd.DataFrame
) -> dict[str, Any]:
    """Return the configuration without what the results lack because its jobs failed.

    So the page says nothing of how that was done.
    """
    shown = {column: set(results[column]) for column in ("experiment", "defence", "attack")}
    kept = {
        f"{kind}s": {name: of for name, of in settings[f"{kind}s"].items() if name in shown[kind]}
        for kind in shown
    }
    seeds = {seed for listed_seeds in results["seeds"].dropna() for seed in listed_seeds.split()}
    matched = settings["frontier"] if MATCHED in set(differences["minus"]) else []
    return {
        **settings,
        **kept,
        "seeds": [seed for seed in settings["seeds"] if str(seed) in seeds],
        "frontier": matched,
    }


def attack_by(settings: Mapping[str, Any], use: str) -> str | None:
    """Return the name of the study's first attack by this plug-in, or None."""
    return next((name for name, entry in settings["attacks"].items() if entry["use"] == use), None)


def described(settings: Mapping[str, Any], defence: str) -> str:
    """Describe a defence: its objective and its constraint as they are configured."""
    pair = settings["defences"][defence]
    return "; ".join(
        f"{axis} {pair[axis]}: {_as_configured(settings, axis, pair[axis])}"
        for axis in ("objective", "constraint")
    )


def pairs(settings: Mapping[str, Any]) -> Table:
    """Tabulate each defence with its objective and its constraint."""
    rows = [
        [
            Cell(readable(name), look="defence", hint=name),
            *(
                Cell(f"{pair[axis]}: {_as_configured(settings, axis, pair[axis])}")
                for axis in ("objective", "constraint")
            ),
        ]
        for name, pair in settings["defences"].items()
    ]
    columns = [
        Column("defence"),
        Column("objective", "what is minimised"),
        Column("constraint", "which weights may be other than zero, and how that is reached"),
    ]
    return table_of("pairs", "What each defence is", columns, rows)


def _as_configured(settings: Mapping[str, Any], axis: str, name: str) -> str:
    """Return the entry of an axis as it is configured, in a line, without what has no effect."""
    entry = settings[f"{axis}s"][name]
    idle = {"solver"} if entry["use"] == "none" else set()
    said = {
        key: value
        for key, value in entry.items()
        if key not in idle and value != {} and (key, value) != ("retrain_epochs", 0)
    }
    return yaml.safe_dump(said, default_flow_style=True, width=math.inf, sort_keys=False).strip()[
        1:-1
    ]


def scale(settings: Mapping[str, Any], paper: Mapping[str, Any]) -> tuple[str, str]:
    """Return the badge of the study's scale, and the reason for it.

    paper: the models that the paper names, and its data sets with how many examples each has.
    """
    reasons = [
        reason
        for experiment in settings["experiments"].values()
        for reason in _below(experiment, settings, paper)
    ]
    if reasons:
        return "reduced size", "; ".join(dict.fromkeys(reasons))
    return (
        "paper scale",
        "every experiment uses a model and nearly all examples of a data set that the paper names",
    )


def _below(
    experiment: Mapping[str, Any], settings: Mapping[str, Any], paper: Mapping[str, Any]
) -> Iterator[str]:
    """Yield what keeps an experiment below the paper's scale, or from being known to be at it."""
    data, model = settings["datasets"][experiment["dataset"]]["use"], experiment["model"]
    if model["use"] not in paper["models"]:
        yield f"{readable(model['use'])} is not among the paper's models"
    for name, option in find("model", model["use"], "model.use").options.items():
        usual = list(option.default) if isinstance(option.default, tuple) else option.default
        if name in model and model[name] != usual:
            yield f"{readable(model['use'])} has {readable(name)} {model[name]}, where {usual} is usual"
    split = experiment["split"]
    used = split["examples"] + split.get("shadow_examples", 0) + split["reference"] + split["test"]
    if data not in paper["datasets"]:
        parts = f"{split['examples'] + split.get('shadow_examples', 0):,} attacked, {split['test']:,} test"
        reference = f", {split['reference']:,} reference" if split["reference"] else ""
        name = readable(experiment["dataset"])
        yield f"{used:,} images of {name} ({parts}{reference}); the paper is not known to have used {name}"
    elif used < WHOLE * paper["datasets"][data]:
        yield f"{used:,} of {paper['datasets'][data]:,} examples of {readable(data)} are used"


def limitations(
    settings: Mapping[str, Any], tables: Mapping[str, pd.DataFrame], paper: Mapping[str, list[str]]
) -> list[str]:
    """List what this study cannot say, by its own numbers."""
    return [
        *_of_sampling(settings),
        *_of_results(tables["results"]),
        *_of_attacks(tables),
        *_of_methods(settings, tables["projection"]),
        *_of_the_paper(settings, paper),
    ]


def _of_sampling(settings: Mapping[str, Any]) -> Iterator[str]:
    if len(settings["seeds"]) == 1:
        seed = settings["seeds"][0]
        yield f"One seed ({seed}): intervals are over targets and examples; another pool of examples may differ by more."
    for name, experiment in settings["experiments"].items():
        split = experiment["split"]
        if split["models"] < FEW:
            yield f"{readable(name)} has {split['models']} targets; the coverage of intervals over so few is approximate."
    if not settings["frontier"]:
        yield "There are no results of dense controls of several accuracies, so nothing is compared at matched accuracy."


def _of_results(results: pd.DataFrame) -> Iterator[str]:
    for experiment in in_order(results, "experiment"):
        base = (
            pick(results, experiment=experiment, defence=BASELINE)
            .drop_duplicates("metric")
            .set_index("metric")["value"]
        )
        if {"train_accuracy", "test_accuracy"} <= set(base.index):
            gap = 100 * (base["train_accuracy"] - base["test_accuracy"])
            yield (
                f"For {readable(experiment)} the baseline's accuracy is {base['train_accuracy']:.3f} on members and "
                f"{base['test_accuracy']:.3f} on unseen examples, a gap of {gap:+.1f} points; others leak otherwise."
            )
        rates = {
            100 * fpr: len(pick(results, experiment=experiment, metric=metric)) > 0
            for metric, fpr in TPR_AT.items()
        }
        unresolved = ", ".join(f"{rate:g}" for rate, resolved in rates.items() if not resolved)
        if unresolved and len(pick(results, experiment=experiment, metric="attack_accuracy")):
            yield f"For {readable(experiment)} the non-members are too few for false-positive rates of {unresolved} %."


def _of_attacks(tables: Mapping[str, pd.DataFrame]) -> Iterator[str]:
    if n_failed := len(tables["failures"]):
        yield f"{n_failed} attack{' failed; it is' if n_failed == 1 else 's failed; they are'} listed above and in no table."
    if pick(tables["results"], metric="attack_accuracy", **STRONGEST).empty:
        yield "No strongest attack could be chosen: no attack has results on every defence. Run one without `defences:`."


def _of_methods(settings: Mapping[str, Any], projection: pd.DataFrame) -> Iterator[str]:
    by_admm = [
        name
        for name, pair in settings["defences"].items()
        if settings["constraints"][pair["constraint"]].get("solver") == "admm"
    ]
    whole = pick(projection, layer="all", defence=by_admm)
    removed = (
        (whole["removed_norm"] / whole["weight_norm"])
        .groupby([whole["experiment"], whole["defence"]], sort=False)
        .mean()
    )
    left = [
        f"{100 * share:.0f} % ({readable(name)}, {readable(where)})"
        for (where, name), share in removed.items()
        if share > TRACE
    ]
    if left:
        yield (
            "ADMM had not converged when it was stopped: the projection at its end still removed "
            f"{listed(left)} of the weights' norm. More of its steps may give other results."
        )
    objectives = {pair["objective"] for pair in settings["defences"].values()}
    kinds = [settings["objectives"][name]["use"] for name in sorted(objectives)]
    once = [RIVALS[kind] for kind in RIVALS if kinds.count(kind) == 1]
    if once:
        yield f"{' and '.join(once)} {'was' if len(once) == 1 else 'were each'} tried at one setting; another may do better."


def _of_the_paper(settings: Mapping[str, Any], paper: Mapping[str, list[str]]) -> Iterator[str]:
    used = {
        "models": {experiment["model"]["use"] for experiment in settings["experiments"].values()},
        "datasets": {
            settings["datasets"][experiment["dataset"]]["use"]
            for experiment in settings["experiments"].values()
        },
    }
    for kind, words in (("models", "models"), ("datasets", "data sets")):
        missing = [name for name in paper[kind] if name not in used[kind]]
        if missing:
            verb = "is" if len(missing) == 1 else "are"
            yield f"Of the paper's {words}, {', '.join(map(readable, missing))} {verb} not named in this study."


def command(name: str, root: Path) -> str:
    """Return the command that makes this study.

    It names the study's file if that is in the repository at `root`, else a placeholder for it.
    """
    default = root / "config.yaml"
    named = re.compile(rf"^study:\s*{re.escape(name)}\s*(#.*)?$", flags=re.MULTILINE)
    for file in [default, *sorted((root / "studies").glob("*.yaml"))]:
        if file.is_file() and named.search(file.read_text(encoding="utf-8")):
            return (
                "make reproduce"
                if file == default
                else f"make reproduce STUDY={file.relative_to(root)}"
            )
    return "make reproduce STUDY=<the file that holds the configuration below>"
