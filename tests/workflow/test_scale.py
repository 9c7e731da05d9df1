"""A study of many seeds is planned at the price of its jobs, not of questions that have one answer for all of them."""

import pstats
import sys

import pytest
import yaml

#: library functions that read sources or copy sections of the study
ASKED_ONCE = ("code_digest", "objective", "training", "model")


@pytest.fixture(scope="module")
def calls(project, smoke_settings, changed, tmp_path_factory):
    """A function: how often the library's functions are called while so many seeds are planned."""
    folder = tmp_path_factory.mktemp("scale")

    def count(n_seeds):
        study, profile = folder / f"{n_seeds}.yaml", folder / f"{n_seeds}.profile"
        settings = changed(smoke_settings, {"seeds": list(range(n_seeds))})
        study.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")
        command = project.command(folder, "--dry-run", "--quiet", "all", study=study)
        outcome = project.execute(
            [sys.executable, "-m", "cProfile", "-o", str(profile), *command[1:]], folder
        )
        assert outcome.code == 0, outcome.text
        found = {}
        for (file, _, name), (_, n_calls, *_) in pstats.Stats(str(profile)).stats.items():
            if "mia_pruning" in file:
                found[name] = found.get(name, 0) + n_calls
        return found

    return count


def test_digests_and_settings_are_worked_out_once_for_all_seeds(calls):
    calls(1)  # approves the networks, which no later call does
    few, many = calls(1), calls(9)
    assert {name: many[name] for name in ASKED_ONCE} == {name: few[name] for name in ASKED_ONCE}
