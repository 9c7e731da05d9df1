"""What is whole, what is missing and why, from a planted summary and planted logs."""

from pathlib import Path

import pytest

from mia_pruning.operations.diagnosis import find_missing
from mia_pruning.operations.status import Begun, Output
from mia_pruning.study.layout import Combination, Layout, all_combinations
from mia_pruning.study.study import Study

DEFENCES = {
    "baseline": {"objective": "erm", "constraint": "none"},
    "pruned": {"objective": "erm", "constraint": "admm"},
    "game": {"objective": "min_max", "constraint": "none"},
}
EXPERIMENT = {"dataset": "d", "constraints": {}}
FILES = {
    "retrain_models": ["retrained/targets_0.safetensors", "retrained/targets_0.history.csv"],
    "query_models": ["signals.npy"],
    "run_attack": ["attacks/loss.adaptive.npz", "attacks/loss.dense_shadows.npz"],
    "evaluate_defence": ["evaluation.npz", "roc.csv"],
}


@pytest.fixture
def study():
    """Two experiments of different data, two seeds, three defences, an attack by both kinds of shadows."""
    return Study(
        {
            "study": "s",
            "seeds": [0, 1],
            "attackers": ["adaptive", "dense_shadows"],
            "experiments": {"e": EXPERIMENT, "f": {**EXPERIMENT, "dataset": "other"}},
            "defences": DEFENCES,
            "constraints": {
                "none": {"use": "none"},
                "admm": {"use": "cardinality", "solver": "admm"},
            },
            "attacks": {"loss": {"use": "loss"}},
        }
    )


def outputs(study, *pending):
    """All files of the study, done but for those that begin with one of `pending`."""
    found = {
        "results/data/d/dataset.json": "pack_dataset",
        "results/s/results.csv": "summarise_study",
    }
    for combination in all_combinations(study):
        run, objective, own = Layout(study).folders_of(combination)
        found[f"{run}/membership.npz"] = "split_examples"
        found[f"{objective}/trained/targets_0.safetensors"] = "train_targets"
        found |= {f"{own}/{name}": rule for rule, names in FILES.items() for name in names}
    return [Output(path, rule, "-", not path.startswith(pending)) for path, rule in found.items()]


def failed(rule, what, log, *last):
    return Begun(
        rule, what, "here", "1", "", Path("results", log), last or ("9:00:01 stopped: no",)
    )


def missing(study, pending, *jobs):
    return find_missing(study, outputs(study, *pending), jobs, 1.0)


def test_of_a_study_that_is_up_to_date_nothing_is_missing(study):
    found = missing(study, ["none"], failed("draw_figure", "s roc", "s/logs/draw_figure_roc.log"))
    assert (found.gaps, found.n_wanted) == ((), 12)


def test_a_failed_job_is_why_and_what_waited_for_it_was_not_begun(study):
    own = "results/s/e/seed_1/erm/admm/"
    (gap,) = missing(
        study,
        [own],
        failed(
            "retrain_models",
            "s e 1 erm admm targets_0",
            "s/e/seed_1/erm/admm/logs/retrain_targets_0.log",
        ),
    ).gaps
    assert gap.combinations == (Combination("e", 1, "pruned"),)
    assert [(failure.job, failure.reason) for failure in gap.failures] == [
        ("retrain_models s e 1 erm admm targets_0", "stopped: no")
    ]
    assert gap.not_begun == ("evaluate_defence", "query_models", "run_attack")


def test_another_job_of_the_failed_ones_rule_may_not_have_begun_either(study):
    own = "results/s/e/seed_1/erm/admm/"
    log = "s/e/seed_1/erm/admm/logs/run_attack_loss.adaptive.log"
    both = missing(
        study,
        [f"{own}attacks", f"{own}ev"],
        failed("run_attack", "s e 1 erm admm loss adaptive", log),
    )
    one = missing(
        study,
        [f"{own}attacks/loss.adaptive", f"{own}ev"],
        failed("run_attack", "s e 1 erm admm loss adaptive", log),
    )
    assert [found.gaps[0].not_begun for found in (both, one)] == [
        ("evaluate_defence", "run_attack"),
        ("evaluate_defence",),
    ]


def test_one_file_that_is_not_up_to_date_makes_a_combination_missing(study):
    (gap,) = missing(study, ["results/s/f/seed_0/min_max/none/roc.csv"]).gaps
    assert (gap.combinations, gap.failures) == ((Combination("f", 0, "game"),), ())


def test_data_that_cannot_be_packed_lose_the_experiments_of_it(study):
    found = missing(
        study,
        ["results/data/d/", "results/s/e/"],
        failed("pack_dataset", "d", "logs/pack_dataset/d.log"),
    )
    (gap,) = found.gaps
    assert {combination.experiment for combination in gap.combinations} == {"e"}
    assert len(gap.combinations) == 6
    assert len(gap.failures) == 1
    assert not found.leaves_nothing


def test_dense_networks_are_lost_to_their_objectives_defences_and_to_those_attacked_with_their_shadows(
    study,
):
    """Everything of the seed waits for the baseline's networks; of the game's own nobody else does."""
    lost = ["results/s/e/seed_0/erm/", "results/s/e/seed_0/min_max/none/"]
    (gap,) = missing(
        study,
        lost,
        failed("train_targets", "s e 0 erm 0", "s/e/seed_0/erm/logs/train_targets_0.log"),
    ).gaps
    assert [combination.defence for combination in gap.combinations] == [
        "baseline",
        "pruned",
        "game",
    ]
    assert "train_targets" not in gap.not_begun


@pytest.mark.parametrize("rule", ["probe_models", "gather_traces"])
def test_what_the_baseline_answers_is_lost_to_those_attacked_with_its_shadows(rule, study):
    folder = "results/s/e/seed_0/erm/"
    job = failed(rule, "s e 0 erm none", f"s/e/seed_0/erm/none/logs/{rule}.log")
    pending = (f"{folder}none/attacks", f"{folder}admm/attacks")
    missing = find_missing(study, outputs(study, *pending), [job], 0.0)
    (gap,) = missing.gaps
    assert [failure.job.split()[0] for failure in gap.failures] == [rule]
    assert len(gap.combinations) == 2


def test_the_baselines_own_attacks_lose_nothing_else(study):
    """Another cause is at work on the pruned networks, and it is not laid to the baseline's attack."""
    lost = ["results/s/e/seed_0/erm/none/ev", "results/s/e/seed_0/erm/admm/"]
    found = missing(
        study,
        lost,
        failed(
            "evaluate_defence", "s e 0 erm none", "s/e/seed_0/erm/none/logs/evaluate_defence.log"
        ),
        failed(
            "query_models",
            "s e 0 erm admm",
            "s/e/seed_0/erm/admm/logs/query_models.log",
            "9:00:00 model 1",
        ),
    )
    causes = {
        gap.combinations[0].defence: [failure.reason for failure in gap.failures]
        for gap in found.gaps
    }
    assert causes == {
        "baseline": ["stopped: no"],
        "pruned": ["was ended from outside, after: 9:00:00 model 1"],
    }


@pytest.mark.parametrize(
    ("rule", "what", "folder"),
    [
        ("generate_examples", "s e.generated 0", "s/e.generated/seed_0"),
        ("split_examples", "s e.generated 0", "s/e.generated/seed_0"),
        ("train_targets", "s e.generated 0 erm 0", "s/e.generated/seed_0/erm"),
        ("query_models", "s e.generated 0 erm admm", "s/e.generated/seed_0/erm/admm"),
    ],
)
def test_a_defence_is_lost_to_the_jobs_that_make_its_generated_shadows(study, rule, what, folder):
    attack = {"use": "loss", "attackers": ["generated_shadows"], "defences": ["pruned"]}
    attacked = Study({**study.settings, "attacks": {"loss": attack}})
    of_derived, log = "results/s/e.generated/seed_0/", f"{folder}/logs/{rule}.log"
    files = [
        *outputs(attacked, "results/s/e/seed_0/erm/admm/"),
        Output(f"{of_derived}x", rule, "-", False),
    ]
    (gap,) = find_missing(attacked, files, [failed(rule, what, log)], 1.0).gaps
    assert gap.combinations == (Combination("e", 0, "pruned"),)
    assert [failure.job for failure in gap.failures] == [f"{rule} {what}"]


def test_combinations_that_are_lost_to_the_same_reason_are_told_together(study):
    jobs = [
        failed(
            "query_models",
            f"s e {seed} erm admm",
            f"s/e/seed_{seed}/erm/admm/logs/query_models.log",
        )
        for seed in (0, 1)
    ]
    (gap,) = missing(
        study, ["results/s/e/seed_0/erm/admm/", "results/s/e/seed_1/erm/admm/"], *jobs
    ).gaps
    assert [combination.seed for combination in gap.combinations] == [0, 1]
    assert len(gap.failures) == 2


def test_a_study_of_which_nothing_is_whole_leaves_nothing(study):
    assert missing(study, ["results/s/"]).leaves_nothing
    assert find_missing(study, [], [], 1.0).leaves_nothing
