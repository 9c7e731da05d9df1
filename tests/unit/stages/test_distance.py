import numpy as np
import pandas as pd
import pytest

from mia_pruning.stages.distance import distances, measure_distance
from mia_pruning.stages.prune import prune_models, retrain_models

MAGNITUDE = {"use": "cardinality", "solver": "magnitude"}


@pytest.fixture
def distance(files, batch, tmp_path, pruning_tables):
    """Prunes, retrains and measures models 0 and 1."""

    def run(compression, retrain_epochs=2):
        pruned, retrained = (
            str(tmp_path / f"{name}.safetensors") for name in ("pruned", "retrained")
        )
        constraint = {**MAGNITUDE, "compression": compression}
        prune_models(
            batch(range(4), "prune", pruned, constraint=constraint),
            files.dense,
            **pruning_tables(tmp_path),
        )
        retrain_models(
            batch(range(4), "retrain", retrained, retrain_epochs=retrain_epochs),
            pruned,
            str(tmp_path / "h.csv"),
        )
        models = {"dense": [files.dense], "pruned": [pruned], "retrained": [retrained]}
        settings = {
            "model": batch([0], "train", "x").settings["model"],
            "objective": {"use": "erm"},
        }
        measure_distance(
            files.dataset, files.split, models, settings, str(tmp_path / "distance.csv")
        )
        return pd.read_csv(tmp_path / "distance.csv").set_index(["stage", "model"])

    return run


def test_a_subnetwork_that_is_the_whole_network_answers_the_same(distance):
    measured = distance(1, retrain_epochs=0)
    assert (measured[["total_variation", "relative_logit_distance", "answers_changed"]] == 0).all(
        axis=None
    )


def test_the_distance_grows_with_sparsity(distance):
    light, heavy = (distance(rate).loc["pruned", "total_variation"].mean() for rate in (1.3, 8))
    assert 0 < light < heavy


def test_each_model_and_stage_has_a_row(distance):
    assert sorted(distance(3).index) == [
        (stage, row) for stage in ("pruned", "retrained") for row in range(4)
    ]


def test_distances_by_hand():

    one, other = np.log([[0.5, 0.5], [0.9, 0.1]]), np.log([[0.2, 0.8], [0.9, 0.1]])
    found = distances(one, other)
    assert found["total_variation"] == pytest.approx(0.15)
    assert found["largest_total_variation"] == pytest.approx(0.3)
    assert found["answers_changed"] == 0.5
