"""Two planted studies, whose comparison can be worked out by hand."""

import json
import math
import re
import sys

import pandas as pd
import pytest
from scipy import stats

from mia_pruning import compare
from mia_pruning.metrics.intervals import Interval
from mia_pruning.operations.gaps import Failure, Gap, Missing
from mia_pruning.reporting.comparison.outcomes import (
    DIFFERS,
    NUMBER,
    ONLY_A,
    ONLY_B,
    SAME_BITS,
    WITHIN,
    compare_numbers,
    count,
    less,
    only_in_one,
)
from mia_pruning.reporting.comparison.records import settings_of, splits
from mia_pruning.reporting.comparison.tables import difference
from mia_pruning.reporting.comparison.verdicts import compare_verdicts
from mia_pruning.reporting.comparison.words import absent, independence, opening
from mia_pruning.study.layout import Combination

NET = {"attack": "shadow_network", "attacker": "adaptive"}
BEST = {"attack": "strongest", "attacker": "any"}
COUNTED = Interval(100.0, *[math.nan] * 4)


def measured(value, error=0.03, freedom=math.inf):
    """An interval of two standard errors."""
    return Interval(value, value - 2 * error, value + 2 * error, error, freedom)


def number(
    interval,
    defence="pruned",
    metric="test_accuracy",
    attack="",
    attacker="",
    experiment="e",
    **more,
):
    names = {
        "experiment": experiment,
        "defence": defence,
        "attack": attack,
        "attacker": attacker,
        "metric": metric,
    }
    values = dict(
        zip(("value", "low", "high"), (interval.estimate, interval.low, interval.high), strict=True)
    )
    spread = {
        "standard_error": interval.standard_error,
        "degrees_of_freedom": interval.degrees_of_freedom,
    }
    return {**names, **values, **spread, "n_targets": 6.0, "seeds": "0", **more}


def verdict(
    said,
    corrected,
    claim="C1",
    attack="shadow_network",
    attacker="adaptive",
    reason="",
    headline=True,
    **more,
):
    names = {
        "claim": claim,
        "experiment": "e",
        "defence": "pruned",
        "attack": attack,
        "attacker": attacker,
    }
    condition = {
        "metric": "attack_accuracy",
        "minus": "baseline",
        "direction": "below",
        "threshold": 0.0,
    }
    values = {
        "value": -0.02,
        "low": -0.03,
        "high": -0.01,
        "standard_error": 0.005,
        "degrees_of_freedom": 9.0,
    }
    return {
        **names,
        "verdict": said,
        "corrected": corrected,
        "reason": reason,
        "headline": headline,
        **condition,
        **values,
        **more,
    }


def numbers_of_a():
    return [
        number(measured(0.8), "baseline"),
        number(measured(0.8)),
        number(measured(0.6), metric="attack_accuracy", **NET),
        number(measured(0.7), metric="attack_accuracy", **BEST),
        number(COUNTED, metric="n_nonzero"),
    ]


def numbers_of_b():
    """The same bits, within (0.05 against 1.96 x 0.0424), differs (0.1), the same bits, differs by one weight."""
    return [
        number(measured(0.8), "baseline"),
        number(measured(0.85)),
        number(measured(0.5), metric="attack_accuracy", **NET),
        number(measured(0.7), metric="attack_accuracy", **BEST),
        number(Interval(101.0, *[math.nan] * 4), metric="n_nonzero"),
    ]


def verdicts_of_a():
    return [
        verdict("inconclusive", "inconclusive"),
        verdict("supported", "supported", headline=False, **BEST),
        verdict("supported", "supported", claim="C2"),
        verdict(
            "not tested",
            "not tested",
            claim="C3",
            attack="",
            attacker="",
            reason="the study has no defence named snip",
        ),
    ]


def verdicts_of_b():
    return [
        verdict("refuted", "inconclusive"),
        verdict("supported", "inconclusive", headline=False, **BEST),
        verdict("supported", "supported", claim="C2"),
        verdict("refuted", "refuted", claim="C3"),
    ]


DIFFERENCE = {"minus": "baseline", **number(measured(-0.05), metric="attack_accuracy", **NET)}


def plant(folder, numbers, verdicts):
    """A finished study without records."""
    folder.mkdir()
    pd.DataFrame(numbers).to_csv(folder / "results.csv", index=False)
    pd.DataFrame([DIFFERENCE]).to_csv(folder / "differences.csv", index=False)
    pd.DataFrame(verdicts).to_csv(folder / "verdicts.csv", index=False)
    return folder


def record(folder, rule, **content):
    about = {
        "commit": "c0ffee",
        "dirty": False,
        "packages": {"torch": "2"},
        "cpu": "a processor",
        "wildcards": {},
        "inputs": {},
    }
    logs = folder / "logs"
    logs.mkdir(exist_ok=True)
    (logs / f"{rule}.provenance.json").write_text(
        json.dumps({**about, "rule": rule, **content}), encoding="utf-8"
    )


@pytest.fixture
def a(tmp_path):
    return plant(tmp_path / "one", numbers_of_a(), verdicts_of_a())


@pytest.fixture
def b(tmp_path):
    return plant(tmp_path / "two", numbers_of_b(), verdicts_of_b())


def run(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["compare", *map(str, arguments)])
    return compare.main()


def compared(a, b):
    return compare_numbers(pd.DataFrame(a), pd.DataFrame(b), NUMBER)


def test_a_difference_is_welchs():
    """The summaries of Welch's test, by another way."""
    a, b = (
        Interval(10.0, 0.0, 0.0, 3 / math.sqrt(9), 8.0),
        Interval(13.0, 0.0, 0.0, 2 / math.sqrt(16), 15.0),
    )
    wanted = stats.ttest_ind_from_stats(13.0, 2.0, 16, 10.0, 3.0, 9, equal_var=False)
    found = less(b, a)
    assert found.standard_error == pytest.approx(math.sqrt(1.25))
    assert found.degrees_of_freedom == pytest.approx(1.25**2 / (1 / 8 + 0.25**2 / 15))
    assert 2 * stats.t.sf(
        found.estimate / found.standard_error, found.degrees_of_freedom
    ) == pytest.approx(wanted.pvalue)
    half = stats.t.ppf(0.975, found.degrees_of_freedom) * math.sqrt(1.25)
    assert (found.low, found.high) == pytest.approx((3 - half, 3 + half))


def test_each_number_has_its_outcome():
    found = compared(numbers_of_a(), numbers_of_b())
    assert [each.outcome for each in found] == [SAME_BITS, WITHIN, DIFFERS, SAME_BITS, DIFFERS]
    assert [each.has_interval for each in found] == [True, True, True, True, False]


def test_the_last_bit_counts_and_no_spread_is_no_luck():
    one, next_to_it = measured(0.5, error=0.0), measured(math.nextafter(0.5, 1), error=0.0)
    (found,) = compared([number(one)], [number(next_to_it)])
    assert (found.outcome, found.has_interval) == (DIFFERS, False)


def test_a_number_that_is_missing_in_both_is_the_same_and_in_one_is_not():
    missing = Interval(*[math.nan] * 5)
    outcomes = [
        compared([number(missing)], [number(each)])[0].outcome for each in (missing, measured(0.5))
    ]
    assert outcomes == [SAME_BITS, DIFFERS]


def test_what_is_in_one_only_is_counted_and_named():
    a = [
        number(measured(0.5)),
        number(measured(0.5), "snip"),
        number(measured(0.5), metric="auc", **NET),
    ]
    b = [number(measured(0.5), experiment="vgg16_mnist"), number(measured(0.5))]
    found = compared(a, b)
    assert count(found) == {DIFFERS: 0, ONLY_A: 2, ONLY_B: 1, WITHIN: 0, SAME_BITS: 1}
    assert absent(only_in_one(pd.DataFrame(a), pd.DataFrame(b)), found) == [
        "Only in A: 2 numbers; 1 defence (snip); 1 attack (shadow network, adaptive); 1 metric (auc).",
        "Only in B: 1 number; 1 experiment (vgg16 mnist).",
    ]


def test_a_claim_that_asks_something_else_is_named():
    theirs = [
        verdict("supported", "supported"),
        verdict("supported", "supported", claim="C2", threshold=-0.03),
    ]
    ours = [verdict("supported", "supported"), verdict("supported", "supported", claim="C2")]
    numbers = compared(numbers_of_a(), numbers_of_b())
    said = opening(numbers, compare_verdicts(pd.DataFrame(ours), pd.DataFrame(theirs)))
    assert said[-1] == "Other metrics or thresholds are required in B than in A by C2."
    assert not any(
        "required" in sentence
        for sentence in opening(numbers, compare_verdicts(*[pd.DataFrame(ours)] * 2))
    )


def test_the_opening_is_made_from_the_numbers():
    verdicts = compare_verdicts(pd.DataFrame(verdicts_of_a()), pd.DataFrame(verdicts_of_b()))
    assert opening(compared(numbers_of_a(), numbers_of_b()), verdicts) == [
        "Of 5 numbers in both, 2 have the same bits, 1 is the same within intervals and 2 differ (1 with an interval, where "
        "about 0.1 would by luck alone: 5 % of the 2 that have one and other bits; 1 without an interval).",
        "1 of 2 headline verdicts changed: C1 (pruned, e), inconclusive -> refuted.",
        "Of all 3 verdicts in both, under any attacker, 2 changed.",
    ]


def test_luck_is_five_percent_of_what_could_differ():
    """Of 2,000 numbers 10 have the same bits."""
    numbers = [number(measured(0.5), metric=str(index)) for index in range(2000)]
    moved = [{**row, "value": 0.51} if index >= 10 else row for index, row in enumerate(numbers)]
    assert (
        "0 differ (0 with an interval, where about 100 would by luck alone: 5 % of the 1,990"
        in opening(compared(numbers, moved), [])[0]
    )


def test_the_same_bits_everywhere_are_a_reproduction():
    numbers, verdicts = numbers_of_a(), pd.DataFrame(verdicts_of_a())
    said = opening(compared(numbers, numbers), compare_verdicts(verdicts, verdicts))
    assert "B reproduced A: all 5 numbers have the same bits, and so have their intervals." in said
    assert said[-1] == "None of 2 headline verdicts changed."
    wider = [{**row, "high": row["high"] + 1} for row in numbers]
    assert "the intervals of 4 have not" in " ".join(opening(compared(numbers, wider), []))
    assert "reproduced" not in " ".join(opening(compared(numbers, numbers[:-1]), []))


def test_nothing_in_common_is_said():
    found = compared([number(measured(0.5), "one")], [number(measured(0.5), "two")])
    assert opening(found, []) == ["No number is in both studies, so nothing could be compared."]


def split(seed=0, models=8, digest="d"):
    inputs = {
        "results/data/x/labels.npy": digest,
        "results/data/x/dataset.json": "says when it was made",
    }
    wildcards = {"experiment": "e", "seed": str(seed)}
    return {
        "rule": "split_examples",
        "wildcards": wildcards,
        "params": {"seed": seed, "split": {"models": models}},
        "inputs": inputs,
    }


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (
            [split()],
            [split()],
            "Not independent: both studies attack the same examples on e (seed 0),",
        ),
        ([split()], [split(), split(seed=1)], "on e (seed 0 of 2 seeds)"),
        ([split()], [split(seed=1)], "Taken as independent"),
        ([split()], [split(models=6)], "Taken as independent"),
        ([split()], [split(digest="other")], "Taken as independent"),
        ([split()], [], "It is not recorded"),
    ],
)
def test_the_same_examples_are_known_by_the_records(a, b, said):
    (found,) = independence(splits(a), splits(b), ["e"])
    assert said in found


def test_settings_are_flat():
    report = {
        "rule": "write_report",
        "params": {"settings": {"seeds": [0], "split": {"models": 8}}},
    }
    assert settings_of([report]) == {"seeds": [0], "split.models": 8}
    assert settings_of([]) is None


def test_a_small_difference_is_not_rounded_to_none():
    assert (
        difference(Interval(1e-7, -1e-3, 1e-3, 5e-4, 9.0), "auc") == "+1e-05 points (-0.1 to +0.1)"
    )


def test_a_page_is_written_and_the_console_says_what_came_of_it(a, b, monkeypatch, capsys):
    assert run(monkeypatch, a, b) == 0
    said = capsys.readouterr().out
    assert (
        "C1 e, pruned, strongest, any: supported (corrected supported) -> supported (corrected inconclusive)"
        in said
    )
    assert re.search(r"^differs +2$", said, re.M)
    page = (b.parent / "compare_one_two.html").read_text(encoding="utf-8")
    assert "1 of 2 headline verdicts changed: C1 (pruned, e), inconclusive -&gt; refuted." in page
    assert "It is not recorded whether both attack the same examples on e" in page
    assert "The configuration of one of them is not recorded" in page
    judged_once = page[page.index('id="judged-once"') :].split("</table>")[0]
    assert "C3" in judged_once
    assert "the study has no defence named snip" in judged_once


def test_the_page_says_where_configurations_and_machines_differ(a, b, monkeypatch, tmp_path):
    for folder, models, node in ((a, 8, "near"), (b, 6, "far")):
        record(
            folder,
            "write_report",
            params={"settings": {"study": "s", "split": {"models": models}}},
            node=node,
        )
    assert run(monkeypatch, a, b, "--output", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    settings = page[page.index('id="settings"') :].split("</table>")[0]
    assert "split.models" in settings
    assert ">study<" not in settings
    assert page.index(">far<") > page.index(">near<")


def test_names_are_escaped(tmp_path, monkeypatch):
    numbers = [
        number(measured(0.5), "<b>bold</b>", experiment="<i>e</i>", metric="attack_accuracy", **NET)
    ]
    verdicts = [verdict("supported", "supported", defence="<b>bold</b>")]
    a, b = (
        plant(tmp_path / "<u>a", numbers, verdicts),
        plant(tmp_path / "b", numbers, verdicts_of_b()),
    )
    assert run(monkeypatch, a, b, "--output", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    body = re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S)
    assert "&lt;b&gt;bold&lt;/b&gt;" in body
    assert not [tag for tag in ("<b>", "<u>", "<i>e") if tag in body]


def test_studies_without_anything_in_common_have_a_page(a, tmp_path, monkeypatch):
    other = plant(
        tmp_path / "other",
        [number(measured(0.5), "snip", experiment="x")],
        [verdict("refuted", "refuted", experiment="x")],
    )
    assert run(monkeypatch, a, other) == 0


def without_column(folder):
    pd.read_csv(folder / "verdicts.csv").drop(columns="corrected").to_csv(
        folder / "verdicts.csv", index=False
    )


def with_a_word(folder):
    path = folder / "results.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("0.85", "much"), encoding="utf-8")


def twice_the_same(folder):
    pd.DataFrame([*numbers_of_b(), *numbers_of_b()]).to_csv(folder / "results.csv", index=False)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda folder: (folder / "results.csv").unlink(),
            "two/results.csv: there is no such file, so the study has not finished",
        ),
        (
            lambda folder: (folder / "verdicts.csv").unlink(),
            "two/verdicts.csv: there is no such file, so the study has not finished",
        ),
        (
            lambda folder: (folder / "results.csv").write_text(""),
            "results.csv: not a readable CSV file",
        ),
        (
            without_column,
            "verdicts.csv: the columns corrected are missing; it has claim, experiment",
        ),
        (with_a_word, "could not convert string to float: 'much'"),
        (twice_the_same, "results.csv: two rows of e, baseline, test_accuracy; allowed is one"),
    ],
)
def test_a_bad_folder_is_named_in_a_sentence(spoil, said, a, b, monkeypatch, capsys):
    spoil(b)
    assert run(monkeypatch, a, b) == 1
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_missing_folder_and_the_same_one_twice_are_refused(a, monkeypatch, capsys):
    assert run(monkeypatch, a, a.parent / "none") == 1
    assert (
        "none: no such folder; compare takes the results of two studies" in capsys.readouterr().err
    )
    assert run(monkeypatch, a, a / ".." / a.name) == 1
    assert "; compare takes two studies" in capsys.readouterr().err


def test_a_study_that_is_not_whole_is_said_to_be_so(a, b, monkeypatch, capsys):
    gap = Gap(
        (Combination("lenet5", 0, "pruned"),),
        (Failure("train_targets lenet5", "stopped: no data", "a.log"),),
        (),
    )
    Missing(0.0, 2, (gap,)).write(b / "missing.json")
    assert run(monkeypatch, a, b) == 0
    said = f"{b}: These results are not whole: of 2 combinations of experiment, seed and defence 1 is missing"
    assert said in capsys.readouterr().out
    assert said in (b.parent / "compare_one_two.html").read_text(encoding="utf-8")
