"""Checks of a configuration that a schema cannot say. Each raises StudyError with a sentence."""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

from mia_pruning import registry
from mia_pruning.attacks.references import FEWEST_POPULATION
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import check_attack, check_generator, check_reference
from mia_pruning.study.plug_ins import attack_traits, require_one_of, source_of
from mia_pruning.study.study import Study
from mia_pruning.types import BASELINE, StudyError

#: Folders of results/ that belong to no study.
SHARED_FOLDERS = ("data", "logs", "benchmarks")


def check_study_name(name: str) -> None:
    if name in SHARED_FOLDERS:
        raise StudyError(
            f"study = {name!r}",
            f"results/{name} is shared by all studies",
            "any other name is allowed",
        )


# --- defences -------------------------------------------------------------------------------------


def defence_checks(filled: Mapping[str, Any]) -> Iterator[Callable[[], None]]:
    """Yield the checks of the sections `defences` and `frontier`."""
    for name, defence in filled["defences"].items():
        for axis in ("objective", "constraint"):
            where = f"defences.{name}.{axis}"
            yield lambda axis=axis, value=defence[axis], where=where: require_one_of(
                value, filled[f"{axis}s"], where
            )
    yield lambda: _check_baseline(filled)
    yield lambda: _check_distinct(filled["defences"])
    yield lambda: _check_frontier(filled)


def _check_baseline(filled: Mapping[str, Any]) -> None:
    """Refuse a baseline that prunes, in the study or in one of its experiments."""
    name = filled["defences"][BASELINE]["constraint"]
    places = {f"defences.{BASELINE}": filled["constraints"]}
    for experiment, entry in filled["experiments"].items():
        places[f"experiments.{experiment}.constraints.{name}"] = entry["constraints"]
    for where, constraints in places.items():
        baseline = constraints.get(name, {"use": "none"})
        if baseline["use"] != "none" or baseline.get("retrain_epochs"):
            problem = "the baseline is dense, so its constraint uses 'none' without retraining"
            raise StudyError(where, problem)


def _check_distinct(defences: Mapping[str, Any]) -> None:
    """Refuse two defences of the same objective and constraint."""
    seen: dict[str, str] = {}
    for name, defence in defences.items():
        earlier = seen.setdefault(json.dumps(defence, sort_keys=True), name)
        if earlier != name:
            problem = f"the same objective and constraint as defences.{earlier}"
            raise StudyError(f"defences.{name}", problem)


def _check_frontier(filled: Mapping[str, Any]) -> None:
    """Refuse a frontier of fewer than two dense defences: a line needs two points."""
    for name in filled["frontier"]:
        require_one_of(name, filled["defences"], "frontier")
        constraint = filled["defences"][name]["constraint"]
        if filled["constraints"].get(constraint, {"use": "none"})["use"] != "none":
            problem = f"its constraint {constraint!r} prunes; allowed are dense defences"
            raise StudyError(f"frontier = {name!r}", problem)
    if len(filled["frontier"]) == 1:
        problem = "one point is no frontier; allowed are none or at least two defences"
        raise StudyError(f"frontier = {filled['frontier']}", problem)


# --- attacks --------------------------------------------------------------------------------------


def attackers_of(attack: Mapping[str, Any], default: list[str]) -> list[str]:
    """Return the attackers that an attack names, or else those of the study."""
    return attack.get("attackers", default)


def check_groups(attack: Mapping[str, Any], experiments: Mapping[str, Any], where: str) -> None:
    """Refuse groups of targets that split twins or leave no shadow model."""
    size = attack["targets_per_group"]
    place = f"{where}.targets_per_group = {size}"
    if size % 2:
        raise StudyError(place, "groups are whole pairs of twins, so it must be even")
    for name, experiment in experiments.items():
        split = experiment["split"]
        if split["protocol"] == "pool" and size >= split["models"]:
            has = f"experiments.{name} has {split['models']} models"
            raise StudyError(place, f"{has}, so no shadow model would be left", "it must be less")


def check_needs(attack: Mapping[str, Any], filled: Mapping[str, Any], where: str) -> None:
    """Refuse an attack by example that lacks the shadow models or the population it needs."""
    traits = attack_traits(attack, where)
    attackers = attackers_of(attack, filled["attackers"])
    check_attack(attack["use"], traits, attackers, where)
    if not traits.by_example:
        return
    if "known_members" in attackers:
        problem = (
            f"known_members has no shadow models, with which {attack['use']} compares the target"
        )
        raise StudyError(f"{where}.attackers", problem, "allowed is adaptive, dense_shadows")
    for name, experiment in filled["experiments"].items():
        _check_shadows(attack, experiment["split"], where, f"experiments.{name}")


def _check_shadows(
    attack: Mapping[str, Any], split: Mapping[str, Any], where: str, experiment: str
) -> None:
    """Refuse a split without what an attack by example compares a target with."""
    traits = attack_traits(attack, where)
    is_pool = split["protocol"] == "pool"
    if traits.inside and not is_pool:
        raise StudyError(
            f"{where}.use = {attack['use']!r}",
            "it needs shadow models that were trained on the targets' examples, which "
            f"{experiment} has not, its protocol being disjoint",
            "allowed are attacks that need none",
        )
    in_pool = split["models"] - attack["targets_per_group"]
    n_shadows = in_pool if is_pool else split["shadow_models"]
    needed = traits.shadows_needed(attack)
    if n_shadows < needed:
        raise StudyError(
            where,
            f"{attack['use']} needs at least {needed} shadow models, and {experiment} has {n_shadows} for each group of targets",
            "allowed are more models or fewer targets_per_group",
        )
    if traits.population and split["test"] < FEWEST_POPULATION:
        raise StudyError(
            f"{experiment}.split.test = {split['test']}",
            f"{where} compares with these examples as its population and needs at least {FEWEST_POPULATION} of them",
        )


def check_attacked_defences(
    attack: Mapping[str, Any], filled: Mapping[str, Any], where: str
) -> None:
    for defence in attack.get("defences", []):
        require_one_of(defence, filled["defences"], f"{where}.defences")


def check_probe(
    probe: str, entry: Mapping[str, Any], attack: Mapping[str, Any], default: list[str], where: str
) -> None:
    """Refuse a recorded probe under another name, or for shadow models that record nothing.

    default: attackers of the study.
    """
    plug_in = registry.find("probe", entry["use"], f"probes.{probe}.use")
    if not plug_in.traits.recorded:
        return
    if {entry["use"], probe} != {plug_in.name}:
        raise StudyError(
            f"probes.{probe}.use = {entry['use']!r}",
            "it is recorded under its own name only",
            f"allowed is the name {plug_in.name}",
        )
    if GENERATED_SHADOWS in attackers_of(attack, default):
        raise StudyError(
            f"{where}.attackers",
            f"{attack['use']} needs losses that are recorded while the shadow models train on "
            f"the pool, which those of {GENERATED_SHADOWS} do not",
            "allowed are other attackers",
        )


def check_releases(attack: Mapping[str, Any], where: str) -> None:
    """Refuse attackers without both releases for an attack that compares them."""
    is_dense = attack_traits(attack, where).dense
    if is_dense and attackers_of(attack, ["adaptive"]) != ["adaptive"]:
        raise StudyError(
            f"{where}.attackers = {attack['attackers']}",
            f"{attack['use']} sees the dense and the pruned release and has shadows of both",
            "allowed is [adaptive]",
        )


def short_traces(study: Study) -> Iterator[StudyError]:
    """Yield an error for each attack and phase whose recorded losses would have no spread."""
    for attack, experiment in product(study["attacks"], study["experiments"]):
        is_recorded = any(map(study.is_recorded, study.probes_of(attack)))
        for pair in study.probed_defences(attack, experiment) if is_recorded else []:
            n_epochs = study.last_epochs(experiment, **pair)
            if n_epochs < 2:
                ends = f"objective {pair['objective']} with constraint {pair['constraint']} ends with {n_epochs}"
                where = f"of training or retraining in experiments.{experiment}"
                yield StudyError(
                    f"attacks.{attack}",
                    f"needs losses of at least 2 epochs, but {ends} {where}",
                    "allowed are more epochs, or defences without this one",
                )


# --- attackers without data -----------------------------------------------------------------------


def needs_generator(filled: Mapping[str, Any]) -> bool:
    """Return whether an attacker without data is named. Refuse a generator that nobody uses."""
    attacks = filled["attacks"].values()
    named = [attackers_of(attack, filled["attackers"]) for attack in attacks]
    is_needed = any(GENERATED_SHADOWS in attackers for attackers in named)
    if not is_needed and "generator" in filled:
        problem = f"no attack has the attacker {GENERATED_SHADOWS}, who would use it"
        raise StudyError("generator", problem, "allowed is to leave it out")
    return is_needed


def check_generated(filled: Mapping[str, Any]) -> None:
    """Refuse a generator of uneven numbers, or one with too few examples to learn from."""
    check_generator(filled["generator"])
    for name, experiment in filled["experiments"].items():
        entry = filled["datasets"].get(experiment["dataset"])
        if entry is not None:  # a missing data set is refused elsewhere
            source = source_of(entry, f"datasets.{experiment['dataset']}")
            check_reference(experiment["split"], len(source.class_names), f"experiments.{name}")
