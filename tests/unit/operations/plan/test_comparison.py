import pytest

from mia_pruning import storage
from mia_pruning.operations.plan.__main__ import verdict
from mia_pruning.operations.plan.comparison import Measured, compare, read_benchmarks
from mia_pruning.operations.plan.costs import Cost, RuleCost
from mia_pruning.types import StudyError


@pytest.fixture
def results(tmp_path):
    """Two pruning jobs that ended well, one of them too short to be measured, and one that did not end well."""
    for number, (seconds, ended) in enumerate([("4.5", True), ("NA", True), ("9", False)]):
        name = f"prune_targets_{number}"
        path = tmp_path / "erm" / "benchmarks" / f"{name}.tsv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"s\tmax_rss\tcpu_time\n5\t100.0\t{seconds}\n", encoding="utf-8")
        if ended:
            storage.write_json(
                tmp_path / "erm" / "logs" / f"{name}.provenance.json", {"rule": "prune_models"}
            )
    return tmp_path


def test_benchmarks_are_summed_by_the_rule_in_the_record(results):
    assert read_benchmarks(results) == {"prune_models": Measured(2, 4.5, 100 * 2**20)}


def test_an_incomplete_run_is_compared_by_the_jobs_that_ran(results):
    costs = [
        RuleCost("prune_models", 4, Cost(cpu_seconds=18.0)),
        RuleCost("query_models", 1, Cost(cpu_seconds=7.0)),
    ]
    pruning, total = compare(costs, read_benchmarks(results))
    assert (pruning.rule, pruning.jobs, pruning.ratio) == ("prune_models", 2, 2.0)
    assert (total.estimated, total.measured) == (9.0, 4.5)


def test_a_folder_without_benchmarks_is_named(tmp_path):
    with pytest.raises(StudyError, match="no benchmarks"):
        read_benchmarks(tmp_path / "nowhere")


@pytest.mark.parametrize("ratio", [0.49, 2.01, float("inf"), float("nan")])
def test_an_estimate_that_is_off_by_more_than_allowed_fails_with_a_sentence(ratio, capsys):
    assert verdict(ratio, 2.0) == 1
    assert "within a factor of 2" in capsys.readouterr().err
