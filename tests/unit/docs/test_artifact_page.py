"""What the page for reviewers tells them to run and to look at exists, and no claim is left out."""

import re
from pathlib import Path

from mia_pruning.study.reading import read_yaml

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "ARTIFACT.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if line.startswith("| C")
]


def test_every_claim_has_a_row_and_every_row_a_claim():
    assert {row[0] for row in ROWS} == {
        claim["id"] for claim in read_yaml(ROOT / "report" / "claims.yaml")["claims"]
    }


def test_every_command_runs_a_study_that_is_there():
    named = re.findall(r"STUDY=(\S+?\.yaml)", PAGE)
    assert len(named) > 5
    assert [name for name in named if not (ROOT / name).is_file()] == []


def test_a_row_leads_to_the_results_of_the_study_that_its_command_runs():
    for _, _, command, *_, result in ROWS:
        (file,) = re.findall(r"STUDY=(\S+)`", command) or ["config.yaml"]
        assert result == f"`results/{read_yaml(ROOT / file)['study']}/verdicts.csv`"


def test_the_targets_of_make_and_the_tests_that_it_names_exist():
    targets = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    assert set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)", PAGE, flags=re.MULTILINE)) <= {
        pair for target in targets for pair in [(target, ""), ("", target)]
    }
    assert [
        path for path in re.findall(r"`(tests/\S+?)`", PAGE) if not (ROOT / path).is_file()
    ] == []
