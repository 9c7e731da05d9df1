"""The derived experiment of the attacker without data: what it is, who needs it, what is refused."""

import copy

import pytest

from mia_pruning.study.completion import complete
from mia_pruning.study.generated import derive, n_generated
from mia_pruning.study.layout import Layout
from mia_pruning.study.networks import question
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

POOL = {"protocol": "pool", "examples": 400, "models": 6, "reference": 200, "test": 50}
DISJOINT = {**POOL, "protocol": "disjoint", "shadow_examples": 300, "shadow_models": 4}
EXPERIMENT = {
    "dataset": "images",
    "model": {"use": "lenet5"},
    "training": {"epochs": 3, "models_per_job": "auto"},
    "constraints": {"admm": {"compression": 5}},
}
SETTINGS = {
    "study": "small",
    "datasets": {"images": {"use": "fashion_mnist_t10k"}},
    "experiments": {"e": {**EXPERIMENT, "split": POOL}, "f": {**EXPERIMENT, "split": DISJOINT}},
    "objectives": {"erm": {"use": "erm"}, "game": {"use": "min_max"}},
    "constraints": {"none": {"use": "none"}, "admm": {"use": "cardinality", "compression": 10}},
    "defences": {
        "baseline": {"objective": "erm", "constraint": "none"},
        "pruned": {"objective": "erm", "constraint": "admm"},
        "game": {"objective": "game", "constraint": "none"},
    },
    "attackers": ["adaptive"],
    "attacks": {"loss": {"use": "loss"}, "lira": {"use": "lira_offline"}},
}
ONLY_GENERATED = {"use": "loss", "attackers": ["generated_shadows"]}
WITH_GENERATED = {"use": "loss", "attackers": ["adaptive", "generated_shadows"]}


def settings(attack=WITH_GENERATED, **changes):
    """The settings with another attack named `loss`, and values at paths with __ for the dots."""
    made = copy.deepcopy(SETTINGS)
    made["attacks"]["loss"] = attack
    for path, value in changes.items():
        *above, last = path.split("__")
        section = made
        for name in above:
            section = section[name]
        section[last] = value
    return made


def study(attack=WITH_GENERATED, **changes):
    return Study(complete(settings(attack, **changes)))


def refusal(attack=WITH_GENERATED, **changes):
    with pytest.raises(StudyError) as refused:
        complete(settings(attack, **changes))
    return str(refused.value)


@pytest.mark.parametrize("name", ["e", "f"])
def test_a_derived_experiment_is_the_same_but_for_a_pool_of_its_own(name):
    found = study()
    original, derived = found["experiments"][name], found.experiment(f"{name}.generated")
    assert {key for key in derived if derived[key] != original[key]} == {"split"}
    assert derived["split"] == {
        "protocol": "pool", "examples": 400, "models": 4, "shadow_examples": 0, "shadow_models": 0,
        "reference": 200, "test": 50,
    }  # fmt: skip
    assert n_generated(derived) == 650


def test_the_number_of_models_and_the_size_of_the_pool_are_options():
    found = study(generator={"models": 8, "examples": 600})
    split = found.experiment("f.generated")["split"]
    assert (split["models"], split["examples"]) == (8, 600)


def test_deriving_leaves_the_original_as_it_is():
    original = {"split": dict(DISJOINT), "dataset": "images"}
    derive(original, {"models": 2})
    assert original == {"split": DISJOINT, "dataset": "images"}


def test_a_study_without_such_an_attacker_has_neither_generator_nor_derived_experiments():
    found = study({"use": "loss"})
    assert "generator" not in found.settings
    assert found.generated == {}
    assert found.defences_of("e") == ["baseline", "pruned", "game"]


def test_only_defences_that_are_attacked_with_generated_shadows_are_trained_on_generated_examples():
    found = study({**WITH_GENERATED, "defences": ["game", "pruned"]})
    assert list(found.generated) == ["e.generated", "f.generated"]
    assert found.defences_of("e.generated") == ["pruned", "game"]
    assert found.attackers("loss", "e", "pruned") == ["adaptive", "generated_shadows"]
    assert found.attackers("loss", "e", "baseline") == []


def test_what_an_experiment_lays_over_a_constraint_holds_for_the_derived_one():
    found = study()
    assert found.constraint("e.generated", "admm") == found.constraint("e", "admm")
    assert found.constraint("e", "admm")["compression"] == 5


def test_a_derived_experiment_has_as_many_models_a_job_as_its_original_was_planned_with():
    found = study()
    planned = Layout(found, {"e": 3, "f": 2})
    assert planned.models_per_job("e.generated") == planned.models_per_job("e") == 3


def test_networks_are_checked_with_the_members_of_the_derived_pool():
    found = study(generator={"examples": 600})
    (plan,) = question(found, "f.generated", "game", "none")["plans"]
    assert (plan["n_members"], plan["n_reference"]) == (300, 200)


@pytest.mark.parametrize(
    ("use", "reason"),
    [
        (
            "lira_offline",
            "lira_offline compares the target with shadow models on the same examples",
        ),
        ("rmia_online", "rmia_online compares the target with shadow models on the same examples"),
        ("quantile_regression", "quantile_regression compares the target with shadow models on"),
        ("lira_joint", "lira_joint compares the target with shadow models on the same examples"),
    ],
)
def test_attacks_that_need_the_targets_examples_are_refused(use, reason):
    message = refusal({**ONLY_GENERATED, "use": use})
    assert f"attacks.loss.attackers: {reason}" in message
    assert "have generated examples only; allowed are other attackers" in message


def test_the_studys_own_attackers_are_held_to_it_too():
    assert "attacks.lira.attackers: lira_offline compares" in refusal(
        attackers=["generated_shadows"]
    )


@pytest.mark.parametrize("use", ["label_only", "gradient_norm", "samia", "loss_trajectory"])
def test_attacks_with_probes_are_allowed(use):
    assert study({**ONLY_GENERATED, "use": use}).attackers("loss", "e", "pruned") == [
        "generated_shadows"
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generator": {"models": 3}}, "generator.models = 3: models come in complementary pairs"),
        (
            {"generator": {"examples": 401}},
            "generator.examples = 401: models come in complementary",
        ),
        ({"generator": {"model": 4}}, "generator.model: unknown key; did you mean 'models'?"),
        ({"generator": {"models": 0}}, "generator.models = 0: allowed is >= 2"),
        ({"generator": {"learning_rate": 0}}, "generator.learning_rate = 0: allowed is > 0"),
        (
            {"experiments__f__split__reference": 99},
            "experiments.f.split.reference = 99: the attacker generated_shadows fits its generator to these "
            "examples; allowed is >= 100, 10 for each of 10 classes",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(changes, message):
    assert message in refusal(**changes)


def test_a_generator_that_nobody_uses_is_refused():
    message = refusal({"use": "loss"}, generator={"models": 4})
    assert "generator: no attack has the attacker generated_shadows" in message
