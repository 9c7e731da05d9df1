"""A small study, and a machine of round numbers: what they cost can be worked out by hand."""

import pytest

from mia_pruning.operations.plan.calibration import ProbeRates, StartRates, TrainingRates
from mia_pruning.operations.plan.counting import NetworkCounts, SolverCounts
from mia_pruning.study.completion import complete
from mia_pruning.study.study import Study

SETTINGS = {
    "study": "small",
    "datasets": {"images": {"use": "fashion_mnist_t10k"}},
    "experiments": {
        "e": {
            "dataset": "images",
            "model": {"use": "lenet5"},
            "split": {
                "protocol": "pool",
                "examples": 400,
                "models": 4,
                "reference": 100,
                "test": 50,
            },
            "training": {"epochs": 10, "batch_size": 50, "test_every": 5, "models_per_job": 3},
        }
    },
    "objectives": {"erm": {"use": "erm"}},
    "constraints": {
        "none": {"use": "none"},
        "admm": {
            "use": "cardinality",
            "solver": "admm",
            "compression": 10,
            "epochs": 4,
            "retrain_epochs": 6,
        },
    },
    "defences": {
        "baseline": {"objective": "erm", "constraint": "none"},
        "pruned": {"objective": "erm", "constraint": "admm"},
    },
    "attacks": {"correctness": {"use": "correctness"}},
}


class KnownRates:
    """Round numbers: a second a step, 0.1 an example, 0.01 an answer; 100 operations a forward pass."""

    def network(self, settings, image_shape, n_classes):
        return NetworkCounts(flops=100, parameter_bytes=1000, state_bytes=1200, widest_bytes=4)

    def training(self, settings, image_shape, n_classes):
        return TrainingRates(
            1.0,
            0.1,
            0.01,
            2.0,
            step_bytes=5000,
            example_bytes=100,
            optimizer_bytes=2000,
            carried_bytes=50,
        )

    def solver(self, settings, image_shape, n_classes):
        return SolverCounts(
            settings["constraint"].get("epochs", 0), 0.0, mask_bytes=250, tensor_bytes=2000
        )

    def attack(self, entry, probes, image_shape, n_classes):
        return 0.001

    def probe(self, entry, settings, image_shape, n_classes):
        return ProbeRates(seconds_per_example=0.01, seconds_per_reference=0.1)

    def generator(self, image_shape, n_classes):
        return 0.02

    def bootstrap(self):
        return 1e-6

    def start(self, libraries):
        return StartRates(seconds=2.0, memory_bytes=1_000_000)


@pytest.fixture
def rates():
    return KnownRates()


@pytest.fixture
def small_study():
    """A function: the study with values put at dotted keys."""

    def change(changes=()):
        settings = complete(SETTINGS)
        for path, value in dict(changes).items():
            *above, key = path.split(".")
            section = settings
            for name in above:
                section = section[name]
            section[key] = value
        return Study(complete(settings))

    return change
