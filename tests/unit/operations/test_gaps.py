"""What is missing as a file and as sentences."""

from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.operations.gaps import MOST_LISTED, Failure, Gap, Missing, read_missing
from mia_pruning.study.layout import Combination

words = st.text(min_size=1, max_size=8)
combinations = st.builds(Combination, words, st.integers(0, 99), words)
gaps = st.builds(
    Gap,
    st.lists(combinations, min_size=1, max_size=4).map(tuple),
    st.lists(st.builds(Failure, words, words, words), max_size=3).map(tuple),
    st.lists(words, max_size=3).map(tuple),
)


@given(
    st.builds(Missing, st.floats(0, 1e10), st.integers(0, 9), st.lists(gaps, max_size=3).map(tuple))
)
def test_what_is_read_is_what_was_written(tmp_path_factory, missing):
    path = tmp_path_factory.mktemp("missing") / "missing.json"
    missing.write(path)
    assert read_missing(path) == missing


def gap(*combinations, failures=(), not_begun=()):
    return Gap(
        tuple(Combination(*values) for values in combinations), tuple(failures), tuple(not_begun)
    )


def test_of_whole_results_nothing_is_said():
    assert Missing(1.0, 4).sentences() == []
    assert Missing(1.0, 4).by_experiment(["a"]) == {}


def test_a_gap_without_a_failed_job_claims_none():
    _, said = Missing(1.0, 4, (gap(("e", 0, "a"), not_begun=["run_attack"]),)).sentences()
    assert said == (
        "a on e, seed 0: no job of it left a log that says why, so see the newest of .snakemake/log. Never begun: run_attack."
    )


def test_many_combinations_and_many_failures_are_cut():
    many = [("e", 0, f"d{number}") for number in range(MOST_LISTED + 3)]
    failures = [
        Failure(f"train {number}", "stopped: no", "a.log") for number in range(MOST_LISTED + 2)
    ]
    _, said = Missing(1.0, 99, (gap(*many, failures=failures),)).sentences()
    assert "d19 on e, seed 0; and 3 more such: train 0 stopped" in said
    assert said.endswith("; and 2 more jobs likewise.")
    assert (
        len(Missing(1.0, 99, tuple(gap(each) for each in many)).sentences()) == 1 + MOST_LISTED + 1
    )


def test_matched_accuracy_is_missing_where_a_network_of_the_frontier_is():
    missing = Missing(1.0, 9, (gap(("e", 0, "short"), ("e", 1, "short"), ("f", 0, "pruned")),))
    assert missing.by_experiment(["short", "long"]) == {
        "e": ["short", "matched_accuracy"],
        "f": ["pruned"],
    }


def test_nothing_is_left_once_all_are_missing():
    assert Missing(1.0, 1, (gap(("e", 0, "a")),)).leaves_nothing
    assert not Missing(1.0, 2, (gap(("e", 0, "a")),)).leaves_nothing
