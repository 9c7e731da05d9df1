"""The test cluster leaves alone what is not its own; no cluster is needed to see it."""

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
        slurm.Cluster, "start_controller", lambda self: slurm._wait_for(lambda: False, "slurmctld does not answer")
    )
    with pytest.raises(RuntimeError, match="slurmctld does not answer"):
        slurm.Cluster(tmp_path / "state").up()
    assert list(tmp_path.iterdir()) == []
