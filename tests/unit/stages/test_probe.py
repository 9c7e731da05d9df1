import numpy as np
import pytest
import torch

from mia_pruning import storage
from mia_pruning.seeds import torch_seed
from mia_pruning.stages.networks import build, read_models, write_models
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.probe import probe_models

SETTINGS = {
    "model": {"use": "lenet5", "channels": [2, 3], "hidden": 8},
    "objective": {"use": "erm"},
}
SPY = """
import numpy as np
from mia_pruning.registry import probe

calls = []

@probe
def spy(asked, *, factor: float = 1.0):
    images, labels = zip(*asked.batches())
    first = [float(tensor.sum()) for tensor in asked.untrained().state_dict().values()]
    calls.append((np.concatenate(images), np.concatenate(labels), asked.rng.random(), asked.model.training, first))
    return factor * np.arange(len(asked.data))

@probe
def short(asked):
    return np.zeros(len(asked.data) - 1)

@probe
def infinite(asked):
    return np.full(len(asked.data), np.inf)
"""


@pytest.fixture
def probed(files, tmp_path, monkeypatch):
    (tmp_path / "spying_probe.py").write_text(SPY)
    monkeypatch.syspath_prepend(tmp_path)
    import spying_probe

    def run(name, models=None, **options):
        spying_probe.calls.clear()
        probe = {
            "use": name if name in ("augmented", "gradient_norm") else f"spying_probe.{name}",
            **options,
        }
        output = str(tmp_path / "answers.npy")
        probe_models(
            files.dataset,
            files.split,
            models or [files.dense],
            SETTINGS,
            probe,
            5,
            output,
            {"rule": "r"},
        )
        return storage.read_array(output), list(spying_probe.calls)

    return run


def test_every_model_is_asked_the_same_about_the_pool_in_evaluation_mode(probed, files):
    answers, calls = probed("spy", factor=2.0)
    packed, split = read_packed(files.dataset), read_split(files.split)
    np.testing.assert_array_equal(answers, np.tile(2.0 * np.arange(split.pool.size), (4, 1)))
    for images, labels, drawn, training, first in calls:
        np.testing.assert_array_equal(images.transpose(0, 2, 3, 1), packed.images[split.pool])
        np.testing.assert_array_equal(labels, packed.labels[split.pool])
        assert (drawn, training, first) == (calls[0][2], False, calls[0][4])


def test_the_untrained_network_is_drawn_by_the_seed_alone(probed):
    torch.manual_seed(1)
    _, calls = probed("spy")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(5, "probe", "spying_probe.spy"))
        network = build(SETTINGS, (16, 16, 1), 3)
    assert calls[0][4] == [float(tensor.sum()) for tensor in network.state_dict().values()]


def test_answers_are_in_the_order_of_the_models_rows_and_each_models_own(probed, files, tmp_path):
    models = read_models(files.dense)
    for number, rows in enumerate([(2, 3), (0, 1)]):
        write_models(
            str(tmp_path / f"{number}.safetensors"), {row: models[row] for row in rows}, {}
        )
    whole, _ = probed("augmented")
    parted, _ = probed("augmented", [str(tmp_path / f"{number}.safetensors") for number in (0, 1)])
    np.testing.assert_array_equal(whole, parted)
    assert len({row.tobytes() for row in whole}) == 4
    alone, _ = probed("augmented", [str(tmp_path / "1.safetensors")])
    np.testing.assert_array_equal(alone, whole[:2])


@pytest.mark.parametrize(
    ("name", "message"),
    [("short", r"spying_probe.short on model 0: it must answer each"), ("infinite", "not finite")],
)
def test_answers_that_cannot_be_right_are_refused_by_probe_and_model(probed, name, message):
    with pytest.raises(ArithmeticError, match=message):
        probed(name)
