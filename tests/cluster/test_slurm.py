"""The test cluster leaves alone what is not its own; no cluster is needed to see it."""

import os
import subprocess
import sys

import pytest
import slurm


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """A machine with a cluster of somebody else's, and the commands that are run on it."""
    configuration, commands = tmp_path / "slurm.conf", []
    configuration.write_text("ClusterName=work\n", encoding="utf-8")
    monkeypatch.setattr(slurm, "CONFIGURATION", configuration)
    monkeypatch.setattr(slurm, "run", lambda command, check=True: commands.append(command))
    monkeypatch.setattr(slurm, "install", lambda: None)
    return configuration, commands


@pytest.mark.parametrize("action", ["up", "down"])
def test_another_cluster_is_left_alone(action, foreign, monkeypatch, tmp_path):
    configuration, commands = foreign
    monkeypatch.setattr(sys, "argv", ["slurm.py", action, "--folder", str(tmp_path / "state")])
    slurm.main()
    assert configuration.read_text(encoding="utf-8") == "ClusterName=work\n"
    assert commands == []
    assert not (tmp_path / "state").exists()


def test_a_cluster_that_does_not_come_up_leaves_nothing_behind(monkeypatch, tmp_path):
    if slurm.os.geteuid() != 0:
        pytest.skip("only root makes device files")
    monkeypatch.setattr(slurm, "CONFIGURATION", tmp_path / "slurm.conf")
    monkeypatch.setattr(slurm, "RESOURCES", tmp_path / "gres.conf")
    monkeypatch.setattr(slurm, "PATIENCE", 1)
    monkeypatch.setattr(
        slurm.Cluster,
        "start_controller",
        lambda self: slurm._wait_for(lambda: False, "slurmctld does not answer"),
    )
    with pytest.raises(RuntimeError, match="slurmctld does not answer"):
        slurm.Cluster(tmp_path / "state").up()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_cluster_left_is_removed_and_a_process_that_has_its_number_now_lives(
    monkeypatch, tmp_path
):
    configuration, resources, state = (
        tmp_path / "slurm.conf",
        tmp_path / "gres.conf",
        tmp_path / "state",
    )
    state.mkdir()
    for name in ("slurmctld", "slurmd-cpu1", "munged"):
        (state / f"{name}.pid").write_text(str(os.getpid()), encoding="utf-8")
    configuration.write_text(f"{slurm.MARK}{state}\nClusterName=trial\n", encoding="utf-8")
    resources.touch()
    monkeypatch.setattr(slurm, "CONFIGURATION", configuration)
    monkeypatch.setattr(slurm, "RESOURCES", resources)
    monkeypatch.setattr(
        slurm,
        "run",
        lambda command, check=True: subprocess.CompletedProcess(command, 1, "", "connect failure"),
    )
    assert slurm.Cluster.running() is None
    assert list(tmp_path.iterdir()) == []
