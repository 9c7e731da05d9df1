"""A study: its configuration, read, completed with defaults and checked before the first job.

Whatever a user can get wrong in a configuration is refused here, with the key, the value and what is allowed.
"""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mia_pruning import registry
from mia_pruning.attacks.references import FEWEST_POPULATION
from mia_pruning.data.sources import check_sources
from mia_pruning.data.split import check_size
from mia_pruning.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.generated import (
    check_attack,
    check_generator,
    check_reference,
    derive,
    derived_name,
    is_derived,
    original_name,
)
from mia_pruning.modules import module_file
from mia_pruning.provenance import code_digest, fingerprint
from mia_pruning.requests import NAME as PLAN
from mia_pruning.requests import PLAN_FILE, Requests, experiment_identity, read_requests
from mia_pruning.traits import AttackTraits
from mia_pruning.types import BASELINE, DatasetSource, StudyError

SCHEMA = Path(__file__).parents[2] / "config.schema.yaml"
#: folders of results/ that belong to no study
SHARED_FOLDERS = ("data", "logs", "benchmarks")
#: of a training section, what spreads models over jobs and changes no result
LAYOUT_KEYS = ("models_per_job", "minutes_per_job")
#: of models_per_job, instead of a number
AUTO = "auto"


@dataclass(frozen=True)
class Study:
    """A complete, checked configuration: `settings` is the plain nested dict, defaults filled in, `plan` what was planned."""

    settings: dict[str, Any]
    plan: Requests | None = None

    @property
    def name(self) -> str:
        return self.settings["study"]

    @cached_property
    def identity(self) -> str:
        return fingerprint(self.settings)

    def __getitem__(self, section: str) -> Any:
        return self.settings[section]

    @cached_property
    def sources(self) -> dict[str, DatasetSource]:
        return {name: _source(entry, f"datasets.{name}") for name, entry in self["datasets"].items()}

    @cached_property
    def generated(self) -> dict[str, dict[str, Any]]:
        """Settings of the experiments with generated examples that attackers need, by name."""
        attacked = [name for name in self["experiments"] if self._met_by_generated_shadows(name)]
        return {derived_name(name): derive(self["experiments"][name], self["generator"]) for name in attacked}

    def experiment(self, name: str) -> dict[str, Any]:
        """Settings of an experiment of the study, or of one that is derived from it."""
        return self.generated[name] if is_derived(name) else self["experiments"][name]

    def defences_of(self, experiment: str) -> list[str]:
        """Defences that an experiment trains; a derived one only those that its models attack."""
        if is_derived(experiment):
            return self._met_by_generated_shadows(original_name(experiment))
        return list(self["defences"])

    def _met_by_generated_shadows(self, experiment: str) -> list[str]:
        return [
            defence
            for defence in self["defences"]
            if any(GENERATED_SHADOWS in self.attackers(attack, experiment, defence) for attack in self["attacks"])
        ]

    def plug_ins(self, section: str, name: str, experiment: str | None = None) -> list[registry.PlugIn]:
        """The plug-ins that an entry of a section uses, of an objective or constraint as the experiment has it."""
        overlays = self.experiment(experiment)[section] if experiment is not None else {}
        return _plug_ins(section, overlays.get(name, self[section][name]), f"{section}.{name}")

    def objective(self, experiment: str, name: str) -> dict[str, Any]:
        """An objective as an experiment has it: `use` and options."""
        entry = self.experiment(experiment)["objectives"].get(name, self["objectives"][name])
        return {key: value for key, value in entry.items() if key not in ("training", "model")}

    def constraint(self, experiment: str, name: str) -> dict[str, Any]:
        """A constraint as an experiment has it."""
        return self.experiment(experiment)["constraints"].get(name, self["constraints"][name])

    def training(self, experiment: str, objective: str) -> dict[str, Any]:
        """The training section that an objective has in an experiment."""
        return self._laid_over(experiment, objective, "training")

    def model(self, experiment: str, objective: str) -> dict[str, Any]:
        """The model section that an objective has in an experiment."""
        model = self._laid_over(experiment, objective, "model")
        return {"use": model["use"], **_model_options(model, f"experiments.{experiment}.model")}

    def _laid_over(self, experiment: str, objective: str, key: str) -> dict[str, Any]:
        settings = self.experiment(experiment)
        return _overlaid(settings[key], settings["objectives"].get(objective, self["objectives"][objective])[key])

    def base_plug_in(self, experiment: str) -> registry.PlugIn:
        """The experiment's own model, which compression counts from."""
        return registry.find("model", self.experiment(experiment)["model"]["use"], f"experiments.{experiment}.model.use")

    def model_plug_in(self, experiment: str, objective: str) -> registry.PlugIn:
        return registry.find("model", self.model(experiment, objective)["use"], f"experiments.{experiment}.model.use")

    def models_per_job(self, experiment: str) -> int:
        """How many models one job of an experiment trains, prunes or retrains: as the study says, or else as it was planned."""
        experiment = original_name(experiment)
        settings = self["experiments"][experiment]
        given = settings["training"]["models_per_job"]
        if given != AUTO:
            return given
        layout = self.plan.layouts.get(experiment) if self.plan is not None else None
        if layout is None or layout.of != experiment_identity(settings):
            raise StudyError(
                f"experiments.{experiment}.training.models_per_job = {AUTO!r}: how many these are is not planned yet for the "
                f"study as it is; run `make plan STUDY=<its file>` first, which writes results/{self.name}/{PLAN}"
            )
        return layout.models_per_job

    @property
    def is_laid_out(self) -> bool:
        """Whether it is known of every experiment how many models a job takes."""
        try:
            return all(map(self.models_per_job, self["experiments"]))
        except StudyError:
            return False

    def is_dense(self, experiment: str, constraint: str) -> bool:
        """Whether a constraint neither prunes nor trains on: its models are the dense ones as trained."""
        entry = self.constraint(experiment, constraint)
        return entry["use"] == "none" and entry["retrain_epochs"] == 0

    def starts_dense(self, experiment: str, constraint: str) -> bool:
        """Whether a constraint's models begin as the trained dense ones, and not untrained."""
        solvers = [plug_in for plug_in in self.plug_ins("constraints", constraint, experiment) if plug_in.kind == "solver"]
        return not any(solver.traits.from_initial for solver in solvers)

    def takes_subnetworks(self, experiment: str, constraint: str) -> bool:
        """Whether a constraint's networks are taken from trained dense ones, and not only trained on."""
        return self.constraint(experiment, constraint)["use"] != "none" and self.starts_dense(experiment, constraint)

    def probes_of(self, attack: str) -> list[str]:
        """What an attack has models asked beside their logits."""
        return list(_traits(self["attacks"][attack], f"attacks.{attack}").probes)

    def is_recorded(self, probe: str) -> bool:
        """Return whether models answer this probe while they train and not afterwards."""
        use = self["probes"][probe]["use"]
        return bool(registry.find("probe", use, f"probes.{probe}.use").traits.recorded)

    def probed_defences(self, attack: str, experiment: str) -> list[dict[str, str]]:
        """Objective and constraint of each defence whose models answer an attack's probes.

        These are the targets' and, for an attacker with dense shadows, the baseline's. In a derived
        experiment they are those that the attacker without data attacks.
        """
        if is_derived(experiment):
            original = original_name(experiment)
            return [
                pair
                for defence, pair in self["defences"].items()
                if GENERATED_SHADOWS in self.attackers(attack, original, defence)
            ]
        pairs = []
        for defence, pair in self["defences"].items():
            attackers = self.attackers(attack, experiment, defence)
            pairs += [pair] * bool(attackers)
            pairs += [self["defences"][BASELINE]] * ("dense_shadows" in attackers)
        return pairs

    def last_epochs(self, experiment: str, objective: str, constraint: str) -> int:
        """Epochs of a defence's retraining, or of its training if it is dense."""
        if self.is_dense(experiment, constraint):
            return self.training(experiment, objective)["epochs"]
        return self.constraint(experiment, constraint)["retrain_epochs"]

    @cached_property
    def has_traces(self) -> bool:
        """Whether an attack asks for losses along training."""
        probes = {probe for attack in self["attacks"] for probe in self.probes_of(attack)}
        return any(map(self.is_recorded, probes))

    def trace_epochs(self, experiment: str, objective: str, constraint: str | None = None) -> int:
        """The most epochs of a phase whose losses are recorded; 0 if no attack needs the losses.

        The phase is retraining under a constraint or, if that is None, dense training. Only the
        last phase of a defence is recorded: pruning raises all losses, and so hides from an attack
        whether the loss of an example falls.
        """
        for attack in self["attacks"]:
            recorded = list(filter(self.is_recorded, self.probes_of(attack)))
            pairs = self.probed_defences(attack, experiment) if recorded else []
            names = {pair["constraint"] for pair in pairs if pair["objective"] == objective}
            dense = {name for name in names if self.is_dense(experiment, name)}
            if constraint in names or (constraint is None and dense):
                return self["probes"][recorded[0]]["epochs"]
        return 0

    def sees_dense(self, attack: str) -> bool:
        """Whether the attacker has the dense model too that the pruned one was taken from."""
        return bool(_traits(self["attacks"][attack], f"attacks.{attack}").dense)

    def attackers(self, attack: str, experiment: str, defence: str) -> list[str]:
        """Who tries this attack on this defence. The baseline's own shadows are the dense ones."""
        entry = self["attacks"][attack]
        if defence not in entry.get("defences", [defence]):
            return []
        if self.sees_dense(attack):
            return ["adaptive"] if self.takes_subnetworks(experiment, self["defences"][defence]["constraint"]) else []
        named = entry.get("attackers", self["attackers"])
        return [name for name in named if not (name == "dense_shadows" and defence == BASELINE and "adaptive" in named)]

    def menu(self) -> list[str]:
        """The attacks that are tried on every defence: what the strongest attack is one of, so that all face the same choice."""
        defences = set(self["defences"])
        return [
            name
            for name, entry in self["attacks"].items()
            if defences <= set(entry.get("defences", defences)) and not self.sees_dense(name)
        ]

    def defence_of(self, objective: str, constraint: str) -> str:
        pair = {"objective": objective, "constraint": constraint}
        return next(name for name, entry in self["defences"].items() if entry == pair)


def load_study(
    config: Mapping[str, Any], default: Path, files: list[Path], results: Path, overrides: Mapping[str, Any] | None = None
) -> Study:
    """The checked study of a Snakemake configuration, with its plan if `results`, the folder of all studies, holds one.

    A configuration that names a study is that study, whole; any other is laid over the default study's file. `files` are the
    YAML files that Snakemake read `config` from: they are read again, because a key that stands twice is lost on the way.
    `overrides` are the entries of Snakemake's --config, in `config` too, where it leaves every nested number a string.
    """
    overrides = overrides or {}
    whole = any("study" in read_yaml(path) for path in files) or ("study" in config and "study" not in overrides)
    given = _merged(config, _typed(overrides))
    settings = complete(given if whole else _merged(read_yaml(default), given))
    plan = Path(os.environ.get(PLAN_FILE, results / settings["study"] / PLAN))
    study = Study(settings, read_requests(plan))
    check_networks(study, results / "data" / "approved")
    return study


#: an environment variable, which jobs inherit on whatever machine: the identity of the study that the run began with
HELD = "MIA_PRUNING_STUDY"


def hold(study: Study, begins: bool) -> None:
    """Refuse a study that was changed after its run began: jobs read it again where they run, and would mix two results.

    begins: whether this process begins the run, and is no job of it.
    """
    if begins:
        os.environ[HELD] = study.identity
    elif os.environ.get(HELD, study.identity) != study.identity:
        raise StudyError(
            f"the configuration of study {study.name!r} was changed after this run began, so this job would make another study's "
            "result: put it back, or end the run (Ctrl-C) and start it anew"
        )


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""


def _construct_mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise StudyError(
            f"{node.start_mark.name}, line {node.start_mark.line + 1}: the name {twice!r} stands twice here; each may stand once"
        )
    return {key: loader.construct_object(value, deep=True) for key, (_, value) in zip(keys, node.value, strict=True)}


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def read_yaml(path: str | Path) -> dict[str, Any]:
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = yaml.load(file, _UniqueKeys)
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no such file") from error
    except yaml.YAMLError as error:
        raise StudyError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(f"{path}: a study is a mapping of keys, this is {type(content).__name__}")
    return content


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`, mapping by mapping.

    >>> _merged({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    both = {
        key: _merged(base[key], value) if isinstance(value, Mapping) and isinstance(base.get(key), Mapping) else value
        for key, value in over.items()
    }
    return {**base, **both}


def _typed(value: Any) -> Any:
    """Strings as YAML reads them, at every depth.

    >>> _typed({"seeds": ["0", "1"], "study": "a"})
    {'seeds': [0, 1], 'study': 'a'}
    """
    if isinstance(value, Mapping):
        return {key: _typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_typed(entry) for entry in value]
    return yaml.safe_load(value) if isinstance(value, str) else value


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with all defaults. Raises StudyError that lists everything that is wrong with them."""
    filled = json.loads(json.dumps(settings, default=str))
    _raise_all(_schema_problems(filled))
    _raise_all(_collect(_complete_entries(filled)))
    _raise_all(list(_short_traces(Study(filled))))
    return {section: _sorted_below(content) for section, content in filled.items()}


def _sorted_below(content: Any) -> Any:
    """A section whose entries have their keys in alphabetical order, so that the order in the file changes no job's parameters.

    The entries themselves keep their order, which is the report's.
    """
    if not isinstance(content, dict):
        return content
    return {name: json.loads(json.dumps(entry, sort_keys=True)) for name, entry in content.items()}


def _raise_all(problems: list[str]) -> None:
    if problems:
        lines = [f"  - {problem}" for problem in dict.fromkeys(problems)]
        raise StudyError("the configuration cannot work:\n" + "\n".join(lines))


def _collect(checks: Iterator[Any]) -> list[str]:
    """The messages of all checks that fail; each item of the iterator is a function."""
    problems = []
    for check in checks:
        try:
            check()
        except StudyError as error:
            problems.append(str(error))
    return problems


def _complete_entries(filled: dict[str, Any]) -> Iterator[Any]:
    """Checks of what a schema cannot say; they fill in plug-ins' defaults on the way."""
    yield lambda: _check_study_name(filled["study"])
    for section in ("datasets", "objectives", "constraints", "probes", "attacks"):
        for name, entry in filled[section].items():
            yield lambda section=section, name=name, entry=entry: _fill_options(section, entry, f"{section}.{name}")
    for name, experiment in filled["experiments"].items():
        yield lambda name=name, e=experiment: _check_experiment(e, filled["datasets"], f"experiments.{name}")
        for section in ("objectives", "constraints"):
            for entry in list(experiment[section]):
                where = f"experiments.{name}.{section}.{entry}"
                yield lambda e=experiment, s=section, n=entry, w=where: _fill_overlay(e, s, n, filled[s], w)
        for objective in filled["objectives"]:
            yield lambda e=experiment, n=objective, w=name: _check_own_training(e, n, filled["objectives"], w)
            yield lambda e=experiment, n=objective, w=name: _check_own_model(e, n, filled["objectives"], w)
    for name, defence in filled["defences"].items():
        for axis in ("objective", "constraint"):
            where = f"defences.{name}.{axis}"
            yield lambda axis=axis, value=defence[axis], where=where: _one_of(value, filled[f"{axis}s"], where)
    yield lambda: _check_defences(filled)
    yield lambda: _check_frontier(filled)
    yield lambda: _check_generator(filled)
    for name, attack in filled["attacks"].items():
        yield lambda attack=attack, name=name: _check_groups(attack, filled["experiments"], f"attacks.{name}")
        yield lambda attack=attack, name=name: _check_needs(attack, filled, f"attacks.{name}")
        yield lambda attack=attack, name=name: _check_sight(attack, filled, f"attacks.{name}")


def _check_study_name(name: str) -> None:
    if name in SHARED_FOLDERS:
        raise StudyError(f"study = {name!r}: results/{name} is shared by all studies; any other name is allowed")


def _fill_options(section: str, entry: dict[str, Any], where: str) -> None:
    own = registry.own_keys(section)
    options = {key: value for key, value in entry.items() if key not in own}
    entry.update(registry.check_options(options, _plug_ins(section, entry, where), where, own))


def _plug_ins(section: str, entry: Mapping[str, Any], where: str) -> list[registry.PlugIn]:
    kind = section.removesuffix("s")
    found = [registry.find(kind, entry["use"], f"{where}.use")]
    if kind == "constraint" and entry["use"] != "none":
        found.append(registry.find("solver", entry["solver"], f"{where}.solver"))
    return found


def _check_experiment(experiment: dict[str, Any], datasets: Mapping[str, Any], where: str) -> None:
    _one_of(experiment["dataset"], datasets, f"{where}.dataset")
    experiment["model"].update(_model_options(experiment["model"], f"{where}.model"))
    source = _source(datasets[experiment["dataset"]], f"datasets.{experiment['dataset']}")
    check_size(experiment["split"], source.n_examples, f"{where}.split")


def _overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` laid on `base`; where it uses another plug-in it replaces it.

    >>> _overlaid({"use": "a", "x": 1}, {"x": 2}), _overlaid({"use": "a", "x": 1}, {"use": "b"})
    ({'use': 'a', 'x': 2}, {'use': 'b'})
    """
    return dict(over) if over.get("use", base.get("use")) != base.get("use") else {**base, **over}


def _fill_overlay(experiment: dict[str, Any], section: str, name: str, entries: Mapping[str, Any], where: str) -> None:
    """Make an experiment's overlay the whole entry that it stands for. One that is refused is gone for the checks that follow."""
    over = experiment[section].pop(name)
    _one_of(name, entries, where)
    base = entries[name]
    problems = _schema_problems({"use": base["use"], **over}, section.removesuffix("s"), where)
    if problems:
        raise StudyError(problems[0])
    entry = _overlaid(base, over)
    if section == "objectives":
        entry["training"] = {**base["training"], **over.get("training", {})}
        entry["model"] = _overlaid(base["model"], over.get("model", {}))
    _schema_problems(entry, section.removesuffix("s"), where)
    accepted = {option for plug_in in _plug_ins(section, entry, where) for option in plug_in.options}
    entry = {key: value for key, value in entry.items() if key in over or key in accepted or key in registry.own_keys(section)}
    _fill_options(section, entry, where)
    experiment[section][name] = entry


def _check_own_training(experiment: dict[str, Any], objective: str, objectives: Mapping[str, Any], name: str) -> None:
    own, where = _own(experiment, objective, objectives, "training", name)
    for key in LAYOUT_KEYS:
        if key in own:
            raise StudyError(f"{where}.{key}: it is the experiment's alone; allowed in experiments.{name}.training")
    problems = _schema_problems({**experiment["training"], **own}, "training", where)
    if problems:
        raise StudyError(problems[0])


def _check_own_model(experiment: dict[str, Any], objective: str, objectives: Mapping[str, Any], name: str) -> None:
    own, where = _own(experiment, objective, objectives, "model", name)
    if own:
        _model_options(_overlaid(experiment["model"], own), where)


def _own(
    experiment: Mapping[str, Any], objective: str, objectives: Mapping[str, Any], key: str, name: str
) -> tuple[dict[str, Any], str]:
    """What an objective lays over the experiment's training or model, and where it says so."""
    above = f"experiments.{name}." if objective in experiment["objectives"] else ""
    entry = experiment["objectives"].get(objective, objectives[objective])
    return entry.get(key, {}), f"{above}objectives.{objective}.{key}"


def _model_options(model: Mapping[str, Any], where: str) -> dict[str, Any]:
    plug_in = registry.find("model", model["use"], f"{where}.use")
    options = {key: value for key, value in model.items() if key != "use"}
    return registry.check_options(options, [plug_in], where, ("use",))


def _source(entry: Mapping[str, Any], where: str) -> DatasetSource:
    """The data set's description, its files checked as far as they are there."""
    plug_in = registry.find("dataset", entry["use"], f"{where}.use")
    options = {key: value for key, value in entry.items() if key != "use"}
    checked = registry.check_options(options, [plug_in], where, ("use",))
    try:
        source = plug_in.load()(**checked)
    except StudyError as error:
        raise StudyError(f"{where}: {error}") from error
    except Exception as error:  # whatever somebody's data set raises
        raise StudyError(f"{where}: {plug_in.explain(error)}") from error
    if not isinstance(source, DatasetSource):
        found = type(source).__name__
        raise StudyError(f"{where}.use = {entry['use']!r}: it returns {found}; allowed is a DatasetSource")
    check_sources(source, where)
    return source


def _check_defences(filled: Mapping[str, Any]) -> None:
    defences, name = filled["defences"], filled["defences"][BASELINE]["constraint"]
    overlays = [(f"experiments.{e}.constraints.{name}", entry["constraints"]) for e, entry in filled["experiments"].items()]
    for where, constraints in [(f"defences.{BASELINE}", filled["constraints"]), *overlays]:
        baseline = constraints.get(name, {"use": "none"})
        if baseline["use"] != "none" or baseline.get("retrain_epochs"):
            raise StudyError(f"{where}: the baseline is dense, so its constraint uses 'none' without retraining")
    seen: dict[str, str] = {}
    for name, defence in defences.items():
        earlier = seen.setdefault(json.dumps(defence, sort_keys=True), name)
        if earlier != name:
            raise StudyError(f"defences.{name}: the same objective and constraint as defences.{earlier}")


def _check_frontier(filled: Mapping[str, Any]) -> None:
    """Networks that were not pruned, two at least, between which one may read what an accuracy costs."""
    for name in filled["frontier"]:
        _one_of(name, filled["defences"], "frontier")
        constraint = filled["defences"][name]["constraint"]
        if filled["constraints"][constraint]["use"] != "none":
            raise StudyError(f"frontier = {name!r}: its constraint {constraint!r} prunes; allowed are dense defences")
    if len(filled["frontier"]) == 1:
        raise StudyError(f"frontier = {filled['frontier']}: one point is no frontier; allowed are none or at least two defences")


def _check_groups(attack: Mapping[str, Any], experiments: Mapping[str, Any], where: str) -> None:
    size = attack["targets_per_group"]
    if size % 2:
        raise StudyError(f"{where}.targets_per_group = {size}: groups are whole pairs of twins, so it must be even")
    for name, experiment in experiments.items():
        if experiment["split"]["protocol"] == "pool" and size >= experiment["split"]["models"]:
            raise StudyError(
                f"{where}.targets_per_group = {size}: experiments.{name} has {experiment['split']['models']} models, "
                "so no shadow model would be left; it must be less"
            )


def _check_needs(attack: Mapping[str, Any], filled: Mapping[str, Any], where: str) -> None:
    """What compares a target with shadows example by example needs enough of them, and maybe some that know the example."""
    traits = _traits(attack, where)
    check_attack(attack["use"], traits, attack.get("attackers", filled["attackers"]), where)
    if not traits.by_example:
        return
    if "known_members" in attack.get("attackers", filled["attackers"]):
        raise StudyError(
            f"{where}.attackers: known_members has no shadow models, with which {attack['use']} compares the target; allowed is "
            "adaptive, dense_shadows"
        )
    for name, experiment in filled["experiments"].items():
        split = experiment["split"]
        pool = split["protocol"] == "pool"
        if traits.inside and not pool:
            raise StudyError(
                f"{where}.use = {attack['use']!r}: it needs shadow models that were trained on the targets' examples, which "
                f"experiments.{name} has not, its protocol being disjoint; allowed are attacks that need none"
            )
        n_shadows = split["models"] - attack["targets_per_group"] if pool else split["shadow_models"]
        needed = traits.shadows_needed(attack)
        if n_shadows < needed:
            raise StudyError(
                f"{where}: {attack['use']} needs at least {needed} shadow models, and experiments.{name} has {n_shadows} "
                "for each group of targets; allowed are more models or fewer targets_per_group"
            )
        if traits.population and split["test"] < FEWEST_POPULATION:
            raise StudyError(
                f"experiments.{name}.split.test = {split['test']}: {where} compares with these "
                f"examples as its population and needs at least {FEWEST_POPULATION} of them"
            )


def _check_generator(filled: dict[str, Any]) -> None:
    """Fill in the generator where a study has an attacker without data, and check the data it gets."""
    attackers = [attack.get("attackers", filled["attackers"]) for attack in filled["attacks"].values()]
    if not any(GENERATED_SHADOWS in named for named in attackers):
        if "generator" in filled:
            raise StudyError(
                f"generator: no attack has the attacker {GENERATED_SHADOWS}, who would use it; allowed is to leave it out"
            )
        return
    generator = filled.setdefault("generator", {})
    _schema_problems(generator, "generator", "generator")
    check_generator(generator)
    for name, experiment in filled["experiments"].items():
        entry = filled["datasets"].get(experiment["dataset"])
        if entry is not None:  # or it is refused elsewhere
            n_classes = len(_source(entry, f"datasets.{experiment['dataset']}").class_names)
            check_reference(experiment["split"], n_classes, f"experiments.{name}")


def _traits(attack: Mapping[str, Any], where: str) -> AttackTraits:
    return registry.find("attack", attack["use"], f"{where}.use").traits


def _check_sight(attack: Mapping[str, Any], filled: dict[str, Any], where: str) -> None:
    """What an attack sees beside logits: probes, which are added where the study does not set them, and the dense release."""
    for defence in attack.get("defences", []):
        _one_of(defence, filled["defences"], f"{where}.defences")
    traits = _traits(attack, where)
    for probe in traits.probes:
        entry = filled["probes"].setdefault(probe, {"use": probe})
        _fill_options("probes", entry, f"probes.{probe}")
        plug_in = registry.find("probe", entry["use"], f"probes.{probe}.use")
        if plug_in.traits.recorded and {entry["use"], probe} != {plug_in.name}:
            raise StudyError(
                f"probes.{probe}.use = {entry['use']!r}: it is recorded under its own name only; "
                f"allowed is the name {plug_in.name}"
            )
        if plug_in.traits.recorded and GENERATED_SHADOWS in attack.get("attackers", filled["attackers"]):
            raise StudyError(
                f"{where}.attackers: {attack['use']} needs losses that are recorded while the shadow models "
                f"train on the pool, which those of {GENERATED_SHADOWS} do not; allowed are other attackers"
            )
    if traits.dense and attack.get("attackers", ["adaptive"]) != ["adaptive"]:
        raise StudyError(
            f"{where}.attackers = {attack['attackers']}: {attack['use']} sees the dense and the pruned release and has shadows "
            "of both; allowed is [adaptive]"
        )


def _short_traces(study: Study) -> Iterator[str]:
    """Yield a sentence for each attack and phase whose recorded losses would have no spread."""
    for attack, experiment in product(study["attacks"], study["experiments"]):
        recorded = any(map(study.is_recorded, study.probes_of(attack)))
        for pair in study.probed_defences(attack, experiment) if recorded else []:
            n_epochs = study.last_epochs(experiment, **pair)
            if n_epochs < 2:
                yield (
                    f"attacks.{attack}: needs losses of at least 2 epochs; "
                    f"objective {pair['objective']} with constraint {pair['constraint']} ends with "
                    f"{n_epochs} of training or retraining in experiments.{experiment}; "
                    "allowed are more epochs, or defences without this one"
                )


def _one_of(value: str, allowed: Mapping[str, Any], where: str) -> None:
    if value not in allowed:
        raise StudyError(f"{where} = {value!r}: not defined. {registry.suggest(value, allowed)}")


#: an integer is not written 4.0, and a number is neither infinite nor NaN
TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda checker, value: isinstance(value, int) and not isinstance(value, bool),
        "number": lambda checker, value: isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
    }
)


def _with_defaults(validator: type) -> type:
    """A JSON-schema validator that writes defaults into what it checks."""
    check_properties = validator.VALIDATORS["properties"]

    def properties(checker, schemas, instance, schema):
        if isinstance(instance, dict):
            for key, subschema in schemas.items():
                if "default" in subschema:
                    instance.setdefault(key, json.loads(json.dumps(subschema["default"])))
        yield from check_properties(checker, schemas, instance, schema)

    return jsonschema.validators.extend(validator, {"properties": properties}, type_checker=TYPES)


def _schema_problems(settings: dict[str, Any], part: str | None = None, above: str | None = None) -> list[str]:
    """What the schema, or the definition in it named `part`, has against the settings, which stand under the key `above`."""
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    if part is not None:
        schema = {"$defs": schema["$defs"], "$ref": f"#/$defs/{part}"}
    validator = _with_defaults(jsonschema.Draft202012Validator)(schema)
    return [problem for error in validator.iter_errors(settings) for problem in _explain(error, above)]


def _explain(error: jsonschema.ValidationError, above: str | None = None) -> Iterator[str]:
    """One sentence a problem: key, value, what is allowed."""
    where = ".".join([*filter(None, [above]), *map(str, error.absolute_path)])
    prefix = f"{where}." if where else ""
    if error.validator == "additionalProperties":
        allowed = error.schema["properties"]
        for unknown in (key for key in error.instance if key not in allowed):
            yield f"{prefix}{unknown}: unknown key. {registry.suggest(unknown, allowed)}"
        return
    if error.validator == "required":
        yield from (f"{prefix}{key}: missing" for key in error.validator_value if key not in error.instance)
        return
    if "propertyNames" in error.absolute_schema_path:
        allowed = error.schema.get("allowed", "a letter, then letters, digits and _ in lower case")
        yield f"{prefix}{error.instance!r}: a name is {allowed}"
        return
    if error.validator == "pattern":
        yield f"{where} = {error.instance!r}: a name is a letter, then letters, digits and _ in lower case"
        return
    allowed = {
        "anyOf": lambda: f"allowed is {error.schema['allowed']}",
        "type": lambda: f"allowed is {error.validator_value}",
        "enum": lambda: f"allowed is one of {', '.join(map(str, error.validator_value))}",
        "const": lambda: f"allowed is {error.validator_value}: {error.schema['description']}",
        "minimum": lambda: f"allowed is >= {error.validator_value}",
        "exclusiveMinimum": lambda: f"allowed is > {error.validator_value}",
    }
    rule = allowed.get(error.validator, lambda: error.message)()
    yield f"{where} = {error.instance!r}: {rule}"


def check_networks(study: Study, cache: Path) -> None:
    """Refuse models that do not fit their data and constraints that do not fit their model.

    Only building the networks can tell, which needs torch; it is done in a process of its own, and its approval is kept in
    `cache`.
    """
    questions = [
        _question(study, experiment, objective, constraint)
        for experiment in [*study["experiments"], *study.generated]
        for objective, constraint in sorted(
            {
                (study["defences"][name]["objective"], study["defences"][name]["constraint"])
                for name in study.defences_of(experiment)
            }
        )
    ]
    modules = {
        plug_in.module
        for question in questions
        for section in ("objectives", "constraints")
        for plug_in in study.plug_ins(section, question[section.removesuffix("s")], question["experiment"])
    }
    modules |= {study.model_plug_in(question["experiment"], question["objective"]).module for question in questions}
    code = code_digest(*map(module_file, ["mia_pruning.stages.check_networks", *sorted(modules)]))
    approval = cache / f"networks_{fingerprint([questions, code])}.json"
    if approval.is_file():
        return
    command = [sys.executable, "-m", "mia_pruning.stages.check_networks"]
    search_path = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    environment = {**os.environ, "PYTHONPATH": search_path}
    done = subprocess.run(command, input=json.dumps(questions), capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    _raise_all(json.loads(done.stdout))
    approval.parent.mkdir(parents=True, exist_ok=True)
    approval.write_text("[]\n", encoding="utf-8")


def _question(study: Study, experiment: str, objective: str, constraint: str) -> dict[str, Any]:
    """What `stages.check_networks` must know about one defence of one experiment."""
    settings = study.experiment(experiment)
    source = study.sources[settings["dataset"]]
    split, training = settings["split"], study.training(experiment, objective)
    pools = [split["examples"], *([split["shadow_examples"]] if split["protocol"] == "disjoint" else [])]
    return {
        "experiment": experiment,
        "objective": objective,
        "constraint": constraint,
        "settings": {
            "model": study.model(experiment, objective),
            "objective": study.objective(experiment, objective),
            "constraint": study.constraint(experiment, constraint),
        },
        "image_shape": list(source.image_shape),
        "n_classes": len(source.class_names),
        "plans": [
            {
                "n_members": examples // 2,
                "n_reference": split["reference"],
                "batch_size": training["batch_size"],
                "epochs": training["epochs"],
                "precision": training["precision"],
            }
            for examples in dict.fromkeys(pools)
        ],
    }
