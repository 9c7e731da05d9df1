"""The sources of the workflow: linters find nothing, and every rule is complete."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIRECTIVES = ("log", "benchmark", "conda", "message", "resources", "script")
TOOLS = {
    "snakefmt": ["--check", "Snakefile", "workflow/rules"],
    "ruff": ["check", "--no-cache"],
    "ruff-format": ["format", "--check", "--no-cache"],
    "lint-imports": ["--no-cache"],
}


def rules() -> dict[str, str]:
    """Each rule's text by name; a rule that reuses another (`use rule a as b with`) has that one's text before its own."""
    texts: dict[str, str] = {}
    for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")):
        for block in re.split(r"\n(?=\S)", path.read_text(encoding="utf-8")):
            if found := re.match(r"(?:use )?rule (\w+)(?: as (\w+) with)?:", block):
                parent, name = found.groups()
                texts[name or parent] = (texts[parent] if name else "") + block
    return texts


def scripts() -> dict[str, str]:
    return {rule: re.findall(r"scripts/(\w+)\.py", text)[-1] for rule, text in rules().items()}


@pytest.mark.parametrize("name", TOOLS)
def test_tool_finds_nothing(name, project):
    program = Path(sys.executable).with_name(name.removesuffix("-format"))
    outcome = project.with_library().execute([str(program), *TOOLS[name]], project.root)
    assert outcome.code == 0, outcome.text


def test_snakemake_lint_finds_nothing(project, desk):
    outcome = project.snakemake(desk, "--lint", study=project.smoke)
    assert outcome.code == 0, outcome.text[-3000:]


@pytest.mark.parametrize("rule", rules())
def test_rule_has_every_directive(rule):
    missing = [
        name for name in DIRECTIVES if not re.search(rf"^    {name}:", rules()[rule], re.MULTILINE)
    ]
    assert not missing


@pytest.mark.parametrize("rule", rules())
def test_rule_reruns_when_its_code_changes(rule):
    params = rules()[rule].split("\n    params:")[-1].split("\n    message:")[0]
    assert re.search(r"^        code=", params, re.MULTILINE)


@pytest.mark.parametrize("rule", rules())
def test_rule_has_the_script_of_its_name(rule):
    assert scripts()[rule] == {
        "train_targets": "train_models",
        "train_shadows": "train_models",
    }.get(rule, rule)


def test_every_script_belongs_to_a_rule():
    assert {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")} == set(
        scripts().values()
    )


def test_every_rule_has_its_own_log_and_benchmark():
    for directive in ("log", "benchmark"):
        found = [
            re.findall(rf'^    {directive}:\n        f?(?:\w+ \+ )?"(.*)"', text, re.M)[-1]
            for text in rules().values()
        ]
        assert len(set(found)) == len(found)
