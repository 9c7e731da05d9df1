"""A Slurm cluster on this machine, from Debian's packages: two CPU nodes, and one that declares two GPUs.

`python tests/cluster/slurm.py up` installs what is missing, as root, and starts it; `down` ends what `up` started, by its pid
files, and removes what it wrote. Slurm's commands find a cluster by /etc/slurm/slurm.conf alone, so one that is not ours is
never touched.
"""

import argparse
import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
PROGRAMS = ("slurmctld", "slurmd", "sbatch", "munged")
CONFIGURATION, RESOURCES = Path("/etc/slurm/slurm.conf"), Path("/etc/slurm/gres.conf")
#: the first line of our configuration, before the folder with all else
MARK = "# a test cluster of mia-pruning, its state: "
#: name -> port and megabytes, which are declared and not reserved
NODES = {"cpu1": (17001, 16000), "cpu2": (17002, 16000), "gpu1": (17003, 16000)}
N_GPUS = 2
CPUS = 4
#: that a daemon may take to answer or to end, in seconds
PATIENCE = 30


class Unavailable(Exception):
    """Why there can be no cluster here, in a sentence."""


def install() -> None:
    """What is missing, by apt."""
    if all(map(shutil.which, PROGRAMS)):
        return
    if shutil.which("apt-get") is None:
        raise Unavailable(
            f"Slurm is not installed, and without apt-get it cannot be; needed: {', '.join(PROGRAMS)}"
        )
    if os.geteuid() != 0:
        raise Unavailable(
            f"Slurm is not installed: run `sudo apt-get install {' '.join(PACKAGES)}`, or this as root"
        )
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *PACKAGES]
    quiet = {
        "capture_output": True,
        "text": True,
        "env": {**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
    }
    if subprocess.run(command, **quiet, check=False).returncode:
        subprocess.run(["apt-get", "update"], **quiet, check=False)
        done = subprocess.run(command, **quiet, check=False)
        if done.returncode:
            raise Unavailable(
                f"`{' '.join(command)}` failed: {done.stderr.strip() or done.stdout.strip()}"
            )


class Cluster:
    """The daemons and their folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def found(cls) -> "Cluster | None":
        """Ours, whether it still answers or not."""
        if not CONFIGURATION.is_file():
            return None
        first = CONFIGURATION.read_text(encoding="utf-8").split("\n")[0]
        return cls(Path(first.removeprefix(MARK))) if first.startswith(MARK) else None

    @classmethod
    def running(cls) -> "Cluster | None":
        """Ours, if it answers; what one leaves that died with its machine, or was killed, is removed."""
        left = cls.found()
        if left is None or left.answers():
            return left
        left.down()
        return None

    def answers(self) -> bool:
        return run(["scontrol", "ping"], check=False).returncode == 0

    def up(self) -> None:
        """Start every daemon and wait until each node is idle."""
        if os.geteuid() != 0:
            raise Unavailable(
                f"only root can start Slurm's daemons: run `sudo {sys.executable} {__file__} up`"
            )
        for path in (CONFIGURATION, RESOURCES):
            if path.exists():
                raise Unavailable(
                    f"{path} is there: this machine has a cluster already, which is left alone"
                )
        try:
            self._start()
        except BaseException:
            self.down()
            raise

    def _start(self) -> None:
        for name in ("state", "spool", "gpu"):
            (self.folder / name).mkdir(parents=True)
        for number in range(N_GPUS):
            # Slurm wants device files; these two are the null device.
            os.mknod(self.folder / "gpu" / f"nvidia{number}", 0o666 | 0o020000, os.makedev(1, 3))
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        CONFIGURATION.write_text(self._configuration(), encoding="utf-8")
        RESOURCES.write_text(
            f"NodeName=gpu1 Name=gpu Type=fake Count={N_GPUS} File={self.folder}/gpu/nvidia[0-{N_GPUS - 1}] "
            "Flags=nvidia_gpu_env\n",
            encoding="utf-8",
        )
        self._start_munge()
        self.start_controller()
        for node in NODES:
            self.start_node(node)

    def down(self) -> None:
        """End every daemon and what it started, and remove every file."""
        if self.answers():
            run(["scancel", f"--user={getpass.getuser()}"], check=False)
            with contextlib.suppress(RuntimeError):  # a node may be dead, and its job never end
                _wait_for(
                    lambda: not run(["squeue", "--noheader"], check=False).stdout,
                    "the queue is not empty",
                )
        for name in [*(f"slurmd-{node}" for node in NODES), "slurmctld", "munged"]:
            self.end(name)
        for path in (CONFIGURATION, RESOURCES):
            path.unlink(missing_ok=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def start_controller(self) -> None:
        run(["slurmctld"])
        _wait_for(self.answers, "slurmctld does not answer")

    def start_node(self, node: str, hidden: Path | None = None) -> None:
        """hidden: a folder that this node does not see, as if it were on another machine's disk."""
        apart = (
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                f"mount -t tmpfs none '{hidden}' && exec \"$@\"",
                "sh",
            ]
            if hidden
            else []
        )
        run([*apart, "slurmd", "-N", node])
        run(["scontrol", "update", f"NodeName={node}", "State=RESUME"], check=False)
        _wait_for(
            lambda: self.state(node) in ("idle", "mixed", "allocated"),
            f"node {node} does not come up",
        )

    def state(self, node: str) -> str:
        """What Slurm says of a node: idle, mixed, allocated, down, ..."""
        return (
            run(["sinfo", "--noheader", "--nodes", node, "--format", "%T"], check=False)
            .stdout.split("\n")[0]
            .strip()
        )

    def end(self, name: str, how: signal.Signals = signal.SIGTERM) -> None:
        """End a daemon (slurmctld, slurmd-NODE, munged) by its pid file and wait until it is gone."""
        file = self.folder / f"{name}.pid"
        try:
            pid = int(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return
        if (
            _program(pid) != name.partition("-")[0]
        ):  # it is gone, and its number may be another process's by now
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, how)
        _wait_for(lambda: not _is_alive(pid), f"{name} does not end")
        file.unlink(missing_ok=True)

    def lose(self, node: str) -> None:
        """What a power cut does to a node: its daemon and all that runs on it are gone at once."""
        victims = _processes_on(node)
        self.end(f"slurmd-{node}", signal.SIGKILL)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def freeze(self, node: str) -> None:
        """Stop the work on a node, as a disk that hangs does; Slurm's daemons go on."""
        for pid in _processes_on(node):
            if not _program(pid).startswith("slurmstepd"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGSTOP)

    def _start_munge(self) -> None:
        files = {
            "key-file": "munge.key",
            "socket": "munge.socket",
            "pid-file": "munged.pid",
            "log-file": "munged.log",
            "seed-file": "munge.seed",
        }
        run(
            [
                "munged",
                "--force",
                *(f"--{option}={self.folder / name}" for option, name in files.items()),
            ]
        )

    def _configuration(self) -> str:
        host = socket.gethostname()
        nodes = "\n".join(
            f"NodeName={node} NodeHostName={host} NodeAddr=127.0.0.1 Port={port} CPUs={CPUS} RealMemory={memory}"
            + (f" Gres=gpu:fake:{N_GPUS}" if node.startswith("gpu") else "")
            for node, (port, memory) in NODES.items()
        )
        return f"""{MARK}{self.folder}
ClusterName=trial
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={self.folder}/munge.socket
CredType=cred/munge
StateSaveLocation={self.folder}/state
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmctldLogFile={self.folder}/slurmctld.log
SlurmctldPort=17000
SlurmdSpoolDir={self.folder}/spool/%n
SlurmdPidFile={self.folder}/slurmd-%n.pid
SlurmdLogFile={self.folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=2
JobAcctGatherParams=OverMemoryKill
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SlurmdParameters=config_overrides
# a dead node is noticed, and a job over its time ended, within seconds
SlurmdTimeout=10
KillWait=5
ReturnToService=2
MinJobAge=3600
GresTypes=gpu
AccountingStorageType=accounting_storage/none
{nodes}
PartitionName=cpu Nodes=cpu[1-2] Default=YES
PartitionName=gpu Nodes=gpu1
"""


def run(command: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
    """A command on our cluster, whichever else there may be."""
    ours = {**os.environ, "SLURM_CONF": str(CONFIGURATION)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=ours)
    if check and done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done


def _wait_for(happened, otherwise: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not happened():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{otherwise} within {PATIENCE} s")
        time.sleep(0.1)


def _is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be collected does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
            != "Z"
        )
    except (FileNotFoundError, ProcessLookupError):
        return False


def _processes_on(node: str) -> list[int]:
    """Each step's daemon on a node, and what runs below it; the environment of that tells the node."""
    steps = [pid for pid in _all_processes() if _program(pid).startswith("slurmstepd")]
    trees = [[step, *_descendants(step)] for step in steps]
    return [
        pid
        for tree in trees
        if any(_environment_has(pid, f"SLURMD_NODENAME={node}") for pid in tree)
        for pid in tree
    ]


def _all_processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _program(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    return ""


def _environment_has(pid: int, entry: str) -> bool:
    with contextlib.suppress(OSError):
        return entry.encode() in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _descendants(pid: int) -> list[int]:
    parents = [line.split() for line in run(["ps", "-eo", "pid,ppid"]).stdout.splitlines()[1:]]
    children = [int(child) for child, parent in parents if int(parent) == pid]
    return [each for child in children for each in (child, *_descendants(child))]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="slurm.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("action", choices=["up", "down"])
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp/mia-pruning-slurm"))
    arguments = parser.parse_args()
    try:
        if arguments.action == "down" and (cluster := Cluster.found()) is not None:
            cluster.down()
        elif arguments.action == "up" and Cluster.running() is None:
            install()
            Cluster(arguments.folder).up()
    except Unavailable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
