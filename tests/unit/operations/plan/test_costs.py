"""Costs with known rates: every number can be worked out by hand."""

import pytest

from mia_pruning.operations.plan.__main__ import wall_seconds
from mia_pruning.operations.plan.costs import Cost, RuleCost, libraries_of, rule_costs
from mia_pruning.study.layout import Layout

JOBS = {
    "train_targets": 2, "prune_models": 2, "retrain_models": 2, "query_models": 2, "run_attack": 3,
    "evaluate_defence": 2, "rest": 5,
}  # fmt: skip


@pytest.fixture
def costs_of(small_study, rates):
    """A function: what each rule of the small study costs, with these changes and jobs."""
    return lambda changes=(), jobs=JOBS: {
        entry.rule: entry.cost for entry in rule_costs(Layout(small_study(changes)), jobs, rates)
    }


def test_training_of_four_models_by_hand(costs_of):
    cost = costs_of()["train_targets"]
    a_model = (
        10 * (4 * 1.0 + 200 * 0.1) + 2 * 50 * 0.01
    )  # epochs of 4 steps and 200 members, then two tests of 50
    assert cost.models == 4
    assert cost.cpu_seconds == pytest.approx(4 * a_model + 2 * 2.0)
    assert cost.longest_seconds == pytest.approx(3 * a_model + 2.0)
    assert cost.flops == pytest.approx(4 * 100 * (10 * 200 * 2.0 * 3 + 2 * 50))
    assert cost.disk_bytes == 4 * 1250 + 2 * 8000


def test_pruning_stores_masks_and_solver_tensors_and_retraining_masks_alone(costs_of):
    costs = costs_of()
    assert costs["prune_models"].disk_bytes == 4 * (1250 + 250 + 2000) + 2 * 8000
    assert costs["retrain_models"].disk_bytes == 4 * (1250 + 250) + 2 * 8000


def test_models_are_queried_once_a_defence_on_every_example(costs_of):
    cost = costs_of()["query_models"]
    assert cost.models == 2 * 4
    assert cost.flops == 2 * 4 * 550 * 100
    assert cost.disk_bytes == 2 * (4 * 550 * 10 * 4) + 2 * 8000


def test_an_attack_learns_from_every_shadow_of_every_group(costs_of):
    known = 2 * 2 * 400  # two groups, in each two shadows with 400 candidates; three attacks in all
    assert costs_of()["run_attack"].cpu_seconds == pytest.approx(3 * (known * 0.001 + 2.0))


def test_an_attack_is_measured_on_answers_of_the_studys_own_probe(costs_of, rates, monkeypatch):
    measured = []
    monkeypatch.setattr(
        rates, "attack", lambda entry, probes, *data: measured.append(probes) or 0.001
    )
    probe = {"use": "noisy", "deviations": [16], "n_copies": 3}
    costs_of({"attacks": {"mine": {"use": "label_only"}}, "probes": {"noisy": probe}})
    assert measured
    assert all(probes["noisy"] == probe for probes in measured)


@pytest.mark.parametrize(
    ("attacks", "n_jobs"),
    [
        ({"steep": {"use": "gradient_norm"}}, 2),
        (
            {
                "steep": {"use": "gradient_norm"},
                "steep_per_class": {"use": "gradient_norm", "per_class": True},
            },
            2,
        ),
        ({"steep": {"use": "gradient_norm", "attackers": ["adaptive"], "defences": ["pruned"]}}, 1),
        (
            {
                "steep": {
                    "use": "gradient_norm",
                    "attackers": ["dense_shadows"],
                    "defences": ["pruned"],
                }
            },
            2,
        ),
        ({"labels": {"use": "label_only"}}, 4),
        (
            {
                "steep": {
                    "use": "gradient_norm",
                    "attackers": ["generated_shadows"],
                    "defences": ["pruned"],
                }
            },
            2,
        ),
        (
            {
                "steep": {
                    "use": "gradient_norm",
                    "attackers": ["adaptive"],
                    "defences": ["pruned"],
                },
                "loss": {"use": "loss", "attackers": ["generated_shadows"]},
            },
            1,
        ),
    ],
)
def test_models_are_probed_once_for_all_attacks_that_ask(attacks, n_jobs, costs_of):
    costs = costs_of({"attacks": attacks}, {"probe_models": n_jobs})
    a_job = 4 * (400 * 0.01 + 100 * 0.1)
    assert costs["probe_models"].cpu_seconds == pytest.approx(n_jobs * (a_job + 2.0))
    assert costs["probe_models"].models == n_jobs * 4


def traced(**attack):
    entry = {"use": "loss_trace_spread", "attackers": ["adaptive"], **attack}
    return {"attacks": {"traced": entry}}


def test_recording_losses_costs_answers_of_the_pool_and_two_bytes_a_loss(costs_of):
    jobs = {**JOBS, "gather_traces": 2}
    probes = {"probes": {"loss_trace": {"use": "loss_trace", "epochs": 5}}}
    without, recorded = costs_of(jobs=jobs), costs_of({**traced(), **probes}, jobs)
    n_recorded = {"train_targets": 5, "prune_models": 0, "retrain_models": 5}
    for rule, n_epochs in n_recorded.items():
        n_answers = 4 * 400 * n_epochs
        further_seconds = recorded[rule].cpu_seconds - without[rule].cpu_seconds
        assert further_seconds == pytest.approx(n_answers * 0.01)
        assert recorded[rule].flops - without[rule].flops == pytest.approx(n_answers * 100)
        assert recorded[rule].disk_bytes - without[rule].disk_bytes == 2 * n_answers
        assert (recorded[rule].memory_bytes > without[rule].memory_bytes) == (n_epochs > 0)
    assert recorded["gather_traces"].disk_bytes == 2 * 4 * 400 * (5 + 5) + 2 * 8000


def test_a_phase_of_few_epochs_has_all_of_them_recorded(costs_of):
    jobs = {**JOBS, "gather_traces": 2}
    without, recorded = costs_of(jobs=jobs), costs_of(traced(), jobs)
    further = recorded["retrain_models"].disk_bytes - without["retrain_models"].disk_bytes
    assert further == 2 * 4 * 400 * 6
    assert recorded["gather_traces"].disk_bytes == 2 * 4 * 400 * (10 + 6) + 2 * 8000


def test_losses_are_recorded_of_the_defences_that_an_attack_needs_alone(costs_of):
    of_baseline = costs_of(traced(defences=["baseline"]), {**JOBS, "gather_traces": 1})
    without = costs_of()
    assert of_baseline["train_targets"].cpu_seconds > without["train_targets"].cpu_seconds
    for rule in ("prune_models", "retrain_models"):
        assert of_baseline[rule].cpu_seconds == without[rule].cpu_seconds
    assert of_baseline["gather_traces"].disk_bytes == 2 * 4 * 400 * 10 + 8000


GENERATED = {"attacks": {"loss": {"use": "loss", "attackers": ["generated_shadows"]}}}


@pytest.mark.parametrize("examples", [None, 200])
def test_shadow_models_on_generated_examples_are_trained_and_queried_as_others_are(
    examples, costs_of
):
    generator = {"generator": {"models": 2, **({"examples": examples} if examples else {})}}
    jobs = {**JOBS, "generate_examples": 1}
    before = costs_of({"attacks": {"loss": {"use": "loss", "attackers": ["adaptive"]}}}, jobs)
    after = costs_of({**GENERATED, **generator}, jobs)
    n_members, n_pool = (examples or 400) // 2, examples or 400
    assert after["train_targets"].models == 4 + 2
    a_model = 10 * (-(-n_members // 50) * 1.0 + n_members * 0.1) + 2 * 50 * 0.01
    more = after["train_targets"].cpu_seconds - before["train_targets"].cpu_seconds
    assert more == pytest.approx(2 * a_model)
    assert after["query_models"].models == 2 * (4 + 2)
    more = after["query_models"].flops - before["query_models"].flops
    assert more == 2 * 2 * (n_pool + 150) * 100
    assert after["evaluate_defence"].cpu_seconds == pytest.approx(
        before["evaluate_defence"].cpu_seconds
    )
    assert after["run_attack"].cpu_seconds == pytest.approx(3 * 2.0 + 2 * 2 * n_pool * 0.001)


def test_a_generator_is_fitted_once_to_the_reference_set_and_draws_all_examples(costs_of):
    cost = costs_of({**GENERATED, "generator": {"epochs": 30}}, {"generate_examples": 1})
    generating = cost["generate_examples"]
    assert generating.cpu_seconds == pytest.approx(30 * 100 * 0.02 + 2.0)
    assert generating.disk_bytes == 550 * (28 * 28 + 16) + 8000


def test_only_defences_attacked_with_generated_shadows_have_further_models(costs_of):
    loss = {"use": "loss", "attackers": ["generated_shadows"], "defences": ["baseline"]}
    costs = costs_of({"attacks": {"loss": loss}})
    assert costs["train_targets"].models == 4 + 4
    assert costs["prune_models"].models == 4
    assert costs["query_models"].models == 2 * 4 + 4


def test_a_rule_that_is_not_known_costs_its_start(costs_of):
    assert costs_of()["rest"] == Cost(0, 10.0, 0.0, 1_000_000, 5 * 8000, 2.0)


@pytest.mark.parametrize(
    ("rule", "key"),
    [
        ("train_targets", "experiments.e.training.epochs"),
        ("prune_models", "constraints.admm.epochs"),
        ("retrain_models", "constraints.admm.retrain_epochs"),
    ],
)
def test_twice_the_epochs_cost_twice_the_training(rule, key, costs_of):
    once, twice = (
        costs_of({key: epochs, "experiments.e.training.test_every": 1000})[rule]
        for epochs in (50, 100)
    )
    assert (twice.cpu_seconds - 4.0) / (once.cpu_seconds - 4.0) == pytest.approx(2, rel=0.01)
    assert twice.flops / once.flops == pytest.approx(2, rel=0.01)


def test_every_seed_costs_the_same_again(costs_of):
    one, three = costs_of(), costs_of({"seeds": [0, 1, 2]})
    assert three["train_targets"].models == 3 * one["train_targets"].models
    assert three["train_targets"].flops == 3 * one["train_targets"].flops
    assert three["train_targets"].memory_bytes == one["train_targets"].memory_bytes


def test_shadows_of_a_disjoint_split_are_trained_apart_and_attack_all_targets_at_once(costs_of):
    split = {
        "protocol": "disjoint",
        "examples": 200,
        "models": 2,
        "shadow_examples": 400,
        "shadow_models": 6,
        "test": 50,
    }
    costs = costs_of({"experiments.e.split": split}, {**JOBS, "train_shadows": 2})
    assert (
        costs["train_targets"].models,
        costs["train_shadows"].models,
        costs["prune_models"].models,
    ) == (2, 6, 8)
    assert costs["run_attack"].cpu_seconds == pytest.approx(3 * (6 * 400 * 0.001 + 2.0))


def test_memory_of_a_job_grows_with_the_data_and_the_models_it_holds(costs_of):
    few = costs_of()["train_targets"].memory_bytes
    assert (
        costs_of({"experiments.e.split.test": 150})["train_targets"].memory_bytes
        >= few + 100 * 28 * 28
    )
    assert (
        costs_of({"experiments.e.training.models_per_job": 1})["train_targets"].memory_bytes
        == few - 2 * 1250
    )
    assert (
        costs_of({"experiments.e.training.batch_size": 90})["train_targets"].memory_bytes
        == few + 40 * 100
    )


def test_wall_time_is_shared_work_but_never_less_than_the_longest_chain():
    shared, whole = (
        Cost(cpu_seconds=40, longest_seconds=10),
        Cost(cpu_seconds=20, longest_seconds=20),
    )
    costs = [RuleCost("a", 4, shared), RuleCost("b", 1, whole)]
    assert [wall_seconds(costs, cores) for cores in (1, 2, 100)] == [60, 30, 30]


def test_costs_add_but_memory_is_the_largest():
    assert Cost(1, 2, 3, 4, 5, 6) + Cost(10, 20, 30, 1, 50, 60) == Cost(11, 22, 33, 4, 55, 60)


@pytest.mark.parametrize(
    ("attack", "libraries"),
    [
        ("loss", "arrays"),
        ("label_only", "arrays_and_trees"),
        ("ensemble", "arrays_and_trees"),
        ("samia", "torch"),
    ],
)
def test_an_attack_starts_with_the_libraries_that_it_imports(attack, libraries):
    assert libraries_of({"use": attack}) == libraries
