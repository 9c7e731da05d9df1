import pytest
import torch

from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.types import StudyError

STATE = {"w": torch.arange(3.0)}


def test_without_a_file_there_is_no_state(tmp_path):
    assert Checkpoint(tmp_path / "c.safetensors", "a").load() is None


def test_a_saved_state_is_loaded_and_the_last_one_counts(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "a")
    checkpoint.save(STATE)
    checkpoint.save({"w": STATE["w"] + 1})
    assert torch.equal(Checkpoint(tmp_path / "c.safetensors", "a").load()["w"], STATE["w"] + 1)


def test_the_state_of_another_identity_is_not_resumed(tmp_path):
    Checkpoint(tmp_path / "c.safetensors", "a").save(STATE)
    assert Checkpoint(tmp_path / "c.safetensors", "b").load() is None


def test_a_removed_checkpoint_is_gone_and_may_be_removed_again(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "a")
    checkpoint.save(STATE)
    checkpoint.remove()
    checkpoint.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_refused_by_its_path(tmp_path):
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "a")
    checkpoint.path.write_bytes(b"damaged")
    with pytest.raises(StudyError, match=r"c\.safetensors"):
        checkpoint.load()
