"""From a data set's own files to packed arrays: what is planned without them, what identifies them, and what is refused."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

DATA = "datasets.fashion_mnist"
PACKED = "results/data/fashion_mnist/dataset.json"
STAGES = {"fetch_dataset", "pack_dataset"}
FETCHED_PLUG_IN = """
import dataclasses
import shutil

from mia_pruning.data.fashion_mnist import fashion_mnist_t10k
from mia_pruning.data.published import data_folder
from mia_pruning.registry import dataset
from mia_pruning.types import DatasetSource


@dataset
def brought() -> DatasetSource:
    carried, folder = fashion_mnist_t10k(), data_folder(None)

    def fetch() -> None:
        folder.mkdir(exist_ok=True)
        for path in carried.files:
            shutil.copyfile(path, folder / path.name)

    return dataclasses.replace(carried, files={folder / path.name: digest for path, digest in carried.files.items()}, fetch=fetch)
"""


@pytest.fixture
def run(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.fixture
def whole(project):
    """The project with this copy's own library on the path."""
    return project.with_library()


@pytest.fixture
def brought(whole, variant, tmp_path):
    """The project with a data set that is fetched, and a study that uses it."""
    (tmp_path / "fetched_data.py").write_text(FETCHED_PLUG_IN, encoding="utf-8")
    own = dataclasses.replace(
        whole, python_path=os.pathsep.join([str(tmp_path), whole.python_path])
    )
    return own, variant({DATA: {"use": "fetched_data.brought"}})


def test_files_that_were_fetched_may_go_or_come_again_and_rerun_nothing(brought, run):
    own, study = brought
    assert own.plan(run, study).rules >= STAGES
    own.make(run, PACKED, study=study)
    assert not own.plan(run, study).rules & STAGES
    for path in (run / "data").iterdir():
        os.utime(path)
    assert not own.plan(run, study).rules & STAGES
    shutil.rmtree(run / "data")
    assert not own.plan(run, study).rules & STAGES
    source = json.loads((run / "results/data/fashion_mnist/source.json").read_text())
    assert all(digest.startswith("sha256:") for digest in source["files"].values())
    assert not (run / "results/data/fashion_mnist/unfinished").exists()


def test_a_module_that_a_users_plug_in_imports_reruns_its_jobs_when_its_code_changes(
    brought, run, tmp_path
):
    own, study = brought
    helper, plug_in = tmp_path / "own_helper.py", tmp_path / "fetched_data.py"
    helper.write_text("K = 1\n", encoding="utf-8")
    plug_in.write_text(f"import own_helper\n{FETCHED_PLUG_IN}", encoding="utf-8")
    own.make(run, PACKED, study=study)
    helper.write_text("K = 1  # said otherwise\n", encoding="utf-8")
    assert not own.plan(run, study).rules & STAGES
    helper.write_text("K = 2\n", encoding="utf-8")
    assert own.plan(run, study).rules >= {"pack_dataset"}


def test_a_fetched_file_that_is_damaged_is_refused_at_planning(brought, run):
    own, study = brought
    (run / "data").mkdir()
    (run / "data" / "t10k-labels-idx1-ubyte.gz").write_bytes(b"damaged")
    outcome = own.snakemake(run, "-n", study=study)
    assert outcome.code != 0
    assert (
        "datasets.fashion_mnist: data/t10k-labels-idx1-ubyte.gz is damaged or altered"
        in outcome.text
    )
    assert "Traceback" not in outcome.text


def test_own_arrays_are_packed_again_when_their_file_changes(whole, variant, run, tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (1000, 28, 28), dtype=np.uint8), np.arange(1000) % 10
    np.savez(tmp_path / "mine.npz", images=images, labels=labels)
    study = variant({DATA: {"use": "arrays", "file": str(tmp_path / "mine.npz")}})
    whole.make(run, PACKED, study=study)
    assert not whole.plan(run, study).rules & STAGES
    np.savez(tmp_path / "mine.npz", images=images ^ 1, labels=labels)
    assert whole.plan(run, study).rules >= STAGES
    np.savez(tmp_path / "mine.npz", images=images, labels=labels[1:])
    outcome = whole.snakemake(run, "-n", study=study)
    assert (
        f"datasets.fashion_mnist: {tmp_path / 'mine.npz'}[labels]: 999 labels for the 1000 images"
        in outcome.text
    )
    assert "Traceback" not in outcome.text


def test_imagenet_is_planned_without_it_and_then_asked_for(whole, variant, run):
    study = variant({DATA: {"use": "imagenet", "resolution": 28, "classes": 10, "per_class": 100}})
    assert whole.plan(run, study).rules >= STAGES
    outcome = whole.snakemake(run, PACKED, "--cores", "2", study=study)
    assert outcome.code != 0
    assert (
        "and ImageNet cannot be downloaded without an account; obtain ILSVRC2012_img_train.tar"
        in outcome.text
    )
    assert f"{run}/data/imagenet/train/<class>" in outcome.text
    assert "Traceback" not in outcome.text


def test_mnist_is_planned_without_a_network(whole, variant, run, monkeypatch):
    monkeypatch.setenv("MIA_PRUNING_DATA", str(run / "nowhere"))
    assert whole.plan(run, variant({DATA: {"use": "mnist"}})).rules >= STAGES
