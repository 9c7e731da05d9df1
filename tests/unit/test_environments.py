"""Every way to make the environment asks for the versions of the tested lock, and for all that the project lists."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ENVS = ROOT / "envs"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CONDA = yaml.safe_load((ENVS / "environment.yaml").read_text(encoding="utf-8"))["dependencies"]
CONTAINER = (ENVS / "Containerfile").read_text(encoding="utf-8").replace("\\\n", " ")


def asked(lines):
    """Each package with what is asked of its version, as `==1.0`, or "" where any will do."""
    packages = [
        Requirement(line) for line in lines if line and not line.startswith(("#", "--hash"))
    ]
    return {(canonicalize_name(package.name), str(package.specifier)) for package in packages}


def by_file(name):
    return asked(
        line.strip(" \\") for line in (ENVS / name).read_text(encoding="utf-8").splitlines()
    )


def by_conda():
    (lines,) = [entry["pip"] for entry in CONDA if isinstance(entry, dict)]
    return asked(lines)


def by_container():
    """What the files ask for that its pip installs, and what is named beside them."""
    files = re.findall(r"pip install.*?--requirement (?:\S*/)?(\S+)", CONTAINER)
    return asked(re.findall(r"[\w.-]+[=<>~]=[\w.*]+", CONTAINER)).union(*map(by_file, files))


LOCK, LISTED = by_file("requirements.txt"), by_file("requirements.in")


def names(packages):
    return {name for name, _ in packages}


def test_lock_has_one_version_of_each_package():
    assert [entry for entry in LOCK if not re.fullmatch(r"==[^*,]+", entry[1])] == []
    assert len(names(LOCK)) == len(LOCK)


def test_every_package_of_the_lock_has_the_hash_of_at_least_one_file():
    text = (ENVS / "requirements.txt").read_text(encoding="utf-8").replace("\\\n", " ")
    packages = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(packages) == len(LOCK)
    assert [
        line
        for line in packages
        if not re.fullmatch(r"\S+==\S+( ; [^\\]*?)?(\s+--hash=sha256:[0-9a-f]{64})+", line)
    ] == []


def test_make_and_container_install_nothing_of_another_hash():
    for text in ((ROOT / "Makefile").read_text(encoding="utf-8"), CONTAINER):
        (command,) = re.findall(r"pip install.*requirements\.txt", text)
        assert "--require-hashes" in command


@pytest.mark.parametrize("packages", [by_conda(), by_container()], ids=["conda", "container"])
def test_environment_has_the_versions_of_the_lock(packages):
    assert packages - LOCK == set()


@pytest.mark.parametrize(
    "packages", [by_conda(), by_container(), LOCK], ids=["conda", "container", "lock"]
)
def test_environment_has_every_package_that_the_project_lists(packages):
    assert names(LISTED) - names(packages) == set()


def test_lock_has_the_versions_that_the_project_lists():
    assert {entry for entry in LISTED if entry[1]} - LOCK == set()


def test_project_lists_every_package_that_its_library_needs():
    assert names(asked(PROJECT["dependencies"])) - names(LISTED) == set()


def test_conda_and_container_have_the_oldest_python_that_the_project_allows():
    oldest = PROJECT["requires-python"].removeprefix(">=")
    assert f"python={oldest}" in CONDA
    assert set(re.findall(r"python(3[\d.]*\d)", CONTAINER)) == {oldest}
