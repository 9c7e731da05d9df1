"""Numbers in README and docs are those of the kept tables, and a sentence that its interval does not support is refused."""

import pytest
import yaml

from mia_pruning import findings
from mia_pruning.findings import Row, Study, gained, keep, lost, render, undecided
from mia_pruning.storage import write_json, write_text
from mia_pruning.types import StudyError

RESULTS = """experiment,protocol,defence,attack,attacker,metric,value,low,high,n_targets
e,pool,baseline,,,test_accuracy,0.833,0.823,0.843,8
e,pool,baseline,net,adaptive,attack_accuracy,0.607123456789,0.600,0.614,8
e,pool,baseline,net,adaptive,youden,0.2,0.1,0.3,8
"""
DIFFERENCES = """experiment,defence,minus,attack,attacker,metric,value,low,high
e,pruned,baseline,net,adaptive,attack_accuracy,-0.0304,-0.037,-0.024
e,pruned,baseline,strongest,any,attack_accuracy,-0.004,-0.015,0.006
e,pruned,baseline,,,test_accuracy,-0.01,-0.02,0
f,pruned,baseline,,,test_accuracy,-0.03,-0.04,0
"""
COLUMNS = (
    "claim,experiment,defence,attack,attacker,verdict,corrected,headline,"
    "value,low,high,n_intervals,corrected_low,corrected_high\n"
)
VERDICTS = f"""{COLUMNS}\
C1,e,pruned,net,adaptive,supported,supported,True,-0.03,-0.037,-0.024,2,-0.04,-0.02
C1,e,pruned,strongest,any,supported,inconclusive,False,-0.004,-0.015,0.006,2,-0.02,0.01
C5,e,pruned,net,adaptive,refuted,refuted,True,0.1,0.0,0.2,2,0.0,0.2
C5,e,pruned,net,adaptive,refuted,refuted,True,0.2,0.1,0.3,2,0.0,0.3
"""
ORDER = "experiment,defence,value,low,high,reliability,reliability_error,n_pairs\ne,pruned,0.98,0.93,1,0.5,0.1,4\n"


@pytest.fixture
def results(tmp_path):
    """A finished study's tables."""
    folder = tmp_path / "results" / "s"
    tables = {
        "results": RESULTS,
        "differences": DIFFERENCES,
        "verdicts": VERDICTS,
        "exposure_correlation": ORDER,
    }
    for name, text in tables.items():
        write_text(folder / f"{name}.csv", text)
    settings = {"seeds": [0], "experiments": {"e": {}}, "attacks": {}, "defences": {}}
    write_text(folder / "export" / "study.yaml", yaml.safe_dump(settings))
    record = {"rule": "judge_claims", "wildcards": {}, "cpu": "a CPU", "commit": "c"}
    path = folder / "logs" / "judge_claims.provenance.json"
    write_json(path, {**record, "ended": "2026-01-31T01:02:03+00:00"})
    write_text(folder / "benchmarks" / "judge_claims.tsv", "s\tcpu_time\tmax_rss\n100\t90\t50\n")
    return folder


@pytest.fixture
def kept(results, tmp_path):
    keep(results, tmp_path / "kept" / "s")
    return tmp_path / "kept"


@pytest.mark.parametrize("document", findings.DOCUMENTS)
def test_documents_are_what_their_templates_and_the_kept_tables_make(document):
    template = findings.ROOT / findings.DOCUMENTS[document]
    text = (findings.ROOT / document).read_text(encoding="utf-8")
    assert text == render(template, findings.KEPT), "run `make docs`"


def test_kept_numbers_are_those_of_the_study(kept):
    study = Study(kept / "s")
    found = study.number("baseline", "attack_accuracy", "net", "adaptive")
    assert (found.value, found.low, found.high) == (0.60712346, 0.6, 0.614)
    found = study.difference("pruned", "baseline", "attack_accuracy", "net", "adaptive")
    assert found.value == -0.0304
    assert study.order_kept("pruned").high == 1
    assert study.n_comparisons("C1") == 2
    assert study.run == {
        "cpus": ["a CPU"],
        "commits": ["c"],
        "days": ["2026-01-31"],
        "jobs": 1,
        "cpu_minutes": 1.5,
    }


def test_verdicts_are_read_with_and_without_correction(kept):
    study = Study(kept / "s")
    assert study.verdict("C1", "pruned", "strongest", "any") == "inconclusive"
    assert study.verdict("C1", "pruned", "strongest", "any", corrected=False) == "supported"
    assert study.verdict("C5", "pruned", "net", "adaptive") == "refuted"
    assert study.count_verdicts("C1", "pruned", "supported") == (1, 1)


def test_a_number_that_no_row_has_is_refused(kept):
    with pytest.raises(StudyError, match="0 rows of pruned, auc, net, adaptive"):
        Study(kept / "s").number("pruned", "auc", "net", "adaptive")
    with pytest.raises(StudyError, match="2 rows of pruned, baseline, test_accuracy"):
        Study(kept / "s").difference("pruned", "baseline", "test_accuracy")


def test_an_unfinished_study_is_not_quoted(tmp_path):
    with pytest.raises(StudyError, match="has not finished"):
        keep(tmp_path, tmp_path / "kept")


@pytest.mark.parametrize(
    ("word", "low", "high"),
    [
        (lost, -0.01, 0.001),
        (lost, 0.01, 0.02),
        (gained, -0.001, 0.01),
        (gained, -0.02, -0.01),
        (undecided, 0.001, 0.02),
        (undecided, -2, -1),
    ],
)
def test_a_word_that_the_interval_does_not_support_is_refused(word, low, high):
    with pytest.raises(StudyError, match=r"C1, net: the interval .* the sentence has to change"):
        word(Row((low + high) / 2, low, high, "C1, net"))


def test_a_template_is_rendered_with_the_kept_numbers(kept, tmp_path):
    template = tmp_path / "page.j2"
    change = 'study("s").difference("pruned", "baseline", "attack_accuracy", *strongest)'
    template.write_text(f"{{{{ {change}|undecided }}}}\n", encoding="utf-8")
    assert render(template, kept) == "-0.4 points (-1.5 to +0.6)\n"


def test_a_misspelt_name_in_a_template_is_an_error(kept, tmp_path):
    template = tmp_path / "page.j2"
    template.write_text("{{ studdy }}", encoding="utf-8")
    with pytest.raises(StudyError, match="studdy"):
        render(template, kept)
