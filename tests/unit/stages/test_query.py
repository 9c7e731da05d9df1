import numpy as np
import pytest
import torch

from mia_pruning import storage
from mia_pruning.stages.networks import build, read_models, write_models
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.query import query_models

SETTINGS = {
    "model": {"use": "lenet5", "channels": [2, 3], "hidden": 8},
    "objective": {"use": "erm"},
}


def test_signals_are_each_models_logits_on_pool_test_and_reference(files, tmp_path):
    query_models(
        files.dataset,
        files.split,
        [files.dense],
        SETTINGS,
        str(tmp_path / "signals.npy"),
        {"rule": "r"},
    )
    logits = storage.read_array(tmp_path / "signals.npy")
    packed, split = read_packed(files.dataset), read_split(files.split)
    order = [*split.pool, *split.test, *split.reference]
    assert logits.shape == (4, len(order), 3)
    assert logits.dtype == np.float32
    mean, deviation = packed.description["mean"][0], packed.description["deviation"][0]
    for row in (0, 3):
        network = build(SETTINGS, (16, 16, 1), 3)
        network.load_state_dict(storage.select(read_models(files.dense)[row], "weights"))
        for position in (0, 17, len(order) - 1):
            image = (packed.images[order[position]].astype(np.float64) - mean) / deviation
            answer = network.eval()(torch.tensor(image, dtype=torch.float32).permute(2, 0, 1)[None])
            np.testing.assert_allclose(
                logits[row, position], answer[0].detach(), rtol=1e-4, atol=1e-5
            )
    assert storage.read_json(tmp_path / "signals.json") == {
        "shape": list(logits.shape),
        "provenance": {"rule": "r"},
    }


def test_batches_of_models_are_put_in_the_order_of_their_rows(files, tmp_path):
    models = read_models(files.dense)
    for number, rows in enumerate([(2, 3), (0, 1)]):
        write_models(
            str(tmp_path / f"{number}.safetensors"), {row: models[row] for row in rows}, {}
        )
    paths = [str(tmp_path / f"{number}.safetensors") for number in (0, 1)]
    query_models(files.dataset, files.split, paths, SETTINGS, str(tmp_path / "split.npy"), {})
    query_models(
        files.dataset, files.split, [files.dense], SETTINGS, str(tmp_path / "whole.npy"), {}
    )
    np.testing.assert_array_equal(
        storage.read_array(tmp_path / "split.npy"), storage.read_array(tmp_path / "whole.npy")
    )


def test_answers_that_are_not_finite_are_refused_by_model(files, tmp_path):
    models = read_models(files.dense)
    models[2]["weights/fc2.bias"][0] = float("nan")
    write_models(str(tmp_path / "nan.safetensors"), models, {})
    with pytest.raises(ArithmeticError, match="model 2"):
        query_models(
            files.dataset,
            files.split,
            [str(tmp_path / "nan.safetensors")],
            SETTINGS,
            str(tmp_path / "s.npy"),
            {},
        )
    assert not (tmp_path / "s.npy").exists()
