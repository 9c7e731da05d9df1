"""Who trains what, in which batches, and where every file lies.

Rules, plans and records take it from here; nobody else builds or parses a path of results/.
Methods that rules call have the names of wildcards as parameters.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from mia_pruning.study.generated import ATTACKER as GENERATED_SHADOWS
from mia_pruning.study.generated import derived_name, is_derived, original_name
from mia_pruning.study.study import Study
from mia_pruning.types import BASELINE, StudyError

DATASET = "results/data/{dataset}"
STUDY = "results/{study}"
RUN = STUDY + "/{experiment}/seed_{seed}"
TRAINED = RUN + "/{objective}/trained"
DEFENCE = RUN + "/{objective}/{constraint}"
#: `models_per_job` of an experiment that leaves the number to the plan.
AUTO = "auto"


class Combination(NamedTuple):
    """A defence of an experiment under a seed: it is either in the results or missing from them."""

    experiment: str
    seed: int
    defence: str


class Part(NamedTuple):
    """A file of a table that is gathered over the study, and what its rows are about."""

    about: dict[str, Any]
    path: str


@dataclass(frozen=True)
class Layout:
    """Files and batches of a study.

    planned_batches: models per job of the experiments that leave the number to the plan.
    left_out: combinations that a run for a partial report leaves out.
    """

    study: Study
    planned_batches: Mapping[str, int] = field(default_factory=dict)
    left_out: Collection[Combination] = frozenset()

    # --- data -------------------------------------------------------------------------------------

    def data_folder(self, experiment: str, seed: int | str) -> str:
        """Folder of an experiment's packed examples; a derived experiment has one per seed."""
        if is_derived(experiment):
            return self._run(experiment, seed) + "/examples"
        return DATASET.format(dataset=self.study.experiment(experiment)["dataset"])

    def packed_data(self, experiment: str, seed: str) -> str:
        """Description of the packed examples."""
        return f"{self.data_folder(experiment, seed)}/dataset.json"

    def packed_labels(self, experiment: str, seed: str) -> list[str]:
        """Labels of the packed examples, and which example is the first copy of each."""
        return self._arrays(experiment, seed, "labels", "first_copies")

    def packed_images(self, experiment: str, seed: str) -> list[str]:
        """Packed examples and their labels."""
        return self._arrays(experiment, seed, "images", "labels")

    def _arrays(self, experiment: str, seed: str, *names: str) -> list[str]:
        folder = self.data_folder(experiment, seed)
        return [f"{folder}/{name}.npy" for name in names]

    def original_data(self, experiment: str, seed: str) -> str:
        """Description of the examples that a generator learns from."""
        return self.packed_data(original_name(experiment), seed)

    def original_images(self, experiment: str, seed: str) -> list[str]:
        return self.packed_images(original_name(experiment), seed)

    def original_split(self, experiment: str, seed: str) -> str:
        return self.split_file(original_name(experiment), seed)

    def split_file(self, experiment: str, seed: str) -> str:
        return self._run(experiment, seed) + "/membership.npz"

    def reported_datasets(self) -> list[str]:
        """All data sets but those that only experiments use of which nothing is reported."""
        entries = self.study["experiments"].items()
        reported = {combination.experiment for combination in self.combinations()}
        kept = {entry["dataset"] for name, entry in entries if name in reported}
        lost = {entry["dataset"] for name, entry in entries if name not in reported}
        return [name for name in self.study["datasets"] if name not in lost - kept]

    # --- batches of models ------------------------------------------------------------------------

    def models_per_job(self, experiment: str) -> int:
        """Number of models that one job trains, prunes or retrains.

        Raises:
            StudyError: The study leaves the number to the plan, and there is no plan for it.
        """
        experiment = original_name(experiment)
        given = self.study["experiments"][experiment]["training"]["models_per_job"]
        if given != AUTO:
            return given
        if experiment not in self.planned_batches:
            raise StudyError(
                f"experiments.{experiment}.training.models_per_job = {AUTO!r}",
                "how many these are is not planned yet for the study as it is",
                f"run `make plan STUDY=<its file>` first, which writes results/{self.study.name}/plan.json",
            )
        return self.planned_batches[experiment]

    @property
    def is_complete(self) -> bool:
        """Whether the number of models per job is known for every experiment."""
        open_ones = self.experiments_left_to_the_plan()
        return all(name in self.planned_batches for name in open_ones)

    def experiments_left_to_the_plan(self) -> list[str]:
        """Experiments whose number of models per job is for the plan to decide."""
        entries = self.study["experiments"].items()
        return [name for name, entry in entries if entry["training"]["models_per_job"] == AUTO]

    def members_by_role(self, experiment: str) -> dict[str, tuple[int, int]]:
        """Number of models and of each model's members: targets, and shadows that stand apart."""
        split = self.study.experiment(experiment)["split"]
        roles = {"targets": (split["models"], split["examples"] // 2)}
        if split["protocol"] == "disjoint":
            roles["shadows"] = (split["shadow_models"], split["shadow_examples"] // 2)
        return roles

    def rows_of(self, experiment: str, models: str) -> list[int]:
        """Rows of the membership matrix that a batch trains; shadows stand below the targets.

        models: name of a batch, such as targets_0.
        """
        role, batch = models.rsplit("_", 1)
        counts = {name: count for name, (count, _) in self.members_by_role(experiment).items()}
        size, offset = (
            self.models_per_job(experiment),
            0 if role == "targets" else counts["targets"],
        )
        first = int(batch) * size
        last = min(first + size, counts.get(role, 0))
        return [offset + row for row in range(first, last)]

    def target_rows(self, experiment: str, batch: str) -> list[int]:
        return self.rows_of(experiment, f"targets_{batch}")

    def shadow_rows(self, experiment: str, batch: str) -> list[int]:
        return self.rows_of(experiment, f"shadows_{batch}")

    def batch_names(self, experiment: str) -> list[str]:
        """Names of all batches of an experiment's models.

        Each name is a role and a number, such as targets_0.
        """
        size = self.models_per_job(experiment)
        names = []
        for role, (n_models, _) in self.members_by_role(experiment).items():
            n_batches = -(-n_models // size)
            names += [f"{role}_{batch}" for batch in range(n_batches)]
        return names

    # --- models and their signals -----------------------------------------------------------------

    def dense_model(
        self, experiment: str, seed: str, objective: str, constraint: str, models: str
    ) -> str | list[str]:
        """The batch of trained models that pruning starts from; [] if it starts untrained."""
        if not self.study.starts_dense(experiment, constraint):
            return []
        return f"{self._run(experiment, seed)}/{objective}/trained/{models}.safetensors"

    def trained_models(self, experiment: str, seed: str, objective: str) -> list[str]:
        return self._batches(f"{self._run(experiment, seed)}/{objective}/trained", experiment)

    def pruned_models(
        self, experiment: str, seed: str, objective: str, constraint: str
    ) -> list[str]:
        folder = self._defence(experiment, seed, objective, constraint)
        return self._batches(f"{folder}/pruned", experiment)

    def retrained_models(
        self, experiment: str, seed: str, objective: str, constraint: str
    ) -> list[str]:
        folder = self._defence(experiment, seed, objective, constraint)
        return self._batches(f"{folder}/retrained", experiment)

    def finished_models(
        self, experiment: str, seed: str, objective: str, constraint: str
    ) -> list[str]:
        """Models of a defence as they are released."""
        folder = self._finished(experiment, seed, objective, constraint)
        return self._batches(folder, experiment)

    def released_models(self, experiment: str, seed: str, objective: str, constraint: str) -> str:
        """The batch whose first model is measured."""
        return self.finished_models(experiment, seed, objective, constraint)[0]

    def traces(self, experiment: str, seed: str, objective: str, constraint: str) -> list[str]:
        """Losses that were recorded while the finished models were trained or retrained."""
        folder = self._finished(experiment, seed, objective, constraint)
        return self._batches(folder, experiment, "trace.npy")

    def _batches(self, folder: str, experiment: str, suffix: str = "safetensors") -> list[str]:
        return [f"{folder}/{batch}.{suffix}" for batch in self.batch_names(experiment)]

    def _finished(self, experiment: str, seed: str, objective: str, constraint: str) -> str:
        if self.study.is_dense(experiment, constraint):
            return f"{self._run(experiment, seed)}/{objective}/trained"
        return f"{self._defence(experiment, seed, objective, constraint)}/retrained"

    def _run(self, experiment: str, seed: int | str) -> str:
        return RUN.format(study=self.study.name, experiment=experiment, seed=seed)

    def _defence(self, experiment: str, seed: int | str, objective: str, constraint: str) -> str:
        return f"{self._run(experiment, seed)}/{objective}/{constraint}"

    # --- attacks ----------------------------------------------------------------------------------

    def shadow_folder(
        self, experiment: str, seed: str, objective: str, constraint: str, attacker: str
    ) -> str:
        """Folder of the defence whose models are the attacker's shadow models.

        adaptive: the target's own defence. dense_shadows: the baseline. generated_shadows: the
        target's own defence in the derived experiment.
        """
        if attacker == "dense_shadows":
            return self._defence(experiment, seed, **self.study["defences"][BASELINE])
        if attacker == GENERATED_SHADOWS:
            experiment = derived_name(experiment)
        return self._defence(experiment, seed, objective, constraint)

    def shadow_signals(
        self, experiment: str, seed: str, objective: str, constraint: str, attacker: str
    ) -> str:
        folder = self.shadow_folder(experiment, seed, objective, constraint, attacker)
        return f"{folder}/signals.npy"

    def shadow_probes(
        self,
        experiment: str,
        seed: str,
        objective: str,
        constraint: str,
        attacker: str,
        attack: str,
    ) -> list[str]:
        """Answers of the shadow models to an attack's probes."""
        folder = self.shadow_folder(experiment, seed, objective, constraint, attacker)
        return [f"{folder}/probes/{probe}.npy" for probe in self.study.probes_of(attack)]

    def target_probes(
        self, experiment: str, seed: str, objective: str, constraint: str, attack: str
    ) -> list[str]:
        """Answers of the targets to an attack's probes."""
        folder = self._defence(experiment, seed, objective, constraint)
        return [f"{folder}/probes/{probe}.npy" for probe in self.study.probes_of(attack)]

    def shadow_split(self, experiment: str, seed: str, attacker: str) -> list[str]:
        """Membership of shadow models that have examples of their own."""
        if attacker != GENERATED_SHADOWS:
            return []
        return [self.split_file(derived_name(experiment), seed)]

    def shadow_data(self, experiment: str, seed: str, attacker: str) -> list[str]:
        """Examples of such shadow models: description, images and labels."""
        if attacker != GENERATED_SHADOWS:
            return []
        derived = derived_name(experiment)
        return [self.packed_data(derived, seed), *self.packed_images(derived, seed)]

    def dense_signals(self, experiment: str, seed: str, objective: str, attack: str) -> list[str]:
        """Logits of the dense models of the same objective, for an attacker with both releases."""
        if not self.study.sees_dense(attack):
            return []
        dense = self.study["defences"][BASELINE]["constraint"]
        return [f"{self._defence(experiment, seed, objective, dense)}/signals.npy"]

    def attack_files(
        self, experiment: str, seed: str, objective: str, constraint: str
    ) -> list[str]:
        """Scores of every attack and attacker on a defence, in the order of `Study.attacks_on`."""
        folder = self._defence(experiment, seed, objective, constraint)
        defence = self.study.defence_of(objective, constraint)
        tried = self.study.attacks_on(experiment, defence)
        return [f"{folder}/attacks/{attack}.{attacker}.npz" for attack, attacker in tried]

    # --- combinations and the tables gathered over them -------------------------------------------

    def combinations(self) -> Iterator[Combination]:
        """Every experiment, seed and defence that this run makes, in the order of the study."""
        for combination in all_combinations(self.study):
            if combination not in self.left_out:
                yield combination

    def folder_of(self, combination: Combination) -> str:
        """Folder of a defence's own files."""
        pair = self.study["defences"][combination.defence]
        return self._defence(combination.experiment, combination.seed, **pair)

    def folders_of(self, combination: Combination) -> tuple[str, str, str]:
        """Folders of the files that make a combination: its run's, its objective's, its own."""
        run = self._run(combination.experiment, combination.seed)
        own = self.folder_of(combination)
        return run, str(PurePosixPath(own).parent), own

    def dense_folder_of(self, combination: Combination) -> str:
        """Folder of the dense models of the same objective."""
        objective = self.study["defences"][combination.defence]["objective"]
        dense = self.study["defences"][BASELINE]["constraint"]
        return self._defence(combination.experiment, combination.seed, objective, dense)

    def parts(self, origin: str, file: str) -> list[Part]:
        """Files of a table that is gathered over the study.

        origin: what each of them is of: `defence`, `subnetwork` (a defence that prunes trained
        models), `pruning` (each batch of those) or `training` (each batch that is fitted).
        """
        listed = {
            "defence": self._of_defences,
            "subnetwork": self._of_subnetworks,
            "pruning": self._of_pruning,
            "training": self._of_training,
        }
        return listed[origin](file)

    def _of_defences(self, file: str) -> list[Part]:
        return [Part(of._asdict(), f"{self.folder_of(of)}/{file}") for of in self.combinations()]

    def _of_subnetworks(self, file: str) -> list[Part]:
        return [
            Part(of._asdict(), f"{self.folder_of(of)}/{file}")
            for of in self.combinations()
            if self.study.takes_subnetworks(of.experiment, self._constraint(of))
        ]

    def _of_pruning(self, file: str) -> list[Part]:
        return [
            Part(about, f"{folder}/{batch}.{file}")
            for about, folder in self._of_subnetworks("pruned")
            for batch in self.batch_names(about["experiment"])
        ]

    def _of_training(self, file: str) -> list[Part]:
        return [
            Part({**of._asdict(), "stage": stage}, f"{folder}/{batch}.{file}")
            for of in self.combinations()
            for stage, folder in self._fitted(of).items()
            for batch in self.batch_names(of.experiment)
        ]

    def _fitted(self, of: Combination) -> dict[str, str]:
        """Folders of the models that were trained, pruned and retrained for a combination."""
        folder, constraint = self.folder_of(of), self._constraint(of)
        folders = {}
        if self.study.starts_dense(of.experiment, constraint):
            folders["train"] = str(PurePosixPath(folder).parent / "trained")
        if not self.study.is_dense(of.experiment, constraint):
            folders |= {"prune": f"{folder}/pruned", "retrain": f"{folder}/retrained"}
        return folders

    def _constraint(self, of: Combination) -> str:
        return self.study["defences"][of.defence]["constraint"]


def all_combinations(study: Study) -> Iterator[Combination]:
    """Every experiment, seed and defence of a study, in the order of its file."""
    for experiment in study["experiments"]:
        for seed in study["seeds"]:
            for defence in study["defences"]:
                yield Combination(experiment, seed, defence)


def home_of(path: str) -> str:
    """Return the folder of a run, objective or defence that a file belongs to.

    The logs of the jobs that make the file are in `logs` below it.

    >>> home_of("results/s/e/seed_0/erm/admm/pruned/targets_0.safetensors")
    'results/s/e/seed_0/erm/admm'
    >>> home_of("results/s/e/seed_0/erm/trained/targets_0.csv")
    'results/s/e/seed_0/erm'
    """
    parts = path.split("/")
    is_trained = parts[5:6] == ["trained"]
    depth = 5 if is_trained else min(6, len(parts) - 1)
    return "/".join(parts[:depth])
