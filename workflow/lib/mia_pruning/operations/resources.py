"""Resources that a study's jobs request from a cluster, and the number of models per job.

The file is results/{study}/plan.json. `mia_pruning.operations.plan` writes it; the Snakefile reads
it.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mia_pruning import storage
from mia_pruning.provenance import fingerprint
from mia_pruning.study.pipeline import RULES, Rule
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

NAME = "plan.json"
#: This environment variable is the path of a plan that is read instead of the study's own. It is
#: set while a study is being planned.
PLAN_FILE = "MIA_PRUNING_PLAN_FILE"
#: The needs of jobs that belong to no experiment have this key.
WHOLE_STUDY = "study"
#: A job requests 1.5 times its estimated memory, plus 600 MB for Snakemake itself.
MEMORY_ROOM, SNAKEMAKE_MB = 1.5, 600
#: A GPU's driver and libraries take this much of the node's memory.
GPU_MB = 3000
#: A job requests this many times its estimated time, plus these minutes. Nodes differ, shared
#: storage is slow, and a job that is ended at its limit must start again.
TIME_ROOM, START_MINUTES = 3.0, 10
#: These sections of an experiment determine its dense models.
DENSE_SECTIONS = ("dataset", "model", "split", "training")


@dataclass(frozen=True)
class Need:
    """Resident bytes and seconds of the largest job of a rule, as estimated."""

    memory_bytes: float
    seconds: float


@dataclass(frozen=True)
class Batching:
    """Models per job of an experiment whose `experiment_identity` is `of`."""

    of: str
    models_per_job: int


@dataclass(frozen=True)
class Resources:
    """Requests of a study's jobs.

    study: fingerprint of the settings.
    device: `cpu` or `gpu`, for which the seconds hold.
    needs: by rule and experiment.
    batchings: by experiment.
    """

    study: str
    device: str
    needs: Mapping[str, Mapping[str, Need]]
    batchings: Mapping[str, Batching]

    def memory_mb(self, rule: str, experiment: str | None, attempt: int) -> int:
        """Return the megabytes that a job requests, in steps of 100; more with each attempt.

        >>> need = {"train_targets": {"e": Need(memory_bytes=1e9, seconds=60)}}
        >>> Resources("", "cpu", need, {}).memory_mb("train_targets", "e", 1)
        2100
        >>> Resources("", "cpu", need, {}).memory_mb("train_targets", "e", 2)
        3600
        """
        on_gpu = self.device == "gpu" and RULES.get(rule, Rule()).on_gpu
        around = SNAKEMAKE_MB + GPU_MB * on_gpu
        estimate = self._need(rule, experiment).memory_bytes / 1e6
        return 100 * math.ceil((attempt * MEMORY_ROOM * estimate + around) / 100)

    def minutes(self, rule: str, experiment: str | None, attempt: int) -> int:
        """Return the minutes that a job requests; more with each attempt.

        >>> need = {"train_targets": {"e": Need(1e9, 60)}}
        >>> Resources("", "cpu", need, {}).minutes("train_targets", "e", 2)
        26
        """
        estimate = self._need(rule, experiment).seconds / 60
        return math.ceil(attempt * (TIME_ROOM * estimate + START_MINUTES))

    def _need(self, rule: str, experiment: str | None) -> Need:
        try:
            return self.needs[rule][experiment or WHOLE_STUDY]
        except KeyError:
            raise StudyError(
                NAME,
                f"it has no rule {rule} of experiment {experiment}",
                "run `make plan` for the study as it is",
            ) from None

    def models_per_job(self, study: Study) -> dict[str, int]:
        """Return the planned number of models per job, by experiment.

        An experiment is left out if settings changed that determine its dense models.
        """
        planned = {}
        for name, entry in study["experiments"].items():
            batching = self.batchings.get(name)
            if batching is not None and batching.of == experiment_identity(entry):
                planned[name] = batching.models_per_job
        return planned

    def write(self, path: Path) -> None:
        storage.write_json(path, asdict(self))


def read_resources(path: Path) -> Resources | None:
    """Return the plan in this file; None if the file does not exist.

    Raises:
        StudyError: The file is not a plan of this version.
    """
    if not path.is_file():
        return None
    content = storage.read_json(path)
    try:
        needs = {}
        for rule, entries in content["needs"].items():
            needs[rule] = {name: Need(**need) for name, need in entries.items()}
        batchings = {name: Batching(**of) for name, of in content["batchings"].items()}
        return Resources(content["study"], content["device"], needs, batchings)
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            path,
            f"not a plan that this version understands ({error})",
            "delete it and run `make plan` again",
        ) from error


def plan_of(study: Study, results: Path) -> Resources | None:
    """Return the plan of a study, or the plan that the environment names; None without one."""
    own = results / study.name / NAME
    return read_resources(Path(os.environ.get(PLAN_FILE, own)))


def experiment_identity(experiment: Mapping) -> str:
    """Return the fingerprint of the settings that determine an experiment's dense models.

    While it is unchanged, the planned number of models per job is reused.
    """
    return fingerprint([experiment[section] for section in DENSE_SECTIONS])
