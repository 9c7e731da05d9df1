"""Display names: a title, or a name made from plug-ins, for every key that people read."""

import pytest

from mia_pruning.registry import catalogue
from mia_pruning.study.completion import complete
from mia_pruning.study.names import display_names
from mia_pruning.study.reading import read_yaml
from mia_pruning.study.schema import SCHEMA
from mia_pruning.study.study import Study
from mia_pruning.traits import NOT_INHERITED
from mia_pruning.types import StudyError

SMOKE = SCHEMA.parents[1] / "studies" / "smoke.yaml"


@pytest.fixture
def named():
    """A function: the display names of the smoke study with titles at dotted keys."""

    def names(titles=(), change=lambda settings: None):
        settings = read_yaml(SMOKE)
        change(settings)
        for path, title in dict(titles).items():
            section, key = path.split(".")
            settings[section][key]["title"] = title
        return display_names(complete(settings))

    return names


def test_names_are_made_from_plug_ins(named):
    names = named()
    assert names["lenet5_fashion"] == "LeNet-5 on Fashion-MNIST"
    assert names["mia_pruning"] == "ADMM 10x"
    assert names["mia_pruning_min_max"] == "Min-Max + ADMM 10x"
    assert names["rmia"] == "RMIA, offline"
    assert names["lenet5"] == "LeNet-5"
    assert "baseline" not in names


def test_a_title_stands_before_what_is_made(named):
    titles = {"datasets.fashion_mnist": "clothes", "defences.mia_pruning": "ours, $x$ & 10 %"}
    names = named(titles)
    assert names["lenet5_fashion"] == "LeNet-5 on clothes"
    assert names["mia_pruning"] == "ours, $x$ & 10 %"


def test_two_entries_of_the_same_made_name_keep_their_keys(named):
    def twice(settings):
        settings["attacks"]["rmia_again"] = dict(settings["attacks"]["rmia"])

    names = named(change=twice)
    assert not {"rmia", "rmia_again"} & set(names)


def test_a_compression_that_experiments_change_is_not_named(named):
    def changed(settings):
        settings["experiments"]["lenet5_fashion"]["constraints"] = {"admm": {"compression": 5}}

    assert named(change=changed)["mia_pruning"] == "ADMM 5x"

    def differs(settings):
        changed(settings)
        settings["experiments"]["other"] = {**settings["experiments"]["lenet5_fashion"]}
        del settings["experiments"]["other"]["constraints"]

    assert named(change=differs)["mia_pruning"] == "ADMM"


def test_a_title_changes_nothing_that_a_job_reads():
    plain, titled = read_yaml(SMOKE), read_yaml(SMOKE)
    for section in ("datasets", "experiments", "defences", "attacks"):
        for entry in titled[section].values():
            entry["title"] = "x"
    plain, titled = complete(plain), complete(titled)
    assert {**titled, "titles": plain["titles"]} == plain
    assert complete(titled) == titled
    assert Study(titled).defence_of("erm", "admm") == "mia_pruning"


@pytest.mark.parametrize("title", ["", " x", "a\nb", "a<b", "x" * 61, 3])
def test_a_title_that_is_no_line_of_text_is_refused(title):
    settings = read_yaml(SMOKE)
    settings["defences"]["mia_pruning"]["title"] = title
    with pytest.raises(StudyError, match=r"defences\.mia_pruning\.title = "):
        complete(settings)


def test_a_title_of_nothing_is_refused():
    settings = {**read_yaml(SMOKE), "titles": {"defences": {"gone": "x"}}}
    with pytest.raises(StudyError, match=r"titles\.defences\.gone: defences has no such name"):
        complete(settings)


def test_a_class_has_its_own_title_alone():
    assert NOT_INHERITED == ("title",)
    assert catalogue("solver")["lottery_ticket"].traits.title == "lottery ticket"
    assert catalogue("objective")["adversarial"].traits.title == ""
    assert catalogue("objective")["adversarial"].load().title == ""
