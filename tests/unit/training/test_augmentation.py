import itertools

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.seeds import stream
from mia_pruning.study.schema import SCHEMA
from mia_pruning.training.augmentation import AUGMENTATIONS, crop, cropped, flip
from mia_pruning.training.data import ResidentData

SHAPES = st.tuples(st.integers(1, 6), st.integers(1, 4), st.integers(1, 20), st.integers(1, 20))


def batch(shape, seed=0, channels_last=True):
    """Values from 1 to 255, so that a zero can only be padding."""
    pixels = np.random.default_rng(seed).integers(1, 256, shape, dtype=np.uint8)
    return torch.from_numpy(pixels).contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )


def moved(image, row, column, padding):
    """One image (channels, height, width), pixel by pixel."""
    out = np.zeros_like(image)
    for channel, y, x in np.ndindex(*image.shape):
        from_y, from_x = y + row - padding[0], x + column - padding[1]
        if 0 <= from_y < image.shape[1] and 0 <= from_x < image.shape[2]:
            out[channel, y, x] = image[channel, from_y, from_x]
    return out


@given(
    shape=SHAPES,
    padding=st.tuples(st.integers(0, 5), st.integers(0, 5)),
    seed=st.integers(0, 100),
    channels_last=st.booleans(),
)
def test_cropped_equals_a_slow_loop(shape, padding, seed, channels_last):
    images = batch(shape, seed, channels_last)
    offsets = np.random.default_rng(seed).integers(0, 2 * np.array(padding) + 1, (shape[0], 2))
    wanted = [
        moved(image, *offset, padding)
        for image, offset in zip(images.numpy(), offsets, strict=True)
    ]
    np.testing.assert_array_equal(
        cropped(images, torch.from_numpy(offsets), padding).numpy(), np.stack(wanted)
    )


@given(shape=SHAPES, seed=st.integers(0, 100))
def test_crop_moves_each_image_by_at_most_an_eighth_of_its_sides(shape, seed):
    images = batch(shape, seed)
    padding = shape[2] // 8, shape[3] // 8
    for image, found in zip(
        images.numpy(), crop(images, np.random.default_rng(seed)).numpy(), strict=True
    ):
        offsets = np.ndindex(2 * padding[0] + 1, 2 * padding[1] + 1)
        assert any(np.array_equal(found, moved(image, *offset, padding)) for offset in offsets)


@given(shape=SHAPES, seed=st.integers(0, 100), channels_last=st.booleans())
def test_flip_equals_a_slow_loop(shape, seed, channels_last):
    images, rng = batch(shape, seed, channels_last), np.random.default_rng(seed)
    wanted = [image[:, :, ::-1] if rng.random() < 0.5 else image for image in images.numpy()]
    np.testing.assert_array_equal(
        flip(images, np.random.default_rng(seed)).numpy(), np.stack(wanted)
    )


@given(shape=SHAPES, seed=st.integers(0, 100), channels_last=st.booleans())
@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_shape_type_layout_and_the_batch_itself_stay(name, shape, seed, channels_last):
    images = batch(shape, seed, channels_last)
    before = images.clone()
    found = AUGMENTATIONS[name](images, np.random.default_rng(seed))
    assert (found.shape, found.dtype) == (images.shape, torch.uint8)
    assert found.is_contiguous(
        memory_format=torch.channels_last if channels_last else torch.contiguous_format
    )
    assert torch.equal(images, before)
    assert found.data_ptr() != images.data_ptr()


@given(shape=SHAPES, rows=st.integers(0, 5), columns=st.integers(0, 5))
def test_a_crop_at_the_padding_is_the_image(shape, rows, columns):
    images = batch(shape)
    assert torch.equal(
        cropped(images, torch.tensor([[rows, columns]] * shape[0]), (rows, columns)), images
    )


@pytest.mark.parametrize("axis", [2, 3])
@pytest.mark.parametrize(("side", "padding"), [(28, 3), (32, 4), (64, 8), (7, 0)])
def test_crop_draws_each_offset_equally_often_on_both_axes(side, padding, axis):
    """Each pixel's value is its place along the axis, so the one in the middle tells the offset."""
    n = 400 * (2 * padding + 1)
    shape = [n, 1, 1, 1]
    shape[axis] = side
    images = torch.arange(1, side + 1, dtype=torch.uint8).expand(n, side).reshape(shape)
    offsets = crop(images, np.random.default_rng(0)).view(n, side)[:, side // 2].int() - (
        side // 2 + 1
    )
    values, counts = offsets.unique(return_counts=True)
    assert values.tolist() == list(range(-padding, padding + 1))
    assert (counts - 400).abs().max() < 5 * 400**0.5


def test_the_outcomes_of_flip_are_the_image_and_its_mirror_image_equally_often():
    image = batch((1, 3, 5, 6))
    found = flip(image.expand(1000, 3, 5, 6), np.random.default_rng(0))
    same, mirrored = ((found == wanted).flatten(1).all(dim=1) for wanted in (image, image.flip(3)))
    assert (same ^ mirrored).all()
    assert abs(int(same.sum()) - 500) < 5 * 250**0.5


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_the_generator_decides_and_examples_differ(name):
    images = batch((1, 3, 32, 32)).expand(64, 3, 32, 32)
    one, same, other = (
        AUGMENTATIONS[name](images, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert len(one.flatten(1).unique(dim=0)) > 1


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_torchs_own_generator_plays_no_part(name):
    images, found = batch((16, 3, 32, 32)), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        found.append(AUGMENTATIONS[name](images, np.random.default_rng(0)))
        assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*found)


def test_the_batches_of_a_model_and_epoch_do_not_depend_on_what_was_drawn_before():
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    given = {"mean": [0.0] * 3, "deviation": [1.0] * 3, "device": torch.device("cpu")}
    data = ResidentData(images, np.zeros(40), augmentations=list(AUGMENTATIONS.values()), **given)

    def batches(row, epoch):
        rng = stream(0, "model", row, "train", epoch)
        return torch.cat([batch for batch, _ in data.batches(16, rng)])

    forwards = {key: batches(*key) for key in itertools.product(range(2), range(2))}
    backwards = {key: batches(*key) for key in reversed(forwards)}
    assert all(torch.equal(forwards[key], backwards[key]) for key in forwards)
    assert len({tensor.numpy().tobytes() for tensor in forwards.values()}) == 4


def test_the_schema_names_exactly_the_augmentations():
    training = yaml.safe_load(SCHEMA.read_text())["$defs"]["training"]
    assert set(training["properties"]["augmentation"]["items"]["enum"]) == set(AUGMENTATIONS)
