"""What jobs ask for, and how many models they take, with known rates."""

import dataclasses

import pytest

from mia_pruning.operations.plan.requesting import Device, batchings, lay_out, request
from mia_pruning.operations.resources import Resources, read_resources
from mia_pruning.study.layout import Layout
from mia_pruning.types import StudyError

CPU = Device("cpu", 1.0)
#: of the small study: the longest model is trained for 10 epochs of 4 steps and 200 members and tested twice
A_MODEL = 10 * (4 * 1.0 + 200 * 0.1) + 2 * 50 * 0.01
AUTO = {
    "experiments.e.training.models_per_job": "auto",
    "experiments.e.training.minutes_per_job": 2.1 * A_MODEL / 60,
}


def resources(study, rates):
    return Resources("", "cpu", {}, batchings(lay_out(study, rates, CPU)))


def test_a_job_takes_the_models_that_fit_into_its_minutes(small_study, rates):
    assert lay_out(small_study(AUTO), rates, CPU).models_per_job("e") == 2


def test_a_job_has_one_model_at_least_and_all_at_most(small_study, rates):
    sizes = [
        lay_out(
            small_study({**AUTO, "experiments.e.training.minutes_per_job": minutes}), rates, CPU
        ).models_per_job("e")
        for minutes in (0.001, 1e6)
    ]
    assert sizes == [1, 4]


def test_a_gpu_takes_more_models_in_the_same_time(small_study, rates):
    """240,300 operations of a model and test at so many a second as make it a tenth of the CPU's time."""
    flops = 100 * (10 * 200 * 2.0 * 3 + 2 * 50)
    gpu = Device("gpu", 10 * flops / A_MODEL / 1e12)
    assert lay_out(small_study(AUTO), rates, gpu).models_per_job("e") == 4


def test_a_number_in_the_study_is_kept(small_study, rates):
    assert lay_out(small_study(), rates, CPU).models_per_job("e") == 3


def test_a_planned_number_stays_on_a_slower_machine_and_with_another_defence(small_study, rates):
    planned = resources(small_study(AUTO), rates)
    more = small_study({**AUTO, "constraints.admm.retrain_epochs": 90})
    assert lay_out(more, rates, CPU, planned.models_per_job(more)).models_per_job("e") == 2
    assert lay_out(more, rates, CPU).models_per_job("e") == 1


def test_another_training_is_planned_again(small_study, rates):
    planned = resources(small_study(AUTO), rates)
    longer = small_study({**AUTO, "experiments.e.training.epochs": 20})
    assert planned.models_per_job(longer) == {}
    assert lay_out(longer, rates, CPU).models_per_job("e") == 1


def test_a_study_without_a_plan_says_how_to_get_one(small_study):
    layout = Layout(small_study(AUTO))
    assert not layout.is_complete
    with pytest.raises(StudyError, match=r"models_per_job = 'auto': .* run `make plan"):
        layout.models_per_job("e")


def test_a_job_asks_for_its_largest_part_with_room(small_study, rates):
    plan = request(
        Layout(small_study()), ["train_targets", "prune_models", "write_report"], rates, CPU
    )
    train = plan.needs["train_targets"]["e"]
    assert train.seconds == pytest.approx(3 * A_MODEL + 2.0)
    assert plan.minutes("train_targets", "e", 1) > train.seconds / 60
    assert plan.minutes("train_targets", "e", 2) >= 2 * plan.minutes("train_targets", "e", 1) - 1
    assert plan.memory_mb("train_targets", "e", 1) > train.memory_bytes / 1e6
    assert (
        plan.memory_mb("train_targets", "e", 1)
        < plan.memory_mb("train_targets", "e", 60)
        < 60 * 1.6 * train.memory_bytes / 1e6 + 700
    )
    assert plan.needs["write_report"] == {
        "study": dataclasses.replace(train, memory_bytes=1_000_000, seconds=2.0)
    }


def test_a_gpu_job_asks_for_operations_over_the_rate_and_for_the_driver(small_study, rates):
    on_cpu, on_gpu = (
        request(Layout(small_study()), ["train_targets"], rates, device)
        for device in (CPU, Device("gpu", 1.0))
    )
    flops = 3 * 100 * (10 * 200 * 2.0 * 3 + 2 * 50)
    assert on_gpu.needs["train_targets"]["e"].seconds == pytest.approx(2.0 + flops / 1e12)
    assert (
        on_gpu.memory_mb("train_targets", "e", 1)
        == on_cpu.memory_mb("train_targets", "e", 1) + 3000
    )


def test_a_plan_is_read_as_it_was_written(small_study, rates, tmp_path):
    layout = lay_out(small_study(AUTO), rates, CPU)
    plan = request(layout, ["train_targets", "split_examples"], rates, CPU)
    plan.write(tmp_path / "plan.json")
    assert read_resources(tmp_path / "plan.json") == plan
    assert read_resources(tmp_path / "none.json") is None


@pytest.mark.parametrize("content", ["{}", "[]", '{"needs": 3}', "{"])
def test_a_plan_that_cannot_be_read_is_named(content, tmp_path):
    path = tmp_path / "plan.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(StudyError, match=r"plan.json: .*delete it"):
        read_resources(path)


def test_a_rule_that_the_plan_does_not_know_is_named(small_study, rates):
    with pytest.raises(StudyError, match=r"no rule query_models of experiment e; run `make plan`"):
        request(Layout(small_study()), ["train_targets"], rates, CPU).minutes(
            "query_models", "e", 1
        )
