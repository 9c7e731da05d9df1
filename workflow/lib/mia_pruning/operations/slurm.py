"""Checks before a study goes to a Slurm cluster: its profile, and jobs of an earlier run.

They find what is sure to fail. Nothing here submits, schedules or watches jobs: Snakemake's Slurm
plugin does.
"""

import getpass
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mia_pruning.options import suggest
from mia_pruning.study.reading import read_yaml
from mia_pruning.types import StudyError

#: Only the machine itself sees these file systems, unless it exports them.
LOCAL_FILE_SYSTEMS = {
    "ext2",
    "ext3",
    "ext4",
    "xfs",
    "btrfs",
    "zfs",
    "f2fs",
    "tmpfs",
    "ramfs",
    "overlay",
    "aufs",
}
#: A node may take this many seconds to say whether it sees a file.
PATIENCE = 30
#: This command runs a step of a second on one node, away from this folder.
ASKING = [
    "srun",
    "--quiet",
    "--time=1",
    "--ntasks=1",
    "--mem=50",
    "--chdir=/",
    f"--immediate={PATIENCE}",
]


@dataclass(frozen=True)
class Profile:
    """A Snakemake profile: a folder with config.yaml, or that file."""

    path: Path

    @property
    def file(self) -> Path:
        return self.path if self.path.is_file() else self.path / "config.yaml"

    @cached_property
    def settings(self) -> dict[str, Any]:
        return read_yaml(self.file)

    @property
    def uses_slurm(self) -> bool:
        return self.settings.get("executor") == "slurm"

    @property
    def device(self) -> str:
        """Device that the study's networks run on, `cpu` or `gpu`."""
        return "gpu" if any(request.gpus for request in self.requests.values()) else "cpu"

    @cached_property
    def requests(self) -> "dict[str, Request]":
        """Distinct requests for a place, by the key of the profile that makes each."""
        default = self._resources("default-resources", self.settings.get("default-resources"))
        named = {"default-resources": default}
        rules = self.settings.get("set-resources") or {}
        if not isinstance(rules, Mapping):
            raise StudyError(
                f"{self.file}, set-resources = {rules!r}",
                allowed="allowed is a mapping of rules to their resources",
            )
        for rule, resources in rules.items():
            named[f"set-resources.{rule}"] = {
                **default,
                **self._resources(f"set-resources.{rule}", resources),
            }
        found: dict[Request, str] = {}
        for key, resources in named.items():
            found.setdefault(self._request(key, resources), key)
        return {key: request for request, key in found.items()}

    def _resources(self, key: str, entries: Any) -> dict[str, Any]:
        """Return resources as a mapping; a profile may also write them as a list of strings."""
        if isinstance(entries, Mapping):
            return dict(entries)
        try:
            return dict(entry.split("=", 1) for entry in entries or [])
        except (AttributeError, TypeError, ValueError):
            raise StudyError(
                f"{self.file}, {key} = {entries!r}",
                allowed="allowed is a mapping, or a list of name=value",
            ) from None

    def _request(self, key: str, resources: Mapping[str, Any]) -> "Request":
        partition, account, gpu_type = (
            resources.get(name) for name in ("slurm_partition", "slurm_account", "gpu_model")
        )
        gpus = str(resources.get("gpu") or 0)
        if not gpus.isdigit():
            raise StudyError(
                f"{self.file}, {key}.gpu = {gpus!r}", allowed="allowed is a whole number >= 0"
            )
        return Request(partition, account, int(gpus), gpu_type)


@dataclass(frozen=True)
class Request:
    """The place where a job is to run, and its number and type of GPUs."""

    partition: str | None
    account: str | None
    gpus: int
    gpu_type: str | None

    @property
    def options(self) -> list[str]:
        """Options of sbatch and srun."""
        kind = f"{self.gpu_type}:" if self.gpu_type else ""
        return [
            *([f"--partition={self.partition}"] if self.partition else []),
            *([f"--account={self.account}"] if self.account else []),
            *([f"--gpus={kind}{self.gpus}"] if self.gpus else []),
        ]


def check(profile: Profile, folder: Path) -> None:
    """Refuse a profile that this cluster cannot serve.

    A folder that its nodes do not see is also refused, and so is a queue with jobs of an earlier
    run.
    """
    if not profile.uses_slurm:
        return
    for program in ("sbatch", "sinfo", "squeue"):
        if shutil.which(program) is None:
            raise StudyError(
                profile.file,
                f"it sends jobs to Slurm, and this machine has no `{program}`",
                "run it on a login node, or without PROFILE",
            )
    check_status_command(profile)
    for key, request in profile.requests.items():
        check_request(request, f"{profile.file}, {key}")
    check_queue(folder)
    check_storage(list(profile.requests.values()), folder)


def check_status_command(profile: Profile) -> None:
    """Refuse `sacct` as the profile's status command if it does not work here.

    Snakemake's plugin asks `sacct` for the state of jobs, unless the profile says otherwise. That
    needs the cluster's accounting.
    """
    default = "sacct" if shutil.which("sacct") else "squeue"
    if profile.settings.get("slurm-status-command", default) == "sacct":
        done = _run(["sacct", "--noheader", "--starttime=now"])
        if done.returncode:
            raise StudyError(
                profile.file,
                f"`sacct` does not work here ({_reason(done)})",
                "add the line slurm-status-command: squeue",
            )


def check_request(request: Request, where: str) -> None:
    partitions = _partitions()
    if request.partition is None and not any(partition.is_default for partition in partitions):
        raise StudyError(
            f"{where}.slurm_partition",
            "missing, and this cluster has no default partition",
            _listed(partitions),
        )
    if request.partition is not None and request.partition not in {
        partition.name for partition in partitions
    }:
        names = [partition.name for partition in partitions]
        raise StudyError(
            f"{where}.slurm_partition = {request.partition!r}",
            "this cluster has no such partition",
            suggest(request.partition, names),
        )
    mine = [
        each
        for each in partitions
        if (each.name == request.partition if request.partition else each.is_default)
    ]
    types = {gpu_type for partition in mine for gpu_type in partition.gpu_types}
    if request.gpus and not types:
        others = sorted({each.name for each in partitions if each.gpu_types})
        elsewhere = f"a partition with GPUs ({', '.join(others)}), or " if others else ""
        raise StudyError(
            f"{where}.gpu = {request.gpus}",
            f"no node of partition {mine[0].name!r} has a GPU",
            f"allowed is {elsewhere}gpu: 0",
        )
    if request.gpu_type and not request.gpus:
        raise StudyError(
            f"{where}.gpu_model = {request.gpu_type!r}",
            "no GPU is requested, gpu = 0",
            "leave gpu_model out, or set gpu: 1",
        )
    if request.gpu_type and request.gpu_type not in types:
        raise StudyError(
            f"{where}.gpu_model = {request.gpu_type!r}",
            f"partition {mine[0].name!r} has {', '.join(sorted(types))}",
        )
    refused = _run(["sbatch", "--test-only", "--time=1", *request.options, "--wrap=true"])
    if refused.returncode:
        reason = _reason(refused)
        raise StudyError(
            where,
            f"Slurm refuses a job of one minute there: {reason}.{_account_hint(request, reason)}",
        )


@dataclass(frozen=True)
class Partition:
    name: str
    is_default: bool
    gpu_types: frozenset[str]


def _partitions() -> list[Partition]:
    done = _run(["sinfo", "--noheader", "--format=%P|%G"])
    if done.returncode:
        raise _silent(done)
    types: dict[str, set[str]] = {}
    for line in done.stdout.split():
        name, resources = line.split("|", 1)
        types.setdefault(name, set()).update(_gpu_types(resources))
    return [
        Partition(name.rstrip("*"), name.endswith("*"), frozenset(found))
        for name, found in types.items()
    ]


def _silent(done: subprocess.CompletedProcess[str]) -> StudyError:
    return StudyError(
        "Slurm",
        f"its controller does not answer ({done.stderr.strip()})",
        "try `sinfo`, or ask the cluster's staff",
    )


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of the errors that a command printed."""
    return (done.stderr.strip().splitlines() or ["it gave no reason"])[-1]


def _gpu_types(resources: str) -> set[str]:
    """Return the GPU types among a node's generic resources.

    A GPU without a type has the type `any`.

    >>> sorted(_gpu_types("gpu:a100:4(S:0-1),gpu:2,lustre:1")), _gpu_types("(null)")
    (['a100', 'any'], set())
    """
    entries = [entry.split("(")[0].split(":") for entry in resources.split(",")]
    return {entry[1] if len(entry) == 3 else "any" for entry in entries if entry[0] == "gpu"}


def _listed(partitions: list[Partition]) -> str:
    return f"allowed is one of {', '.join(partition.name for partition in partitions)}"


def _account_hint(request: Request, reason: str) -> str:
    if "account" not in reason.lower():
        return ""
    state = (
        f"slurm_account = {request.account!r} is not yours"
        if request.account
        else "Set slurm_account"
    )
    return f" {state}; `sacctmgr show associations user={getpass.getuser()} format=account,partition` lists your accounts"


def check_queue(folder: Path) -> None:
    """Refuse to begin while jobs of an earlier run in this folder are in the queue.

    No run is at work here, so the one that sent them is dead.
    """
    mine = read_queue(folder)
    if mine:
        numbers = ", ".join(job.number for job in mine)
        names = " ".join(f"--name={run}" for run in sorted({job.run for job in mine}))
        raise StudyError(
            f"Slurm's queue, jobs {numbers}",
            "they belong to an earlier run in this folder",
            f"if that run was ended, cancel them with `scancel {names}` and run this again; training "
            "resumes from its checkpoints",
        )


@dataclass(frozen=True)
class Queued:
    """A job of this folder in Slurm's queue; `run` is the name of the run that sent it."""

    number: str
    state: str
    node: str
    since: str
    run: str
    name: str


def read_queue(folder: Path) -> list[Queued]:
    """Return the jobs of this folder's runs in Slurm's queue."""
    done = _run(
        ["squeue", "--noheader", f"--user={getpass.getuser()}", "--format=%A|%T|%N|%M|%j|%Z|%k"]
    )
    if done.returncode:
        raise _silent(done)
    rows = [line.split("|", 6) for line in done.stdout.splitlines()]
    return [
        Queued(
            number, state, node, since, run, name.removeprefix("rule_").replace("_wildcards_", " ")
        )
        for number, state, node, since, run, place, name in rows
        if Path(place).resolve() == folder.resolve()
    ]


def check_storage(requests: list[Request], folder: Path) -> None:
    """Refuse a folder whose files the nodes do not see.

    If its file system is usually local, one node of each partition is asked. If none answers in
    time, a warning is printed.

    Raises:
        StudyError: A node does not see the folder's files.
    """
    kind = file_system(folder)
    if kind not in LOCAL_FILE_SYSTEMS:
        return
    for request in {request.partition: request for request in requests}.values():
        partition = (
            f"partition {request.partition!r}" if request.partition else "the default partition"
        )
        witness = folder / f".shared_{uuid.uuid4().hex}"
        witness.touch()
        try:
            answer = _run(
                [
                    *ASKING,
                    *request.options,
                    "sh",
                    "-c",
                    f"test -e '{witness}' && echo seen || echo missing",
                ]
            ).stdout
        finally:
            witness.unlink()
        if "missing" in answer:
            raise StudyError(
                folder,
                f"it is on this machine's own disk ({kind}), which a node of {partition} does not see",
                "put the project on storage that all nodes share, often under $HOME, $WORK or /scratch",
            )
        if "seen" not in answer:
            print(
                f"{folder} is on a disk of this machine ({kind}), and no node of {partition} was free within {PATIENCE} s to say "
                "whether it sees it. If it does not, jobs will fail: use storage that all nodes share.",
                file=sys.stderr,
            )


def file_system(path: Path) -> str:
    """Return the type of the file system of a folder, by the longest mount point above it."""
    mounts = [
        line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    ]
    above = [
        (mount[1], mount[2])
        for mount in mounts
        if path.resolve().is_relative_to(mount[1].replace("\\040", " "))
    ]
    return max(above, key=lambda mount: len(mount[0]))[1]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    outside = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SLURM_", "SBATCH_", "SRUN_"))
    }
    return subprocess.run(command, capture_output=True, text=True, check=False, env=outside)
