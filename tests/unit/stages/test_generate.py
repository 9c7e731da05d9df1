from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mia_pruning import storage
from mia_pruning.models.generator import Generator
from mia_pruning.stages.generate import generate_examples
from mia_pruning.stages.pack import pack_dataset
from mia_pruning.stages.packed import read_packed, read_split
from mia_pruning.stages.split import split_examples
from mia_pruning.types import DatasetSource, Loaded, StudyError

N, N_EXAMPLES = 120, 60
SPLIT = {"protocol": "pool", "examples": 40, "models": 4, "reference": 60, "test": 20}
FITTING = {"epochs": 150, "learning_rate": 0.003, "n_examples": N_EXAMPLES}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A packed data set and its split: three grey levels, each image with a slope of its own."""
    folder = tmp_path_factory.mktemp("study")
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 3
    slopes = rng.uniform(-13, 13, N)[:, None, None] * np.arange(-4, 4)[None, :, None] * np.ones(8)
    images = (labels * 60 + 60)[:, None, None] + slopes + rng.integers(-3, 4, (N, 8, 8))
    images = images[..., None].round().astype(np.uint8)
    source = DatasetSource(
        "toy",
        {},
        N,
        (8, 8, 1),
        ("a", "b", "c"),
        "CC0",
        "nobody",
        lambda work: Loaded(images, labels),
    )
    paths = SimpleNamespace(dataset=str(folder / "dataset.json"), split=str(folder / "split.npz"))
    pack_dataset(source, paths.dataset, {})
    split_examples(paths.dataset, SPLIT, 0, paths.split, {})
    return paths


def generated(files, folder, seed=0, dataset=None):
    output = str(folder / "dataset.json")
    generate_examples(
        dataset or files.dataset,
        files.split,
        generator=FITTING,
        seed=seed,
        output=output,
        record={"rule": "generate_examples"},
    )
    return read_packed(output)


@pytest.fixture(scope="module")
def drawn(files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("generated")
    return generated(files, folder), folder


def test_generated_examples_are_a_packed_data_set_that_can_be_split(files, drawn):
    packed, folder = drawn
    original = read_packed(files.dataset)
    assert packed.images.shape == (N_EXAMPLES, *original.image_shape)
    assert (packed.images.dtype, packed.labels.dtype) == (np.uint8, np.int64)
    assert (packed.image_shape, packed.n_classes) == (original.image_shape, original.n_classes)
    assert packed.description["mean"] == pytest.approx([packed.images.mean()])
    assert packed.description["deviation"] == pytest.approx([packed.images.std()])
    assert packed.description["provenance"] == {"rule": "generate_examples"}
    section = {"protocol": "pool", "examples": 40, "models": 4, "reference": 6, "test": 14}
    split_examples(str(folder / "dataset.json"), section, 0, str(folder / "split.npz"), {})
    assert read_split(folder / "split.npz").examples.size == N_EXAMPLES


def test_classes_have_the_proportions_of_the_reference_set(files, drawn):
    known = read_packed(files.dataset).labels[read_split(files.split).reference]
    counts = np.bincount(drawn[0].labels, minlength=3)
    np.testing.assert_array_equal(
        counts, np.bincount(known, minlength=3) * N_EXAMPLES // known.size
    )
    assert drawn[0].description["class_counts"] == counts.tolist()


def test_generated_images_are_as_bright_as_their_class_is(drawn):
    """Grey levels around 60, 120 and 180."""
    packed, _ = drawn
    brightness = [packed.images[packed.labels == label].mean() for label in range(3)]
    np.testing.assert_allclose(brightness, [60, 120, 180], atol=15)


def test_the_reference_set_is_all_that_the_generator_sees(files, drawn, tmp_path):
    original, split = read_packed(files.dataset), read_split(files.split)
    others = np.setdiff1d(np.arange(len(original.images)), split.reference)
    for changed, same in ((others, True), (split.reference[:1], False)):
        folder = tmp_path / str(same)
        images, labels = original.images.copy(), original.labels.copy()
        images[changed], labels[changed] = 255 - images[changed], (labels[changed] + 1) % 3
        storage.write_array(folder / "images.npy", images)
        storage.write_array(folder / "labels.npy", labels)
        storage.write_json(folder / "dataset.json", original.description)
        again = generated(files, folder / "drawn", dataset=str(folder / "dataset.json"))
        assert np.array_equal(again.images, drawn[0].images) is same


def test_another_seed_gives_other_examples(files, drawn, tmp_path):
    assert (generated(files, tmp_path, seed=1).images != drawn[0].images).any()


def test_images_that_repeat_are_refused_and_leave_no_files(files, tmp_path, monkeypatch):
    draw = Generator.draw
    monkeypatch.setattr(
        Generator, "draw", lambda *arguments: np.repeat(draw(*arguments)[::2], 2, axis=0)
    )
    with pytest.raises(StudyError, match="generator: of 60 generated images only 30 are distinct"):
        generated(files, tmp_path)
    assert list(Path(tmp_path).iterdir()) == []
