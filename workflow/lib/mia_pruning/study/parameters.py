"""What the jobs of a study depend on besides their input files: settings, seeds and code.

Snakemake runs a job again when one of these changes. Parameters have the names of wildcards.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mia_pruning import registry
from mia_pruning.modules import module_file
from mia_pruning.provenance import code_digest
from mia_pruning.seeds import derived_seed
from mia_pruning.study.completion import BATCHING_KEYS
from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import is_derived, n_generated
from mia_pruning.study.study import Study

SCRIPTS = Path(__file__).parents[3] / "scripts"
#: Attackers that are no group of targets with the others as shadow models.
WITHOUT_GROUPS = ("known_members", GENERATED_SHADOWS)


def code_of(script: str, *plug_ins: registry.PlugIn) -> str:
    """Digest of a script, of the library modules it imports and of the plug-ins it will load."""
    return code_digest(SCRIPTS / script, *(module_file(plug_in.module) for plug_in in plug_ins))


@dataclass(frozen=True)
class Parameters:
    """Parameters of a study's jobs."""

    study: Study

    def seed(self, experiment: str, seed: str) -> int:
        """Root seed. A derived experiment has its own, so that no initial weights are shared."""
        return derived_seed(int(seed), "generated") if is_derived(experiment) else int(seed)

    # --- data -------------------------------------------------------------------------------------

    def unpublished_files(self, dataset: str) -> list[str]:
        """Source files that only their time of change identifies. The others may come and go."""
        files = self.study.sources[dataset].files.items()
        return [str(path) for path, digest in files if digest is None]

    def dataset(self, dataset: str) -> dict[str, Any]:
        return self.study["datasets"][dataset]

    def source(self, dataset: str) -> dict[str, Any]:
        """Identity of the source data, wherever they are stored."""
        source = self.study.sources[dataset]
        digests = {path.name: digest for path, digest in source.files.items()}
        return {"identity": source.identity, "digests": digests}

    def packing_processes(self, dataset: str) -> int:
        return self.study.sources[dataset].n_processes

    def split(self, experiment: str) -> dict[str, Any]:
        return self.study.experiment(experiment)["split"]

    def generator(self, experiment: str) -> dict[str, Any]:
        """How a generator is fitted, and how many examples it draws."""
        fitting = {key: self.study["generator"][key] for key in ("epochs", "learning_rate")}
        return {**fitting, "n_examples": n_generated(self.study.experiment(experiment))}

    # --- models -----------------------------------------------------------------------------------

    def network(self, experiment: str, objective: str) -> dict[str, Any]:
        """What a network is built from: its model, and what its objective makes of it."""
        return {
            "model": self.study.model(experiment, objective),
            "objective": self.study.objective(objective),
        }

    def training(self, experiment: str, objective: str) -> dict[str, Any]:
        """What training depends on. How models are spread over jobs is not part of it."""
        entries = self.study.training(experiment, objective).items()
        training = {key: value for key, value in entries if key not in BATCHING_KEYS}
        return {**self.network(experiment, objective), "training": training}

    def _solver(self, experiment: str, constraint: str) -> dict[str, Any]:
        """A constraint without its retraining."""
        entries = self.study.constraint(experiment, constraint).items()
        return {key: value for key, value in entries if key != "retrain_epochs"}

    def pruning(self, experiment: str, objective: str, constraint: str) -> dict[str, Any]:
        solver = self._solver(experiment, constraint)
        return {**self.training(experiment, objective), "constraint": solver}

    def retraining(self, experiment: str, objective: str, constraint: str) -> dict[str, Any]:
        epochs = self.study.constraint(experiment, constraint)["retrain_epochs"]
        return {**self.training(experiment, objective), "retrain_epochs": epochs}

    def release(self, experiment: str, objective: str, constraint: str) -> dict[str, Any]:
        return {
            **self.network(experiment, objective),
            "base": self.study.experiment(experiment)["model"],
            "constraint": self._solver(experiment, constraint),
        }

    def training_trace(self, experiment: str, objective: str) -> int:
        """Most epochs of training whose losses are recorded."""
        return self.study.trace_epochs(experiment, objective)

    def retraining_trace(self, experiment: str, objective: str, constraint: str) -> int:
        """Most epochs of retraining whose losses are recorded."""
        return self.study.trace_epochs(experiment, objective, constraint)

    # --- probes and attacks -----------------------------------------------------------------------

    def probe(self, probe: str) -> dict[str, Any]:
        return self.study["probes"][probe]

    def attack(self, attack: str, attacker: str) -> dict[str, Any]:
        """An attack's entry, without what this attacker makes no use of."""
        unused = {"attackers", "defences"}
        if attacker in WITHOUT_GROUPS:
            unused.add("targets_per_group")
        entries = self.study["attacks"][attack].items()
        return {key: value for key, value in entries if key not in unused}

    def attacks(self, experiment: str, objective: str, constraint: str) -> list[tuple[str, str]]:
        """Every (attack, attacker) on a defence."""
        defence = self.study.defence_of(objective, constraint)
        return self.study.attacks_on(experiment, defence)

    # --- code -------------------------------------------------------------------------------------

    def dataset_code(self, script: str, dataset: str) -> str:
        return code_of(script, *self.study.plug_ins("datasets", dataset))

    def dense_code(self, script: str, experiment: str, objective: str) -> str:
        """Code of a script that trains dense models."""
        return code_of(script, *self._network_plug_ins(experiment, objective))

    def defence_code(self, script: str, experiment: str, objective: str, constraint: str) -> str:
        """Code of a script that prunes models, or loads pruned ones."""
        return code_of(
            script,
            *self._network_plug_ins(experiment, objective),
            *self.study.plug_ins("constraints", constraint, experiment),
        )

    def release_code(self, script: str, experiment: str, objective: str, constraint: str) -> str:
        """Code of a script that also builds the experiment's own model."""
        return code_of(
            script,
            *self._network_plug_ins(experiment, objective),
            self.study.base_plug_in(experiment),
            *self.study.plug_ins("constraints", constraint, experiment),
        )

    def probe_code(self, script: str, experiment: str, objective: str, probe: str) -> str:
        use = self.study["probes"][probe]["use"]
        plug_in = registry.find("probe", use, f"probes.{probe}.use")
        return code_of(script, *self._network_plug_ins(experiment, objective), plug_in)

    def attack_code(self, script: str, attack: str) -> str:
        return code_of(script, *self.study.plug_ins("attacks", attack))

    def figure_code(self, script: str, figure: str) -> str:
        return code_of(script, registry.catalogue("figure")[figure])

    def _network_plug_ins(self, experiment: str, objective: str) -> list[registry.PlugIn]:
        model = self.study.model_plug_in(experiment, objective)
        return [model, *self.study.plug_ins("objectives", objective)]
