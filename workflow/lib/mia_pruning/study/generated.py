"""The experiment of an attacker without data, derived from an experiment of the study.

The attacker `generated_shadows` has no example of the distribution except those that a generator
was fitted to: the experiment's reference set. Its shadow models are the models (the "targets") of
a derived experiment, which has the same network, training and defences, but generated examples. It
runs through the same rules; it is neither evaluated nor reported. A dot in its name keeps it apart
from every name that a study may give.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from mia_pruning.traits import AttackTraits
from mia_pruning.types import StudyError

ATTACKER = "generated_shadows"
SUFFIX = ".generated"
#: A generator is fitted to at least this many examples of each class, on average.
FEWEST_PER_CLASS = 10
#: Attacks with one of these traits compare shadow models with the target on the target's own
#: examples.
SAME_EXAMPLES = ("by_example", "inside", "dense", "images")


def derived_name(experiment: str) -> str:
    return f"{experiment}{SUFFIX}"


def original_name(experiment: str) -> str:
    """Return the name of the experiment that this one is derived from, or is.

    >>> original_name("lenet5.generated"), original_name("lenet5")
    ('lenet5', 'lenet5')
    """
    return experiment.removesuffix(SUFFIX)


def is_derived(experiment: str) -> bool:
    return experiment.endswith(SUFFIX)


def experiment_names(settings: Mapping[str, Any]) -> list[str]:
    """Return the names of a study's experiments.

    If the study has a generator, those derived from them are included.

    >>> experiment_names({"experiments": {"e": {}}, "generator": {"models": 4}})
    ['e', 'e.generated']
    """
    names = list(settings["experiments"])
    return [*names, *(map(derived_name, names) if "generator" in settings else [])]


def derive(experiment: Mapping[str, Any], generator: Mapping[str, Any]) -> dict[str, Any]:
    """Return the experiment with generated examples and all models in one pool.

    By default the pool is as large as that of the targets, so that as many examples train a model.
    Reference and test set keep their size, but are generated too.
    """
    split = experiment["split"]
    pool = {
        "protocol": "pool",
        "examples": generator.get("examples", split["examples"]),
        "models": generator["models"],
        "shadow_examples": 0,
        "shadow_models": 0,
    }
    return {**experiment, "split": {**split, **pool}}


def n_generated(experiment: Mapping[str, Any]) -> int:
    """Return the number of examples that a derived experiment needs."""
    split = experiment["split"]
    return split["examples"] + split["reference"] + split["test"]


def check_generator(generator: Mapping[str, Any]) -> None:
    """Refuse uneven numbers: models come in pairs that share the pool by halves."""
    for key in ("models", "examples"):
        if generator.get(key, 0) % 2:
            where = f"generator.{key} = {generator[key]}"
            problem = "models come in complementary pairs, so it must be even"
            raise StudyError(where, problem, f"set it to {generator[key] + 1}")


def check_reference(split: Mapping[str, Any], n_classes: int, where: str) -> None:
    """Refuse a reference set that is too small to fit a generator to."""
    needed = FEWEST_PER_CLASS * n_classes
    if split["reference"] < needed:
        enough = f">= {needed}, {FEWEST_PER_CLASS} for each of {n_classes} classes"
        raise StudyError(
            f"{where}.split.reference = {split['reference']}",
            f"the attacker {ATTACKER} fits its generator to these examples",
            f"allowed is {enough}",
        )


def check_attack(use: str, traits: AttackTraits, attackers: Iterable[str], where: str) -> None:
    """Refuse an attack that needs shadow models on the target's own examples."""
    if ATTACKER in attackers and any(getattr(traits, trait) for trait in SAME_EXAMPLES):
        raise StudyError(
            f"{where}.attackers",
            f"{use} compares the target with shadow models on the same examples, and those of "
            f"{ATTACKER} have generated examples only",
            "allowed are other attackers",
        )
