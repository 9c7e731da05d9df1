import pytest

from mia_pruning.reporting.needs import attack_needs

POOL = {"protocol": "pool", "models": 8}
OUTSIDE = "shadow models that were not trained on the example"
DISJOINT = {"protocol": "disjoint", "models": 4, "shadow_models": 6}


@pytest.mark.parametrize(
    ("entry", "of_pool", "of_disjoint"),
    [
        (
            {"use": "loss"},
            "6 shadow models, of which half saw each example",
            "6 shadow models, none of which saw the target's examples",
        ),
        ({"use": "correctness"}, "nothing", "nothing"),
        (
            {"use": "quantile_regression", "n_threshold_shadows": 2},
            *["2 shadow models, for its threshold alone"] * 2,
        ),
        (
            {"use": "loss", "attackers": ["known_members"]},
            *["half of the target's own members"] * 2,
        ),
    ],
)
def test_each_attack_says_under_which_protocol_it_ran_and_what_it_learnt_from(
    entry, of_pool, of_disjoint
):
    experiments = {"a": {"split": POOL}, "b": {"split": DISJOINT}}
    attacks = {"it": {"targets_per_group": 2, **entry}}
    rows = attack_needs({"attackers": ["adaptive"], "attacks": attacks, "experiments": experiments})
    assert [(row["experiment"], row["protocol"], row["learns"]) for row in rows] == [
        ("a", "pool", of_pool),
        ("b", "disjoint", of_disjoint),
    ]


@pytest.mark.parametrize(
    ("attackers", "n_parts"), [(["generated_shadows"], 1), (["adaptive", "generated_shadows"], 2)]
)
def test_of_the_attacker_without_data_it_is_said_which_data_it_has(attackers, n_parts):
    attacks = {"it": {"use": "loss", "targets_per_group": 2, "attackers": attackers}}
    experiments = {"a": {"split": {**POOL, "reference": 1000}}}
    settings = {"attackers": ["adaptive"], "attacks": attacks, "experiments": experiments}
    (row,) = attack_needs({**settings, "generator": {"models": 4}})
    *others, learns = row["learns"].split("; ")
    assert others == ["6 shadow models, of which half saw each example"][: n_parts - 1]
    assert learns == (
        "4 shadow models of generated examples, and of the data only the 1000 reference examples that the generator was fitted to"
    )


def test_what_an_attack_asks_for_is_named():
    names = ("loss", "label_only", "lira_joint", "rmia_offline", "loss_trace_spread")
    attacks = {name: {"use": name, "targets_per_group": 2} for name in names}
    rows = attack_needs(
        {"attackers": ["adaptive"], "attacks": attacks, "experiments": {"a": {"split": POOL}}}
    )
    assert {row["attack"]: row["asked"] for row in rows} == {
        "loss": "logits",
        "label_only": "the answers to augmented; the answers to noisy",
        "lira_joint": f"the dense release beside the pruned one; {OUTSIDE}; shadow models that were",
        "rmia_offline": OUTSIDE,
        "loss_trace_spread": "the losses along training",
    }
