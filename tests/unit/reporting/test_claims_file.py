"""The file of claims is refused before the first job, with the place, the problem and what is allowed."""

import copy

import pytest
import yaml

from mia_pruning.reporting.claims_file import read_claims
from mia_pruning.study.schema import SCHEMA
from mia_pruning.types import StudyError

CLAIMS = SCHEMA.parents[1] / "report" / "claims.yaml"
GONE = object()
LOWER = {"metric": "attack_accuracy", "minus": "baseline", "below": 0.0}


@pytest.fixture
def refusal(tmp_path):
    """The problems of the project's file of claims with one value replaced, by its path."""

    def of(value, *path):
        claims = copy.deepcopy(read_claims(CLAIMS))
        *parents, last = path
        place = claims
        for parent in parents:
            place = place[parent]
        place[last] = value
        if value is GONE:
            del place[last]
        file = tmp_path / "claims.yaml"
        file.write_text(yaml.safe_dump(claims, sort_keys=False))
        with pytest.raises(StudyError) as refused:
            read_claims(file)
        first, *problems = str(refused.value).splitlines()
        assert first == f"{file}: it cannot be used"
        return problems

    return of


C1 = ("claims", 0)
CONDITION = (*C1, "conditions", 0)
REFUSED = {
    "neither limit": (
        {"metric": "auc"}, CONDITION,
        "claim C1, condition 1 = {'metric': 'auc'}: allowed is a metric and exactly one of below and at_least",
    ),
    "both limits": ({**LOWER, "at_least": 0}, CONDITION, "exactly one of below and at_least"),
    "misspelt limit": ({"metric": "auc", "bellow": 0}, CONDITION, "unknown key bellow; did you mean 'below'?"),
    "limit in words": ("0.5", (*CONDITION, "below"), "claim C1, condition 1, below = '0.5': allowed is a finite number"),
    "limit that is no number": (float("nan"), (*CONDITION, "below"), "= nan: allowed is a finite number"),
    "misspelt metric": (
        "atack_accuracy", (*CONDITION, "metric"),
        "claim C1, condition 1, metric = 'atack_accuracy': there is no such name; did you mean 'attack_accuracy'? Allowed: a",
    ),
    "difference of a counted metric": ({**LOWER, "metric": "compression"}, CONDITION, "metric = 'compression': there is no"),
    "utility at its own accuracy": (
        {**LOWER, "metric": "test_accuracy", "minus": "matched_accuracy"}, CONDITION, "metric = 'test_accuracy': there is no",
    ),
    "no metric": ({"below": 0}, CONDITION, "claim C1, condition 1: metric is missing; allowed is a metric and exactly one of"),
    "difference to itself": ("mia_pruning", (*CONDITION, "minus"), "condition 1, minus = 'mia_pruning': a defence of the claim"),
    "no condition": ([], (*C1, "conditions"), "claim C1, conditions = []: allowed is a list with at least one condition"),
    "no defence": ([], (*C1, "defences"), "claim C1, defences = []: allowed is a list of different names, at least one"),
    "defence twice": (["a", "a"], (*C1, "defences"), "allowed is a list of different names, at least one"),
    "defence in capitals": (["ADMM"], (*C1, "defences"), "claim C1, defences, 0 = 'ADMM': allowed is a name as studies have it"),
    "wrong figure": ("trade_of", (*C1, "shown_in"), "claim C1, shown_in = 'trade_of': there is no such name; did you mean 'tr"),
    "missing key": (GONE, (*C1, "reading"), "claim C1: reading is missing"),
    "unknown key": ("x", (*C1, "sourc"), "claim C1: unknown key sourc; did you mean 'source'? Allowed: conditions, defences"),
    "number": (13.6, (*C1, "number"), "claim C1, number = 13.6: allowed is words"),
    "claim without an id": (GONE, (*C1, "id"), "claim 1: id is missing"),
    "claim in words": ("C1", C1, "claim 1 = 'C1': allowed is a mapping of the claim's keys"),
    "id twice": ("C2", (*C1, "id"), "claim C2: the id is used twice"),
    "no claims": ([], ("claims",), "claims = []: allowed is a list with at least one claim"),
    "misspelt section": ([], ("claim",), "the file: unknown key claim; did you mean 'claims'?"),
    "no headline": (GONE, ("headline",), "the file: headline is missing"),
    "misspelt attacker": ("adaptiv", ("headline", "attacker"), "headline, attacker = 'adaptiv': allowed is one of adaptive, d"),
    "attacker of the strongest": ("strongest", ("headline", "attack"), "headline, attacker = 'adaptive': allowed is any"),
    "any attacker of one attack": ("any", ("headline", "attacker"), "headline, attacker = 'any': allowed is an attacker"),
    "misspelt model": (["lenet"], ("paper", "models"), "paper, models = 'lenet': there is no such name; did you mean 'lenet5'?"),
    "misspelt data set": ({"mnits": 70000}, ("paper", "datasets"), "paper, datasets = 'mnits': there is no such name"),
    "examples in words": ("70,000", ("paper", "datasets", "mnist"), "paper, datasets, mnist = '70,000': allowed is a number of"),
}  # fmt: skip


@pytest.mark.parametrize(("value", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_a_claim_that_cannot_be_judged_is_refused(refusal, value, path, message):
    assert message in "\n".join(refusal(value, *path))


@pytest.mark.parametrize(("value", "path", "message"), REFUSED.values(), ids=REFUSED)
def test_each_problem_is_one_line_with_what_is_allowed_or_needed(refusal, value, path, message):
    for problem in refusal(value, *path):
        assert problem.startswith("  - ")
        assert any(words in problem for words in ("llowed", "needs"))


def test_all_problems_are_listed(refusal):
    wrong = {"metric": "auc", "below": "low", "at_most": 1}
    assert len(refusal(wrong, *CONDITION)) == 2


@pytest.mark.parametrize(
    "condition",
    [
        {"metric": "epsilon", "below": 3},
        {"metric": "tpr_at_0.1_percent_fpr", "at_least": 1},
        {"metric": "js_divergence", "minus": "a_defence_that_few_studies_have", "below": -0.5},
        {"metric": "auc", "minus": "matched_accuracy", "below": 0},
    ],
)
def test_what_some_study_may_measure_is_accepted(tmp_path, condition):
    claims = read_claims(CLAIMS)
    claims["claims"][0]["conditions"] = [condition]
    claims["headline"] = {"attack": "strongest", "attacker": "any"}
    (tmp_path / "claims.yaml").write_text(yaml.safe_dump(claims))
    assert read_claims(tmp_path / "claims.yaml") == claims
