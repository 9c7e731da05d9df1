import gc

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mia_pruning import registry
from mia_pruning.operations.plan import calibration
from mia_pruning.operations.plan.calibration import (
    Machine,
    made_up_signals,
    measure_attack,
    measure_generator,
    measure_memory,
    measure_probe,
    measure_training,
    peak_bytes,
)
from mia_pruning.traits import AttackTraits
from mia_pruning.types import StudyError

TRAINING = {
    "batch_size": 16, "optimizer": "adam", "learning_rate": 1e30, "weight_decay": 0.0, "momentum": 0.9,
    "precision": "float32", "schedule": "constant", "augmentation": ["flip"],
}  # fmt: skip
MODEL = {"use": "lenet5", "channels": [2, 3], "hidden": 8}
OBJECTIVES = {"dp_sgd": {"noise": 1.0}}
PROBES = registry.catalogue("probe")
#: The other probes are recorded while models train.
ASKED = [name for name, plug_in in PROBES.items() if not plug_in.traits.recorded]


@pytest.fixture(autouse=True)
def brief(monkeypatch):
    monkeypatch.setattr(calibration, "SECONDS", 0.01)


@pytest.fixture
def counted(monkeypatch):
    """Counts floating-point operations instead of seconds, which vary on a busy machine."""

    def operations_of(action):
        with FlopCounterMode(display=False) as counter:
            action()
        return counter.get_total_flops()

    monkeypatch.setattr(calibration, "seconds_of", operations_of)


@pytest.mark.parametrize("objective", registry.catalogue("objective"))
def test_every_objective_is_measured_whatever_its_learning_rate(objective):
    settings = {
        "model": MODEL,
        "objective": {"use": objective, **OBJECTIVES.get(objective, {})},
        "training": TRAINING,
    }
    rates = measure_training(settings, (16, 16, 1), 3, flops=10_000)
    assert rates.seconds_per_step > 0
    assert rates.seconds_per_answer > 0
    assert rates.passes >= 1
    assert rates.optimizer_bytes > 0
    assert (rates.carried_bytes > 0) == (objective in ("min_max", "dp_sgd"))


@pytest.mark.parametrize("objective", registry.catalogue("objective"))
def test_memory_of_a_batch_lies_on_the_line_through_two_smaller_ones(objective):
    settings = {
        "model": MODEL,
        "objective": {"use": objective, **OBJECTIVES.get(objective, {})},
        "training": TRAINING,
    }
    fixed, per_example = measure_memory(settings, (16, 16, 1), 3, 64)
    trainer = calibration._trainer(settings, (16, 16, 1), 3, 256, 256)
    trainer.train_epoch(0)
    assert fixed + 256 * per_example == pytest.approx(
        peak_bytes(lambda: trainer.train_epoch(1)), rel=0.15
    )


def test_memory_is_the_same_to_the_byte_each_time():
    settings = {"model": MODEL, "objective": {"use": "min_max"}, "training": TRAINING}
    assert len({measure_memory(settings, (16, 16, 1), 3, 64) for _ in range(5)}) == 1


def test_what_is_let_go_makes_room():
    def act():
        for _ in range(3):
            torch.ones(250_000)
        kept = torch.ones(500_000)
        return kept + 1

    assert peak_bytes(act) == pytest.approx(4_000_000, rel=0.01)


def test_rubbish_of_before_hides_nothing():
    gc.disable()
    try:
        ring = [torch.ones(500_000)]
        ring.append(ring)
        del ring
        assert peak_bytes(lambda: (gc.collect(), torch.ones(250_000))) == 1_000_000
    finally:
        gc.enable()


def test_a_network_that_cannot_be_trained_is_named_in_a_sentence(monkeypatch):
    settings = {"model": MODEL, "objective": {"use": "erm"}, "training": TRAINING}
    monkeypatch.setattr(calibration, "_trainer", lambda *arguments: 1 / 0)
    with pytest.raises(
        StudyError, match=r"model .*lenet5.*: a training step fails with ZeroDivisionError"
    ):
        Machine().training(settings, (16, 16, 1), 3)


def test_nothing_is_measured_twice_and_nothing_that_costs_nothing_matters(monkeypatch):
    measured = []
    monkeypatch.setattr(
        calibration, "measure_training", lambda settings, *data: measured.append(settings)
    )
    machine = Machine()
    for epochs, width in ((5, 8), (50, 8), (5, 16)):
        settings = {
            "model": {**MODEL, "hidden": width},
            "objective": {"use": "erm"},
            "training": {**TRAINING, "epochs": epochs},
        }
        machine.training(settings, (16, 16, 1), 3)
    assert [settings["model"]["hidden"] for settings in measured] == [8, 16]


@pytest.mark.parametrize("attack", registry.catalogue("attack"))
def test_every_attack_is_measured(attack):
    plug_in = registry.find("attack", attack, "")
    options = registry.check_options({}, [plug_in], "")
    assert measure_attack({"use": attack, **options}, (8, 8, 1), 3, n_examples=60) > 0


@pytest.mark.usefixtures("counted")
@pytest.mark.parametrize("probe", ASKED)
def test_every_probe_is_measured(probe):
    plug_in = registry.find("probe", probe, "")
    entry = {"use": probe, **registry.check_options({}, [plug_in], "")}
    settings = {"model": MODEL, "objective": {"use": "erm"}}
    assert measure_probe(entry, settings, (16, 16, 1), 3, flops=10_000).seconds_per_example > 0


def test_a_probe_that_takes_no_more_time_with_more_examples_is_bounded_by_its_time(monkeypatch):
    monkeypatch.setattr(calibration, "seconds_of", lambda action: 3.0)
    settings = {"model": MODEL, "objective": {"use": "erm"}}
    rates = measure_probe(
        {"use": "distillation", "epochs": 20}, settings, (16, 16, 1), 3, flops=10_000
    )
    assert rates.seconds_per_example == rates.seconds_per_reference == pytest.approx(3.0 / 100)


@pytest.mark.usefixtures("counted")
def test_a_probe_that_trains_costs_more_with_more_to_train_on():
    settings = {"model": MODEL, "objective": {"use": "erm"}}
    rates = measure_probe(
        {"use": "distillation", "epochs": 20}, settings, (16, 16, 1), 3, flops=10_000
    )
    assert rates.seconds_per_reference > rates.seconds_per_example > 0


@pytest.mark.usefixtures("counted")
def test_an_attack_that_may_train_longer_is_expected_to_cost_more():
    options = {"use": "neural_network", "min_steps": 1, "batch_size": 50, "learning_rate": 0.001}
    short, long = (
        measure_attack(
            {**options, "precision": "float32", "epochs": epochs}, (8, 8, 1), 3, n_examples=200
        )
        for epochs in (4, 100)
    )
    assert long > 3 * short


def test_answers_have_the_shape_of_the_studys_own_probe_and_options():
    traits = AttackTraits(probes=("mine", "noisy"))
    probes = {
        "mine": {"use": "augmented", "n_copies": 17},
        "noisy": {"use": "noisy", "deviations": [1, 2]},
    }
    answers = made_up_signals(4, 20, (8, 8, 1), 4, traits, probes).probes
    assert answers["mine"].shape == (4, 20, 17, 4)
    assert answers["noisy"].shape == (4, 20, 2)


def test_made_up_signals_are_half_members():
    signals = made_up_signals(4, 20, (8, 8, 1), 4)
    assert signals.membership.sum(axis=1).tolist() == [10, 10, 10, 10]
    assert signals.membership.sum(axis=0).tolist() == [2] * 20


def test_a_process_with_torch_takes_longer_and_more_memory_than_one_without():
    bare, torch = (calibration.measure_start(libraries) for libraries in ("arrays", "torch"))
    assert torch.seconds > bare.seconds > 0
    assert torch.memory_bytes > bare.memory_bytes > 1e7


def test_a_generator_is_measured_by_its_further_epochs_alone(monkeypatch):
    """Each call of the pretended clock takes a second and two for each epoch: the second is no part of the rate."""
    epochs = []

    def fit_epochs(network, pixels, labels, rng, n_epochs, learning_rate):
        epochs.append(n_epochs)
        yield from range(n_epochs)

    def seconds_of(action):
        action()
        return 1.0 + 2.0 * epochs[-1]

    monkeypatch.setattr(calibration, "fit_epochs", fit_epochs)
    monkeypatch.setattr(calibration, "seconds_of", seconds_of)
    assert measure_generator((8, 8, 1), 3, n_examples=10) == pytest.approx(2.0 / 10)
