"""Complete a configuration: fill in all defaults and refuse, in one message, all that is wrong."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from mia_pruning.data.split import check_size
from mia_pruning.registry import own_keys
from mia_pruning.study import checks
from mia_pruning.study.names import take_titles
from mia_pruning.study.plug_ins import (
    fill_options,
    model_options,
    plug_ins_of,
    require_one_of,
    source_of,
)
from mia_pruning.study.reading import overlaid
from mia_pruning.study.schema import schema_problems
from mia_pruning.study.study import Study
from mia_pruning.types import ConfigurationError, StudyError

#: Sections whose entries use plug-ins.
PLUG_IN_SECTIONS = ("datasets", "objectives", "constraints", "probes", "attacks")
#: Keys of a training section that spread models over jobs and change no result.
BATCHING_KEYS = ("models_per_job", "minutes_per_job")
Check = Callable[[], None]


def complete(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings with all defaults.

    Raises:
        StudyError: The message lists everything that is wrong with the settings.
    """
    filled = json.loads(json.dumps(settings, default=str))
    raise_all(schema_problems(filled))
    raise_all(_problems([lambda: take_titles(filled)]))
    raise_all(_problems(_entry_checks(filled)))
    raise_all(checks.short_traces(Study(filled)))
    return {section: _sorted_below(content) for section, content in filled.items()}


def raise_all(problems: Iterable[StudyError]) -> None:
    """Raise one error with all problems, each once. Without a problem nothing is raised."""
    problems = list(problems)
    if problems:
        raise ConfigurationError(problems)


def _sorted_below(content: Any) -> Any:
    """Return a section whose entries have their keys in alphabetical order.

    So the order of keys in the file changes no job's parameters. The entries themselves keep
    their order, which is the report's.
    """
    if not isinstance(content, dict):
        return content
    in_order = {}
    for name, entry in content.items():
        in_order[name] = json.loads(json.dumps(entry, sort_keys=True))
    return in_order


def _problems(all_checks: Iterable[Check]) -> list[StudyError]:
    """Return the errors of all checks that fail."""
    problems = []
    for check in all_checks:
        try:
            check()
        except StudyError as error:
            problems.append(error)
    return problems


def _entry_checks(filled: dict[str, Any]) -> Iterator[Check]:
    """Yield checks of what a schema cannot say. They fill in plug-ins' defaults on the way."""
    yield lambda: checks.check_study_name(filled["study"])
    for section in PLUG_IN_SECTIONS:
        for name, entry in filled[section].items():
            where = f"{section}.{name}"
            yield lambda section=section, entry=entry, where=where: fill_options(
                section, entry, where
            )
    for name in filled["experiments"]:
        yield from _experiment_checks(filled, name)
    yield from checks.defence_checks(filled)
    yield lambda: _complete_generator(filled)
    for name, attack in filled["attacks"].items():
        where = f"attacks.{name}"
        yield lambda attack=attack, where=where: checks.check_groups(
            attack, filled["experiments"], where
        )
        yield lambda attack=attack, where=where: checks.check_needs(attack, filled, where)
        yield lambda attack=attack, where=where: _complete_probes(attack, filled, where)


def _experiment_checks(filled: dict[str, Any], name: str) -> Iterator[Check]:
    experiment, where = filled["experiments"][name], f"experiments.{name}"
    yield lambda: _complete_experiment(experiment, filled["datasets"], where)
    for entry in list(experiment["constraints"]):
        yield lambda entry=entry: _complete_overlay(
            experiment, entry, filled["constraints"], f"{where}.constraints.{entry}"
        )
    for objective, entry in filled["objectives"].items():
        place = f"objectives.{objective}"
        yield lambda entry=entry, place=place: _check_own_training(
            experiment, entry["training"], f"{place}.training", name
        )
        yield lambda entry=entry, place=place: _check_own_model(
            experiment, entry["model"], f"{place}.model"
        )


def _complete_experiment(
    experiment: dict[str, Any], datasets: Mapping[str, Any], where: str
) -> None:
    require_one_of(experiment["dataset"], datasets, f"{where}.dataset")
    experiment["model"].update(model_options(experiment["model"], f"{where}.model"))
    source = source_of(datasets[experiment["dataset"]], f"datasets.{experiment['dataset']}")
    check_size(experiment["split"], source.n_examples, f"{where}.split")


def _complete_overlay(
    experiment: dict[str, Any], name: str, constraints: Mapping[str, Any], where: str
) -> None:
    """Replace an experiment's overlay by the complete constraint that it stands for.

    An overlay that is refused is removed, so that later checks do not refuse it again.
    """
    over = experiment["constraints"].pop(name)
    require_one_of(name, constraints, where)
    base = constraints[name]
    problems = schema_problems({"use": base["use"], **over}, "constraint", where)
    if problems:
        raise problems[0]
    entry = overlaid(base, over)
    schema_problems(entry, "constraint", where)
    plug_ins = plug_ins_of("constraints", entry, where)
    accepted = {option for plug_in in plug_ins for option in plug_in.options}
    kept = {*over, *accepted, *own_keys("constraints")}
    entry = {key: value for key, value in entry.items() if key in kept}
    fill_options("constraints", entry, where)
    experiment["constraints"][name] = entry


def _check_own_training(
    experiment: Mapping[str, Any], own: Mapping[str, Any], where: str, name: str
) -> None:
    """Check the training that an objective lays over an experiment's."""
    for key in BATCHING_KEYS:
        if key in own:
            place = f"experiments.{name}.training"
            raise StudyError(
                f"{where}.{key}", "it is the experiment's alone", f"allowed in {place}"
            )
    problems = schema_problems({**experiment["training"], **own}, "training", where)
    if problems:
        raise problems[0]


def _check_own_model(experiment: Mapping[str, Any], own: Mapping[str, Any], where: str) -> None:
    """Check the model that an objective lays over an experiment's."""
    if own:
        model_options(overlaid(experiment["model"], own), where)


def _complete_generator(filled: dict[str, Any]) -> None:
    """Fill in the generator where a study has an attacker without data, and check its data."""
    if not checks.needs_generator(filled):
        return
    generator = filled.setdefault("generator", {})
    schema_problems(generator, "generator", "generator")
    checks.check_generated(filled)


def _complete_probes(attack: Mapping[str, Any], filled: dict[str, Any], where: str) -> None:
    """Add the probes that an attack asks for and the study does not set; check what it sees."""
    checks.check_attacked_defences(attack, filled, where)
    for probe in checks.attack_traits(attack, where).probes:
        entry = filled["probes"].setdefault(probe, {"use": probe})
        fill_options("probes", entry, f"probes.{probe}")
        checks.check_probe(probe, entry, attack, filled["attackers"], where)
    checks.check_releases(attack, where)
