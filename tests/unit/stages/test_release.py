from pathlib import Path

import pytest
import torch
from opacus.accountants import RDPAccountant

from mia_pruning import storage
from mia_pruning.metrics.compression import decode_sparse
from mia_pruning.stages.networks import build, write_models
from mia_pruning.stages.prune import prune_models, retrain_models
from mia_pruning.stages.release import measure_release
from mia_pruning.stages.train import train_models

MODEL = {"use": "lenet5", "channels": [2, 3], "hidden": 8}
N_WEIGHTS = 2 * 25 + 3 * 2 * 25 + 8 * 3 + 3 * 8
RECORD = {
    "rule": "r",
    "wildcards": {},
    "params": {},
    "inputs": {},
    "node": "here",
    "slurm_job": None,
}


@pytest.fixture
def measured(files, batch, tmp_path):
    def run(keep):
        constraint = {"use": "cardinality", "solver": "magnitude", "keep": keep}
        pruned = str(tmp_path / "pruned.safetensors")
        tables = {
            name: str(tmp_path / f"{name}.csv") for name in ("history", "residuals", "projection")
        }
        prune_models(batch([1, 2], "prune", pruned, constraint=constraint), files.dense, **tables)
        dense, sparse, counts = (
            str(tmp_path / name)
            for name in ("dense.safetensors", "sparse.safetensors", "counts.json")
        )
        settings = {
            "model": MODEL,
            "base": MODEL,
            "objective": {"use": "erm"},
            "constraint": constraint,
        }
        measure_release(
            files.dataset,
            pruned,
            settings,
            dense=dense,
            sparse=sparse,
            output=counts,
            record=RECORD,
        )
        return storage.read_json(counts), dense, sparse

    return run


def test_counts_equal_a_hand_count(measured):
    counts, *_ = measured({"conv2": 0.1, "fc1": 0.25})
    assert counts["model"] == 1
    assert counts["n_weights"] == N_WEIGHTS
    assert counts["n_parameters"] == N_WEIGHTS + 2 + 3 + 8 + 3
    assert counts["n_nonzero"] == 50 + 15 + 6 + 24
    assert counts["compression"] == pytest.approx(N_WEIGHTS / 95)
    flops = {"conv1": 2 * 144 * 50, "conv2": 2 * 4 * 150, "fc1": 2 * 24, "fc2": 2 * 24}
    assert counts["dense_flops"] == sum(flops.values())
    assert (
        counts["sparse_flops"]
        == flops["conv1"] + flops["conv2"] // 10 + flops["fc1"] // 4 + flops["fc2"]
    )
    assert counts["layers"]["conv2.weight"] == [150, 15]
    assert counts["training_flops"] == counts["sample_passes"] * 3 * sum(flops.values()) > 0


def test_a_release_has_the_same_bytes_wherever_it_is_made(files, batch, tmp_path):
    settings = {
        "model": MODEL,
        "base": MODEL,
        "objective": {"use": "erm"},
        "constraint": {"use": "none"},
    }
    made = []
    for place in ({}, {"node": "a-node-with-a-longer-name", "slurm_job": "1234567"}):
        paths = {
            name: str(tmp_path / f"{len(made)}.{name}") for name in ("dense", "sparse", "output")
        }
        measure_release(files.dataset, files.dense, settings, **paths, record={**RECORD, **place})
        counts = storage.read_json(paths["output"])
        assert counts["provenance"] == {**RECORD, **place}
        made.append(
            [Path(paths[name]).read_bytes() for name in ("dense", "sparse")]
            + [counts["dense_bytes"], counts["sparse_bytes"]]
        )
    assert made[0] == made[1]


def test_running_statistics_are_no_parameters(files, tmp_path):
    model = {"use": "resnet18", "width": 0.05}
    settings = {
        "model": model,
        "base": model,
        "objective": {"use": "erm"},
        "constraint": {"use": "none"},
    }
    network = build(settings, (16, 16, 1), 3)
    models, dense, sparse, counts = (
        str(tmp_path / name)
        for name in ("m.safetensors", "d.safetensors", "s.safetensors", "c.json")
    )
    tensors = {**storage.under("weights", network.state_dict()), "sample_passes": torch.tensor(7.0)}
    write_models(models, {0: tensors}, {"rule": "r"})
    measure_release(
        files.dataset, models, settings, dense=dense, sparse=sparse, output=counts, record=RECORD
    )
    assert list(network.buffers())
    assert storage.read_json(counts)["n_parameters"] == sum(
        parameter.numel() for parameter in network.parameters()
    )


@pytest.mark.parametrize(
    ("solver", "n_steps"), [("snip", 3), ("magnitude", 12), ("lottery_ticket", 12)]
)
def test_a_mask_that_was_chosen_on_members_is_named_among_what_a_guarantee_leaves_out(
    batch, files, tmp_path, solver, n_steps
):
    """Its steps are those of all that the weights and the mask owe to noisy training: an epoch has 3."""
    settings = {
        "objective": {
            "use": "dp_sgd",
            "noise": 1.0,
            "delta": 0.01,
            "accountant": "rdp",
        },
        "model": MODEL,
    }
    constraint = {"use": "cardinality", "solver": solver, "compression": 4}
    dense, pruned, sparse = (
        str(tmp_path / f"{name}.safetensors") for name in ("dense", "pruned", "sparse")
    )
    job = batch([0], "retrain", tmp_path / "retrained.safetensors", retrain_epochs=1, **settings)
    counts, history = str(tmp_path / "counts.json"), str(tmp_path / "history.csv")
    train_models(batch([0], "train", dense, **settings), history)
    tables = {
        name: str(tmp_path / f"{name}.csv") for name in ("history", "residuals", "projection")
    }
    prune_models(batch([0], "prune", pruned, constraint=constraint, **settings), dense, **tables)
    retrain_models(job, pruned, history)
    release = {**settings, "base": MODEL, "constraint": constraint}
    measure_release(
        files.dataset, job.output, release, dense=dense, sparse=sparse, output=counts, record=RECORD
    )
    guarantee = storage.read_json(counts)["guarantee"]
    assert any("mask" in left_out for left_out in guarantee["not_covered"]) == (solver == "snip")
    assert sum(phase["steps"] for phase in guarantee["phases"]) == n_steps


def test_the_shipped_files_hold_the_same_model_and_their_sizes_are_measured(measured, tmp_path):
    counts, dense, sparse = measured({"conv2": 0.1})
    weights, encoded = storage.read_tensors(dense)[0], storage.read_tensors(sparse)[0]
    decoded = decode_sparse(encoded)
    assert "conv2.weight:values" in encoded
    assert decoded.keys() == weights.keys()
    assert all(torch.equal(decoded[name], weight) for name, weight in weights.items())
    assert counts["dense_bytes"] == (tmp_path / "dense.safetensors").stat().st_size
    assert counts["sparse_bytes"] == (tmp_path / "sparse.safetensors").stat().st_size


READING_SOLVER = """
from dataclasses import dataclass
from mia_pruning.constraints.solving import Solver
from mia_pruning.registry import solver

@solver
@dataclass(frozen=True)
class Reading(Solver):
    says_nothing_of_members = True

    def start(self, task, sparsity_set, rng): ...
"""


@pytest.mark.parametrize(
    ("constraint", "mask_is_covered"),
    [
        ({"use": "none", "solver": "reading_solver.Reading"}, True),
        ({"use": "cardinality", "solver": "magnitude", "compression": 2}, True),
        ({"use": "cardinality", "solver": "reading_solver.Reading", "compression": 2}, False),
    ],
)
def test_a_guarantee_says_what_it_does_not_cover(
    files, batch, tmp_path, monkeypatch, constraint, mask_is_covered
):
    """A mask that is made of noised weights is post-processing; one that was chosen on members is not."""
    (tmp_path / "reading_solver.py").write_text(READING_SOLVER)
    monkeypatch.syspath_prepend(tmp_path)
    objective = {"use": "dp_sgd", "noise": 1.0, "delta": 1e-3, "accountant": "rdp"}
    models, dense, sparse, counts = (
        str(tmp_path / name)
        for name in ("m.safetensors", "d.safetensors", "s.safetensors", "c.json")
    )
    train_models(
        batch([0], "train", models, objective=objective, training={"epochs": 1}),
        str(tmp_path / "history.csv"),
    )
    settings = {"model": MODEL, "base": MODEL, "objective": objective, "constraint": constraint}
    measure_release(
        files.dataset, models, settings, dense=dense, sparse=sparse, output=counts, record=RECORD
    )
    guarantee = storage.read_json(counts)["guarantee"]
    accountant = RDPAccountant()
    for _ in range(3):
        accountant.step(noise_multiplier=1.0, sample_rate=8 / 20)
    if mask_is_covered:
        assert guarantee["epsilon"] == pytest.approx(accountant.get_epsilon(1e-3))
    else:
        assert "epsilon" not in guarantee
        assert "curve" not in guarantee
        assert f"epsilon {accountant.get_epsilon(1e-3):.3g}" in guarantee["not_covered"][-1]
    assert guarantee["delta"] == 1e-3
    assert len(guarantee["not_covered"]) == (3 if mask_is_covered else 4)
    assert any("mask" in sentence for sentence in guarantee["not_covered"]) != mask_is_covered


def test_who_promises_nothing_has_no_guarantee(measured):
    assert measured({"conv2": 0.1})[0]["guarantee"] == {}
