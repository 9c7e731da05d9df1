"""What a study's jobs ask a cluster for, and how many models each takes: the plan as a file, results/{study}/plan.json.

`mia_pruning.plan` writes it; the Snakefile reads it.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from mia_pruning import storage
from mia_pruning.provenance import fingerprint
from mia_pruning.types import StudyError

NAME = "plan.json"
#: Environment variable with the path of a plan that is read instead of the study's own. It is set
#: while a study is being planned.
PLAN_FILE = "MIA_PRUNING_PLAN_FILE"
#: the rules whose jobs train or ask networks, and are faster on a GPU
GPU_RULES = ("train_targets", "train_shadows", "prune_models", "retrain_models", "query_models", "probe_models")
#: an experiment's key of what belongs to no experiment
WHOLE_STUDY = "study"
#: of the estimate, that a job asks for, beside what Snakemake's own two processes take on the node
MEMORY_ROOM, SNAKEMAKE_MB = 1.5, 600
#: driver and libraries of a GPU, in the memory of the node
GPU_MB = 3000
#: of the estimate, and beside it: nodes differ, shared storage is slow, and a job that is ended at its limit must start anew
TIME_ROOM, START_MINUTES = 3.0, 10


@dataclass(frozen=True)
class Need:
    """The largest job of a rule: resident bytes and seconds, as estimated."""

    memory_bytes: float
    seconds: float


@dataclass(frozen=True)
class Layout:
    """Models a job, for an experiment whose `experiment_identity` is `of`."""

    of: str
    models_per_job: int


@dataclass(frozen=True)
class Requests:
    """study: the fingerprint of the settings. device: cpu or gpu, what the seconds are of. needs: by rule and experiment."""

    study: str
    device: str
    needs: Mapping[str, Mapping[str, Need]]
    layouts: Mapping[str, Layout]

    def memory_mb(self, rule: str, experiment: str | None, attempt: int) -> int:
        """The estimate with room, more of it with each attempt, and what the job has around it; in steps of 100.

        >>> need = {"train_targets": {"e": Need(memory_bytes=1e9, seconds=60)}}
        >>> Requests("", "cpu", need, {}).memory_mb("train_targets", "e", 1)
        2100
        >>> Requests("", "cpu", need, {}).memory_mb("train_targets", "e", 2)
        3600
        """
        on_gpu = self.device == "gpu" and rule in GPU_RULES
        around = SNAKEMAKE_MB + GPU_MB * on_gpu
        return 100 * math.ceil((attempt * MEMORY_ROOM * self._need(rule, experiment).memory_bytes / 1e6 + around) / 100)

    def minutes(self, rule: str, experiment: str | None, attempt: int) -> int:
        """
        >>> Requests("", "cpu", {"train_targets": {"e": Need(1e9, 60)}}, {}).minutes("train_targets", "e", 2)
        26
        """
        return math.ceil(attempt * (TIME_ROOM * self._need(rule, experiment).seconds / 60 + START_MINUTES))

    def _need(self, rule: str, experiment: str | None) -> Need:
        try:
            return self.needs[rule][experiment or WHOLE_STUDY]
        except KeyError:
            raise StudyError(
                f"{NAME} of this study knows no {rule} of {experiment}: run `make plan` for the study as it is"
            ) from None

    def write(self, path: Path) -> None:
        storage.write_json(path, asdict(self))


def read_requests(path: Path) -> Requests | None:
    """The plan in this file; None if the file does not exist."""
    if not path.is_file():
        return None
    content = storage.read_json(path)
    try:
        needs = {rule: {name: Need(**need) for name, need in entries.items()} for rule, entries in content["needs"].items()}
        layouts = {name: Layout(**layout) for name, layout in content["layouts"].items()}
        return Requests(content["study"], content["device"], needs, layouts)
    except (KeyError, TypeError, AttributeError) as error:
        raise StudyError(
            f"{path}: not a plan that this version understands ({error}); delete it and run `make plan` again"
        ) from error


def experiment_identity(experiment: Mapping) -> str:
    """Of what decides an experiment's dense models: with the same, the number of models a job stays as it was once planned."""
    return fingerprint([experiment[key] for key in ("dataset", "model", "split", "training")])
