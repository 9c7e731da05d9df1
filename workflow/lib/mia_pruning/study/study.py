"""A complete, checked study, and what follows from its settings."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mia_pruning import registry
from mia_pruning.provenance import fingerprint
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import derive, derived_name, is_derived, original_name
from mia_pruning.study.plug_ins import attack_traits, model_options, plug_ins_of, source_of
from mia_pruning.study.reading import overlaid
from mia_pruning.types import BASELINE, DatasetSource

#: Keys of an objective that say what is trained and how, and not what it minimises.
OVERLAYS = ("training", "model")


@dataclass(frozen=True)
class Study:
    """A complete configuration: `settings` is the plain nested dict with all defaults."""

    settings: Mapping[str, Any]

    @property
    def name(self) -> str:
        return self.settings["study"]

    @cached_property
    def identity(self) -> str:
        return fingerprint(self.settings)

    def __getitem__(self, section: str) -> Any:
        return self.settings[section]

    # --- experiments ------------------------------------------------------------------------------

    @cached_property
    def sources(self) -> dict[str, DatasetSource]:
        """Data sets by name."""
        datasets = self["datasets"].items()
        return {name: source_of(entry, f"datasets.{name}") for name, entry in datasets}

    @cached_property
    def generated(self) -> dict[str, dict[str, Any]]:
        """Settings of the experiments with generated examples that attackers need, by name."""
        attacked = [name for name in self["experiments"] if self._met_by_generated_shadows(name)]
        settings = self["experiments"]
        return {derived_name(name): derive(settings[name], self["generator"]) for name in attacked}

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
            if any(
                GENERATED_SHADOWS in self.attackers(attack, experiment, defence)
                for attack in self["attacks"]
            )
        ]

    # --- settings and plug-ins --------------------------------------------------------------------

    def objective(self, name: str) -> dict[str, Any]:
        """An objective's plug-in and options."""
        entry = self["objectives"][name].items()
        return {key: value for key, value in entry if key not in OVERLAYS}

    def constraint(self, experiment: str, name: str) -> dict[str, Any]:
        """A constraint as an experiment has it."""
        return self.experiment(experiment)["constraints"].get(name, self["constraints"][name])

    def training(self, experiment: str, objective: str) -> dict[str, Any]:
        """The training section that an objective has in an experiment."""
        own = self["objectives"][objective]["training"]
        return overlaid(self.experiment(experiment)["training"], own)

    def model(self, experiment: str, objective: str) -> dict[str, Any]:
        """The model section that an objective has in an experiment."""
        own = self["objectives"][objective]["model"]
        model = overlaid(self.experiment(experiment)["model"], own)
        options = model_options(model, f"experiments.{experiment}.model")
        return {"use": model["use"], **options}

    def plug_ins(
        self, section: str, name: str, experiment: str | None = None
    ) -> list[registry.PlugIn]:
        """The plug-ins that an entry of a section uses; of a constraint as the experiment has it."""
        entry = self[section][name]
        if section == "constraints" and experiment is not None:
            entry = self.constraint(experiment, name)
        return plug_ins_of(section, entry, f"{section}.{name}")

    def base_plug_in(self, experiment: str) -> registry.PlugIn:
        """The experiment's own model, which compression counts from."""
        use = self.experiment(experiment)["model"]["use"]
        return registry.find("model", use, f"experiments.{experiment}.model.use")

    def model_plug_in(self, experiment: str, objective: str) -> registry.PlugIn:
        use = self.model(experiment, objective)["use"]
        return registry.find("model", use, f"experiments.{experiment}.model.use")

    # --- defences ---------------------------------------------------------------------------------

    def is_dense(self, experiment: str, constraint: str) -> bool:
        """Return whether a constraint's models are the dense ones as trained."""
        entry = self.constraint(experiment, constraint)
        return entry["use"] == "none" and entry["retrain_epochs"] == 0

    def starts_dense(self, experiment: str, constraint: str) -> bool:
        """Return whether a constraint's models begin as trained dense ones, not untrained."""
        plug_ins = self.plug_ins("constraints", constraint, experiment)
        solvers = [plug_in for plug_in in plug_ins if plug_in.kind == "solver"]
        return not any(solver.traits.from_initial for solver in solvers)

    def takes_subnetworks(self, experiment: str, constraint: str) -> bool:
        """Return whether a constraint takes its networks from trained dense ones by pruning."""
        prunes = self.constraint(experiment, constraint)["use"] != "none"
        return prunes and self.starts_dense(experiment, constraint)

    def last_epochs(self, experiment: str, objective: str, constraint: str) -> int:
        """Epochs of a defence's retraining, or of its training if it is dense."""
        if self.is_dense(experiment, constraint):
            return self.training(experiment, objective)["epochs"]
        return self.constraint(experiment, constraint)["retrain_epochs"]

    def defence_of(self, objective: str, constraint: str) -> str:
        """Name of the defence that combines an objective and a constraint."""
        pair = {"objective": objective, "constraint": constraint}
        return next(name for name, entry in self["defences"].items() if entry == pair)

    # --- attacks ----------------------------------------------------------------------------------

    def attackers(self, attack: str, experiment: str, defence: str) -> list[str]:
        """Attackers that try an attack on a defence.

        Dense shadow models do not attack the baseline where adaptive ones do: they are the same.
        """
        entry = self["attacks"][attack]
        if defence not in entry.get("defences", [defence]):
            return []
        if self.sees_dense(attack):
            constraint = self["defences"][defence]["constraint"]
            return ["adaptive"] if self.takes_subnetworks(experiment, constraint) else []
        named = entry.get("attackers", self["attackers"])
        if defence == BASELINE and "adaptive" in named:
            return [name for name in named if name != "dense_shadows"]
        return list(named)

    def attacks_on(self, experiment: str, defence: str) -> list[tuple[str, str]]:
        """Every (attack, attacker) that tries a defence."""
        return [
            (attack, attacker)
            for attack in self["attacks"]
            for attacker in self.attackers(attack, experiment, defence)
        ]

    def eligible_attacks(self) -> list[str]:
        """Attacks that are tried on every defence, so that all face the same choice.

        The strongest attack is one of these.
        """
        defences = set(self["defences"])
        return [
            name
            for name, entry in self["attacks"].items()
            if defences <= set(entry.get("defences", defences)) and not self.sees_dense(name)
        ]

    def sees_dense(self, attack: str) -> bool:
        """Return whether the attacker also has the dense model that was pruned."""
        return bool(attack_traits(self["attacks"][attack], f"attacks.{attack}").dense)

    # --- probes -----------------------------------------------------------------------------------

    def probes_of(self, attack: str) -> list[str]:
        """Probes that an attack needs besides logits."""
        return list(attack_traits(self["attacks"][attack], f"attacks.{attack}").probes)

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
