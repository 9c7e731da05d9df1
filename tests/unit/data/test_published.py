"""The downloaded data sets: the facts that are written down, and the way from an address to examples."""

import gzip
import hashlib
import io
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
import torchvision

from mia_pruning.data import cifar10, cifar100, fashion_mnist, mnist
from mia_pruning.data.pack import check_contents
from mia_pruning.data.published import data_folder
from mia_pruning.data.sources import check_sources
from mia_pruning.types import StudyError

IDX = {
    "mnist": (mnist, torchvision.datasets.MNIST),
    "fashion_mnist": (fashion_mnist, torchvision.datasets.FashionMNIST),
}
CIFAR = {
    "cifar10": (cifar10, torchvision.datasets.CIFAR10),
    "cifar100": (cifar100, torchvision.datasets.CIFAR100),
}
ALL = {**IDX, **CIFAR}


def source_of(name, **options):
    return getattr(ALL[name][0], name)(**options)


def md5(content):
    return f"md5:{hashlib.md5(content).hexdigest()}"


def idx(array):
    return (
        bytes([0, 0, 8, array.ndim])
        + struct.pack(f">{array.ndim}I", *array.shape)
        + array.tobytes()
    )


@pytest.mark.parametrize("name", IDX)
def test_names_digests_and_mirrors_of_idx_files_are_torchvisions(name):
    module, theirs = IDX[name]
    assert {f"{file}.gz": f"{packed}" for file, (packed, _) in module.DIGESTS.items()} == {
        file: f"md5:{digest}" for file, digest in theirs.resources
    }
    assert list(module.MIRRORS) == theirs.mirrors
    folder = Path(theirs.__new__(theirs).__class__.__name__) / "raw"
    assert {path.parent for path in source_of(name, folder="d").files} == {"d" / folder}


@pytest.mark.parametrize("name", CIFAR)
def test_names_digests_and_address_of_cifar_are_torchvisions(name):
    module, theirs = CIFAR[name]
    batches = [*theirs.train_list, *theirs.test_list, (theirs.meta["filename"], theirs.meta["md5"])]
    assert {str(path): digest for path, digest in module.DIGESTS.items()} == {
        f"{theirs.base_folder}/{file}": f"md5:{digest}" for file, digest in batches
    }
    archive = module.ARCHIVE
    assert [mirror + archive.name for mirror in archive.mirrors] == [theirs.url]
    assert (archive.name, archive.digest) == (theirs.filename, f"md5:{theirs.tgz_md5}")


def test_names_of_classes_are_torchvisions():
    assert list(fashion_mnist.CLASSES) == torchvision.datasets.FashionMNIST.classes
    assert [name[0] for name in torchvision.datasets.MNIST.classes] == list(
        mnist.mnist().class_names
    )
    assert list(cifar100.CLASSES) == sorted(set(cifar100.CLASSES))
    assert len(cifar100.CLASSES) == 100


@pytest.mark.parametrize("name", ALL)
def test_the_number_of_examples_is_known_before_anything_is_there(name, tmp_path):
    sizes = [
        source_of(name, folder=str(tmp_path), part=part).n_examples
        for part in ("all", "train", "test")
    ]
    assert sizes == ([70_000, 60_000, 10_000] if name in IDX else [60_000, 50_000, 10_000])
    check_sources(source_of(name, folder=str(tmp_path)), "datasets.d")
    with pytest.raises(StudyError, match="part = 'validation': allowed is one of all, train, test"):
        source_of(name, part="validation")


def test_the_data_folder_is_the_option_else_the_environments_else_data(monkeypatch):
    monkeypatch.delenv("MIA_PRUNING_DATA", raising=False)
    assert data_folder(None) == Path("data")
    monkeypatch.setenv("MIA_PRUNING_DATA", "/shared")
    assert data_folder(None) == Path("/shared")
    assert data_folder("/mine") == Path("/mine")
    assert all(path.is_relative_to("/shared") for name in ALL for path in source_of(name).files)


@pytest.fixture
def small_idx(monkeypatch, site):
    """MNIST with the true layout and 30 + 20 images, and the server that has it."""
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.integers(
            0,
            10 if "labels" in name else 256,
            (n, 28, 28)[: 1 if "labels" in name else 3],
            dtype=np.uint8,
        )
        for kind, n in (("train", 30), ("t10k", 20))
        for name in (f"{kind}-images-idx3-ubyte", f"{kind}-labels-idx1-ubyte")
    }
    packed = {name: gzip.compress(idx(array)) for name, array in arrays.items()}
    site.files |= {f"/{name}.gz": content for name, content in packed.items()}
    monkeypatch.setattr(
        mnist, "DIGESTS", {name: (md5(packed[name]), md5(idx(arrays[name]))) for name in arrays}
    )
    monkeypatch.setattr(mnist, "MIRRORS", (f"{site.url}none/", site.url))
    return arrays


@pytest.mark.parametrize(
    ("part", "kinds"), [("all", ["train", "t10k"]), ("train", ["train"]), ("test", ["t10k"])]
)
def test_idx_files_are_fetched_unpacked_checked_and_joined(small_idx, site, tmp_path, part, kinds):
    source = source_of("mnist", folder=str(tmp_path), part=part)
    source.fetch()
    check_sources(source, "d", fetched=True)
    loaded = source.load(tmp_path / "work")
    np.testing.assert_array_equal(
        loaded.images[..., 0],
        np.concatenate([small_idx[f"{kind}-images-idx3-ubyte"] for kind in kinds]),
    )
    np.testing.assert_array_equal(
        loaded.labels, np.concatenate([small_idx[f"{kind}-labels-idx1-ubyte"] for kind in kinds])
    )
    asked = len(site.requests)
    source.fetch()
    assert len(site.requests) == asked == 2 * 2 * len(kinds)


def test_an_existing_torchvision_folder_without_archives_is_used_as_it_is(
    small_idx, site, tmp_path
):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, array in small_idx.items():
        (raw / name).write_bytes(idx(array))
    source = source_of("mnist", folder=str(tmp_path))
    source.fetch()
    assert site.requests == []
    assert len(source.load(tmp_path / "work").labels) == 50


def test_a_file_that_was_fetched_and_damaged_is_refused_before_it_is_read(small_idx, tmp_path):
    source = source_of("mnist", folder=str(tmp_path))
    source.fetch()
    name = "t10k-labels-idx1-ubyte"
    (tmp_path / "MNIST" / "raw" / name).write_bytes(idx(small_idx[name])[:-1])
    with pytest.raises(StudyError, match=rf"datasets.d: .*{name} is damaged or altered.*delete it"):
        check_sources(source, "datasets.d")


@pytest.fixture
def small_cifar(monkeypatch, site):
    """CIFAR-10 with the true layout and 10 images a batch, and the server that has its archive."""
    rng, files = np.random.default_rng(0), {}
    for path in cifar10.DIGESTS:
        batch = {
            "data": rng.integers(0, 256, (10, 3072), dtype=np.uint8),
            "labels": rng.integers(0, 10, 10).tolist(),
        }
        files[path] = pickle.dumps(
            {"label_names": list(cifar10.CLASSES)} if path.name == "batches.meta" else batch
        )
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for path, content in {
            **files,
            Path("../outside"): b"",
            cifar10.BATCHES / "readme.html": b"",
        }.items():
            member = tarfile.TarInfo(str(path))
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    site.files["/cifar-10-python.tar.gz"] = packed.getvalue()
    ours = cifar10.Archive("cifar-10-python.tar.gz", md5(packed.getvalue()), (site.url,))
    monkeypatch.setattr(cifar10, "ARCHIVE", ours)
    monkeypatch.setattr(cifar10, "DIGESTS", {path: md5(content) for path, content in files.items()})
    theirs = torchvision.datasets.CIFAR10
    listed = [[path.name, md5(content).removeprefix("md5:")] for path, content in files.items()]
    monkeypatch.setattr(theirs, "train_list", listed[:5])
    monkeypatch.setattr(theirs, "test_list", listed[5:6])
    monkeypatch.setattr(theirs, "meta", {**theirs.meta, "md5": listed[6][1]})
    return {path.name: pickle.loads(content) for path, content in files.items()}


def test_cifar_is_fetched_unpacked_and_read_batch_by_batch(small_cifar, site, tmp_path):
    source = source_of("cifar10", folder=str(tmp_path / "d"))
    source.fetch()
    check_sources(source, "d", fetched=True)
    assert sorted(path.name for path in (tmp_path / "d").rglob("*") if path.is_file()) == sorted(
        ["cifar-10-python.tar.gz", *small_cifar]
    )
    assert not (tmp_path / "outside").exists()
    loaded = source.load(tmp_path / "work")
    batches = [*(small_cifar[f"data_batch_{n}"] for n in range(1, 6)), small_cifar["test_batch"]]
    assert loaded.images.shape == (60, 32, 32, 3)
    pixels = np.concatenate([batch["data"] for batch in batches])
    np.testing.assert_array_equal(loaded.images[:, 5, 7, 2], pixels[:, 2 * 1024 + 5 * 32 + 7])
    assert loaded.labels.tolist() == [label for batch in batches for label in batch["labels"]]
    test = source_of("cifar10", folder=str(tmp_path / "d"), part="test").load(tmp_path / "work")
    np.testing.assert_array_equal(test.images, loaded.images[50:])


def test_a_cifar_archive_with_a_wrong_digest_is_named_and_not_unpacked(small_cifar, tmp_path):
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"altered")
    source = source_of("cifar10", folder=str(tmp_path))
    with pytest.raises(
        StudyError,
        match=rf"cifar-10-python\.tar\.gz is damaged or altered.*{cifar10.ARCHIVE.digest}",
    ):
        source.fetch()
    assert not (tmp_path / "cifar-10-batches-py").exists()


def test_an_altered_batch_is_never_unpickled(small_cifar, tmp_path):
    source = source_of("cifar10", folder=str(tmp_path))
    source.fetch()
    batch = tmp_path / cifar10.BATCHES / "data_batch_3"
    batch.write_bytes(b"cos\nsystem\n(S'touch %s'\ntR." % str(tmp_path / "owned").encode())
    with pytest.raises(StudyError, match="data_batch_3 is damaged or altered"):
        check_sources(source, "datasets.d")
    with pytest.raises(RuntimeError, match="corrupted"):
        source.load(tmp_path / "work")
    assert not (tmp_path / "owned").exists()


def test_an_archive_that_lacks_a_file_is_named(small_cifar, monkeypatch, tmp_path):
    monkeypatch.setattr(
        cifar10, "DIGESTS", {**cifar10.DIGESTS, cifar10.BATCHES / "data_batch_6": "md5:0"}
    )
    with pytest.raises(
        StudyError,
        match=r"cifar-10-python\.tar\.gz: holds no file cifar-10-batches-py/data_batch_6",
    ):
        source_of("cifar10", folder=str(tmp_path)).fetch()


def test_the_written_digests_of_mnist_are_those_of_its_true_content(real, tmp_path):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    with np.load(real("mnist.npz")) as archive:
        for kind, part in (("train", "train"), ("t10k", "test")):
            (raw / f"{kind}-images-idx3-ubyte").write_bytes(idx(archive[f"x_{part}"]))
            (raw / f"{kind}-labels-idx1-ubyte").write_bytes(idx(archive[f"y_{part}"]))
        source = source_of("mnist", folder=str(tmp_path))
        source.fetch()
        check_sources(source, "d", fetched=True)
        loaded = source.load(tmp_path / "work")
        check_contents(loaded.images, loaded, source)
        np.testing.assert_array_equal(loaded.images[60_000:, ..., 0], archive["x_test"])
        np.testing.assert_array_equal(loaded.labels[:60_000], archive["y_train"])


def test_the_written_digests_of_fashion_mnist_are_those_of_the_carried_content():
    for name, (_, digest) in fashion_mnist.DIGESTS.items():
        carried = fashion_mnist.CARRIED / f"{name}.gz"
        if carried.is_file():
            assert md5(gzip.decompress(carried.read_bytes())) == digest
