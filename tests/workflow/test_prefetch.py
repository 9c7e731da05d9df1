"""`make prefetch`: brings what a study needs a network for, once, and says what to do where it cannot."""

import dataclasses
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

DATA = "datasets.fashion_mnist"
BY_HAND = r"stopped: (\S+): missing, and could not be downloaded \(.*\); download \S+ elsewhere and copy it to this place$"
UNREACHABLE_PLUG_IN = """
from pathlib import Path

from mia_pruning.data.fashion_mnist import CITATION, CLASSES, DIGESTS, LICENCE, SHA256
from mia_pruning.data.idx import idx_source
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource

CARRIED = {name.removesuffix(".gz"): f"sha256:{digest}" for name, digest in SHA256.items()}


@dataset
def unreachable(*, folder: str) -> DatasetSource:
    digests = {name: (digest, DIGESTS[name][1]) for name, digest in CARRIED.items()}
    description = {"name": "test", "class_names": CLASSES, "licence": LICENCE, "citation": CITATION}
    return idx_source(Path(folder), "test", digests, ("http://127.0.0.1:9/",), **description)
"""


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Every request goes to a proxy that is not there."""
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def tree(copied, tmp_path):
    """A copy of the project that finds plug-ins in `tmp_path`."""
    made = copied(tmp_path / "tree").with_library()
    return dataclasses.replace(made, python_path=os.pathsep.join([str(tmp_path), made.python_path]))


@pytest.fixture
def prefetch(tree):
    """A function that runs `make prefetch` in the copy; the environment of these tests stands for .venv."""

    def run(study):
        ready = tree.root / ".ready"
        ready.touch()
        places = [f"BIN={Path(sys.executable).parent}", f"READY={ready}"]
        return tree.execute(["make", "prefetch", *places, f"STUDY={study}"], tree.root)

    return run


def test_what_the_repository_carries_needs_no_network(tree, prefetch):
    outcome = prefetch("studies/smoke.yaml")
    assert outcome.code == 0, outcome.text[-3000:]
    assert (tree.root / "results/data/fashion_mnist/source.json").is_file()


def test_files_are_asked_for_by_name_and_place_and_then_suffice(tree, prefetch, variant, tmp_path):
    (tmp_path / "unreachable_data.py").write_text(UNREACHABLE_PLUG_IN, encoding="utf-8")
    study = variant(
        {DATA: {"use": "unreachable_data.unreachable", "folder": str(tmp_path / "data")}}
    )
    for archive in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        outcome = prefetch(study)
        assert outcome.code != 0
        assert "Traceback" not in outcome.text
        (asked,) = re.findall(BY_HAND, outcome.text, re.MULTILINE)
        assert asked == str(tmp_path / "data" / archive)
        shutil.copyfile(tree.root / "workflow/resources/fashion_mnist" / archive, asked)
    outcome = prefetch(study)
    assert outcome.code == 0, outcome.text[-3000:]
    assert "Nothing to be done" in prefetch(study).text
    packing = tree.make(tree.root, "results/data/fashion_mnist/dataset.json", study=study)
    assert "fetch_dataset" not in packing.text


def test_a_file_of_ones_own_that_is_missing_is_named_at_once(prefetch, variant, tmp_path):
    outcome = prefetch(variant({DATA: {"use": "arrays", "file": str(tmp_path / "mine.npz")}}))
    assert outcome.code != 0
    assert str(tmp_path / "mine.npz") in outcome.text
    assert "Traceback" not in outcome.text
