"""The needs of each attack of a study.

They are what it asked of the models, under which protocol, and what it learnt from.
"""

from collections.abc import Mapping
from typing import Any

from mia_pruning.registry import catalogue, find
from mia_pruning.reporting.style import readable
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS

#: Each trait of an attack lets it see this.
SIGHTS = {
    "dense": "the dense release beside the pruned one",
    "images": "the images",
    "by_example": "shadow models that were not trained on the example",
    "inside": "shadow models that were",
}


def attack_needs(settings: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return one row an attack and experiment, for the settings of a complete study."""
    return [
        {
            "attack": name,
            "use": entry["use"],
            "experiment": experiment,
            **_needs(name, entry, of_experiment["split"], settings),
        }
        for name, entry in settings["attacks"].items()
        for experiment, of_experiment in settings["experiments"].items()
    ]


def _needs(
    name: str, entry: Mapping[str, Any], split: Mapping[str, Any], settings: Mapping[str, Any]
) -> dict[str, str]:
    traits = find("attack", entry["use"], f"attacks.{name}.use").traits
    asked = list(map(_asked, traits.probes))
    asked += [words for trait, words in SIGHTS.items() if getattr(traits, trait)]
    attackers = entry.get("attackers", settings["attackers"])
    learns = (
        [_shadows(entry, split, traits.threshold_option)]
        if {"adaptive", "dense_shadows"} & set(attackers)
        else []
    )
    learns += ["half of the target's own members"] if "known_members" in attackers else []
    learns += [_generated(settings["generator"], split)] if GENERATED_SHADOWS in attackers else []
    if not traits.learns:
        learns = ["nothing"]
    return {
        "protocol": split["protocol"],
        "asked": "; ".join(asked) or "logits",
        "learns": "; ".join(learns),
    }


def _asked(probe: str) -> str:
    built_in = catalogue("probe").get(probe)
    if built_in is not None and built_in.traits.recorded:
        return "the losses along training"
    return f"the answers to {readable(probe)}"


def _shadows(entry: Mapping[str, Any], split: Mapping[str, Any], option: str) -> str:
    """Say how many shadow models there were, and what they saw.

    option: that of an attack which needs a few for its threshold alone.
    """
    pool = split["protocol"] == "pool"
    n_shadows = split["models"] - entry["targets_per_group"] if pool else split["shadow_models"]
    saw = "of which half saw each example" if pool else "none of which saw the target's examples"
    if option:
        return f"{min(entry[option], n_shadows)} shadow models, for its threshold alone"
    return f"{n_shadows} shadow models, {saw}"


def _generated(generator: Mapping[str, Any], split: Mapping[str, Any]) -> str:
    """Describe the shadow models of the attacker without data, and its generator's data."""
    return (
        f"{generator['models']} shadow models of generated examples, and of the data only the "
        f"{split['reference']} reference examples that the generator was fitted to"
    )
