"""Losses recorded along training, from the jobs that train to the scores of an attack."""

import numpy as np
import pytest
import yaml

from mia_pruning import storage

RUN = "results/traced/lenet5_fashion/seed_0"
DENSE, PRUNED, UNTRAINED = (f"{RUN}/erm/{constraint}" for constraint in ("none", "admm", "snip"))
N_MODELS, N_POOL = 6, 400
#: Of 4 epochs of training, and 3 of retraining.
RECORDED = 3
ATTACKERS = ("adaptive", "dense_shadows", "known_members")
ATTACKS = [
    f"{DENSE}/attacks/traced.adaptive.npz",
    *(f"{PRUNED}/attacks/traced.{attacker}.npz" for attacker in ATTACKERS),
    f"{UNTRAINED}/attacks/traced.adaptive.npz",
]


@pytest.fixture(scope="module")
def settings(smoke_settings, changed):
    """A study with dense networks, pruned ones, and a defence that the attack leaves out."""
    names = ["baseline", "pruned", "untrained"]
    changes = {
        "study": "traced",
        "attackers": list(ATTACKERS),
        "experiments.lenet5_fashion.training.epochs": 4,
        "experiments.lenet5_fashion.training.models_per_job": 4,
        "objectives.min_max": {"use": "min_max"},
        "constraints.snip": {
            "use": "cardinality",
            "solver": "snip",
            "compression": 4,
            "retrain_epochs": 3,
        },
        "defences": {
            "baseline": {"objective": "erm", "constraint": "none"},
            "pruned": {"objective": "erm", "constraint": "admm"},
            "untrained": {"objective": "erm", "constraint": "snip"},
            "min_max": {"objective": "min_max", "constraint": "none"},
        },
        "attacks": {
            "traced": {"use": "loss_trace_spread", "defences": names},
            "loss": {"use": "loss", "attackers": ["adaptive"]},
        },
        "probes": {"loss_trace": {"use": "loss_trace", "epochs": RECORDED}},
    }
    return changed(smoke_settings, changes)


@pytest.fixture(scope="module")
def traced(project, settings, tmp_path_factory):
    """A folder with the attack's scores."""
    folder = tmp_path_factory.mktemp("traced")
    study = folder / "study.yaml"
    study.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
    project.make(folder, *ATTACKS, study=study)
    return folder


def losses_of(traced, folder):
    return storage.read_array(traced / folder / "probes/loss_trace.npy")


@pytest.mark.parametrize("folder", [DENSE, PRUNED, UNTRAINED])
def test_losses_of_every_model_and_example_are_described(folder, traced):
    losses = losses_of(traced, folder)
    assert losses.shape == (N_MODELS, N_POOL, RECORDED)
    assert losses.dtype == np.float16
    description = storage.read_json(traced / folder / "probes/loss_trace.json")
    assert description["shape"] == list(losses.shape)


@pytest.mark.parametrize("folder", [DENSE, PRUNED, UNTRAINED])
def test_the_last_losses_are_those_of_the_finished_models(folder, traced):
    """The models' rows and the examples are in the order of the signals."""
    logits = storage.read_array(traced / folder / "signals.npy")[:, :N_POOL].astype(np.float64)
    labels = np.load(traced / "results/data/fashion_mnist/labels.npy")
    labels = labels[storage.read_arrays(traced / RUN / "membership.npz")["pool"]]
    losses = np.logaddexp.reduce(logits, axis=2) - logits[:, np.arange(N_POOL), labels]
    np.testing.assert_allclose(losses_of(traced, folder)[..., -1], losses, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("path", ATTACKS)
def test_every_attacker_gives_every_target_scores(path, traced):
    arrays = storage.read_arrays(traced / path)
    assert not arrays["failure"].item()
    assert np.isfinite(arrays["scores"][arrays["unknown"]]).all()


def test_a_defence_that_the_attack_leaves_out_is_not_recorded(project, traced):
    folder = f"{RUN}/min_max/trained"
    study = traced / "study.yaml"
    project.make(traced, f"{folder}/targets_1.safetensors", study=study)
    assert storage.read_array(traced / folder / "targets_1.trace.npy").shape == (2, N_POOL, 0)


def test_a_study_without_the_attack_records_nothing(project, settings, changed, tmp_path):
    study = tmp_path / "study.yaml"
    plain = changed(settings, {"attacks.traced": ...})
    study.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    files = project.plan(tmp_path, study).files
    assert f"{RUN}/erm/trained/targets_0.safetensors" in files
    assert not [path for path in files if "trace" in path.removeprefix("results/traced")]
