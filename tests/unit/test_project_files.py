"""Files that other tools and people read: citation, hooks for commits, the Snakemake workflow catalogue."""

import re
import subprocess
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def read(name):
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def citation_is_valid(path):
    command = ["check-jsonschema", "--builtin-schema", "vendor.citation-file-format", path]
    return subprocess.run(command, capture_output=True).returncode == 0


def test_citation_file_is_valid_and_of_this_version():
    citation = read("CITATION.cff")
    assert citation_is_valid(ROOT / "CITATION.cff")
    assert (citation["version"], citation["license"]) == (PROJECT["version"], PROJECT["license"])


def test_a_citation_file_without_authors_is_found(tmp_path):
    (tmp_path / "CITATION.cff").write_text(
        "cff-version: 1.2.0\nmessage: m\ntitle: t\n", encoding="utf-8"
    )
    assert not citation_is_valid(tmp_path / "CITATION.cff")


HOOKS = {hook["id"]: hook for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]}


def test_hooks_are_local_tools_of_the_lock_or_patterns():
    assert [repository["repo"] for repository in read(".pre-commit-config.yaml")["repos"]] == [
        "local"
    ]
    subprocess.run(["pre-commit", "validate-config", ROOT / ".pre-commit-config.yaml"], check=True)
    tools = {hook["entry"].split()[0] for hook in HOOKS.values() if hook["language"] != "pygrep"}
    scripts = {f".venv/bin/{script.name}" for script in entry_points(group="console_scripts")} | {
        ".venv/bin/ruff"
    }
    assert tools - scripts == set()


@pytest.mark.parametrize(
    ("hook", "bad", "good"),
    [
        ("trailing-whitespace", "a \n", "a\n"),
        ("last-line", "a\nb", "a\nb\n"),
        ("merge-conflict", "<<<<<<< HEAD\n", "Title\n=======\n"),
        ("subject", "x" * 73 + "\n\nbody", "x" * 72 + "\n\n" + "y" * 80),
    ],
)
def test_a_pattern_finds_the_bad_text_alone(hook, bad, good):
    flags = re.MULTILINE if "--multiline" not in HOOKS[hook].get("args", []) else re.NOFLAG
    assert re.search(HOOKS[hook]["entry"], bad, flags)
    assert not re.search(HOOKS[hook]["entry"], good, flags)


def test_the_catalogue_is_told_how_software_gets_there_and_that_there_is_a_report():
    usage = read(".snakemake-workflow-catalog.yml")["usage"]
    assert set(usage) == {"mandatory-flags", "software-stack-deployment", "report"}
    assert set(usage["mandatory-flags"]) == {"desc", "flags"}
    assert usage["software-stack-deployment"] == {
        "conda": (ROOT / "envs" / "environment.yaml").is_file()
    }
    assert usage["report"] == (
        'report: "report/workflow.rst"' in (ROOT / "Snakefile").read_text(encoding="utf-8")
    )
