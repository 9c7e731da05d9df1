"""Where files lie and who trains what: known answers for a small study of every kind of defence."""

import re

import pytest

from mia_pruning.study.completion import complete
from mia_pruning.study.layout import Combination, Layout, home_of
from mia_pruning.study.loading import ROOT
from mia_pruning.study.pipeline import RULES
from mia_pruning.study.reading import read_yaml
from mia_pruning.study.study import Study
from mia_pruning.tables import ABOUT, TABLES, gathered

RUN = "results/smoke/lenet5_fashion/seed_0"
ERM = ("lenet5_fashion", "0", "erm")


@pytest.fixture
def layout():
    """A function: the layout of the smoke study with changed settings of its experiment."""

    def make(left_out=(), **changes):
        settings = read_yaml(ROOT / "studies" / "smoke.yaml")
        experiment = settings["experiments"]["lenet5_fashion"]
        for section, values in changes.items():
            experiment[section] = {**experiment[section], **values}
        return Layout(Study(complete(settings)), {}, frozenset(left_out))

    return make


def test_every_rule_of_the_workflow_is_listed_and_no_other():
    text = "".join(path.read_text() for path in (ROOT / "workflow" / "rules").glob("*.smk"))
    named = re.findall(r"^(?:rule|use rule \w+ as) (\w+)", text, flags=re.MULTILINE)
    assert sorted(named) == sorted(RULES)


def test_models_are_spread_over_batches_in_order(layout):
    found = layout(training={"models_per_job": 4})
    assert found.batch_names("lenet5_fashion") == ["targets_0", "targets_1"]
    assert found.target_rows("lenet5_fashion", "0") == [0, 1, 2, 3]
    assert found.target_rows("lenet5_fashion", "1") == [4, 5]


def test_shadows_of_a_disjoint_split_stand_below_the_targets(layout):
    disjoint = {"protocol": "disjoint", "shadow_examples": 100, "shadow_models": 4}
    settings = layout().study.settings
    experiment = settings["experiments"]["lenet5_fashion"]
    apart = {**experiment, "split": {**experiment["split"], **disjoint}}
    found = Layout(Study({**settings, "experiments": {"lenet5_fashion": apart}}))
    assert found.members_by_role("lenet5_fashion")["shadows"] == (4, 50)
    rows = [found.rows_of("lenet5_fashion", name) for name in found.batch_names("lenet5_fashion")]
    assert [row for batch in rows for row in batch] == list(range(10))


def test_pruning_starts_from_the_dense_batch_unless_it_starts_untrained(layout):
    found = layout()
    dense = found.dense_model(*ERM, "admm", "targets_0")
    assert dense == f"{RUN}/erm/trained/targets_0.safetensors"
    assert found.dense_model(*ERM, "snip", "targets_0") == []


def test_finished_models_are_the_trained_or_the_retrained_ones(layout):
    found = layout()
    dense = f"{RUN}/erm/trained/targets_0.safetensors"
    assert found.finished_models(*ERM, "none")[0] == dense
    retrained = f"{RUN}/erm/admm/retrained/targets_0.safetensors"
    assert found.finished_models(*ERM, "admm")[0] == retrained


@pytest.mark.parametrize(
    ("attacker", "folder"),
    [
        ("adaptive", f"{RUN}/min_max/admm"),
        ("dense_shadows", f"{RUN}/erm/none"),
        ("generated_shadows", "results/smoke/lenet5_fashion.generated/seed_0/min_max/admm"),
    ],
)
def test_an_attackers_shadow_models(layout, attacker, folder):
    place = ("lenet5_fashion", "0", "min_max", "admm", attacker)
    assert layout().shadow_signals(*place) == f"{folder}/signals.npy"


def test_each_gathered_table_has_a_part_of_every_combination_that_is_made(layout):
    left = Combination("lenet5_fashion", 0, "mia_pruning")
    found = layout(left_out=[left])
    for name, table in gathered().items():
        parts = found.parts(table.parts, f"{name}.csv")
        assert parts, name
        assert left.defence not in {part.about["defence"] for part in parts}, name
        assert all(part.path.endswith(f"{name}.csv") for part in parts)
    defences = {part.about["defence"] for part in found.parts("defence", "")}
    assert defences == set(found.study["defences"]) - {left.defence}


def test_a_file_is_at_home_in_the_folder_of_its_combination(layout):
    found = layout()
    combination = Combination("lenet5_fashion", 0, "mia_pruning")
    run, objective, own = found.folders_of(combination)
    assert home_of(f"{own}/retrained/targets_0.safetensors") == own
    assert home_of(f"{objective}/trained/targets_0.safetensors") == objective
    assert home_of(f"{run}/membership.npz") == run


def test_a_gathered_table_begins_with_what_its_rows_are_about():
    assert all(table.columns[: len(ABOUT)] == ABOUT for table in gathered().values())
    assert {table.writer for table in TABLES.values()} <= set(RULES)
