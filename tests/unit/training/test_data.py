import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.data import ResidentData

CPU = torch.device("cpu")


def toy(n=23, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 4, 3, channels), dtype=np.uint8)
    images[:, 0, 0, 0] = np.arange(n)  # each image tells its number
    mean, deviation = (
        rng.uniform(50, 200, channels).tolist(),
        rng.uniform(20, 90, channels).tolist(),
    )
    labels = rng.integers(0, 5, n)
    return (
        images,
        labels,
        mean,
        deviation,
        ResidentData(images, labels, mean=mean, deviation=deviation, device=CPU),
    )


@given(
    n=st.integers(1, 9),
    channels=st.integers(1, 4),
    batch_size=st.integers(1, 10),
    seed=st.integers(0, 100),
)
def test_batches_equal_a_slow_loop(n, channels, batch_size, seed):
    images, labels, mean, deviation, data = toy(n, channels, seed)
    batches = list(data.batches(batch_size))
    assert [len(labels) for _, labels in batches] == [
        min(batch_size, n - start) for start in range(0, n, batch_size)
    ]
    found = torch.cat([batch for batch, _ in batches])
    assert found.dtype == torch.float32
    assert found.shape == (n, channels, 4, 3)
    for i, channel, row, column in np.ndindex(*found.shape):
        wanted = (float(images[i, row, column, channel]) - mean[channel]) / deviation[channel]
        assert float(found[i, channel, row, column]) == pytest.approx(wanted, rel=1e-4, abs=1e-5)
    assert torch.cat([labels for _, labels in batches]).tolist() == labels.tolist()


def test_batches_are_channels_last():
    for images, _ in toy()[-1].batches(8):
        assert images.is_contiguous(memory_format=torch.channels_last)


def test_a_generator_shuffles_images_and_labels_together_and_decides_the_order():
    _, labels, mean, deviation, data = toy()

    def order(rng):
        batches = list(data.batches(5, rng))
        numbers = torch.cat(
            [(batch[:, 0, 0, 0] * deviation[0] + mean[0]).round().long() for batch, _ in batches]
        )
        assert (
            torch.cat([batch_labels for _, batch_labels in batches]).tolist()
            == labels[numbers].tolist()
        )
        return numbers.tolist()

    first = order(np.random.default_rng(0))
    assert sorted(first) == list(range(23))
    assert first == order(np.random.default_rng(0))
    assert first != order(np.random.default_rng(1))
    assert order(None) == list(range(23))


def test_without_augmentations_no_further_number_is_drawn():
    data, rng, wanted = toy()[-1], np.random.default_rng(3), np.random.default_rng(3)
    list(data.batches(5, rng))
    wanted.permutation(23)
    assert rng.random() == wanted.random()


def test_augmentations_change_each_uint8_batch_in_turn_before_it_is_normalised():
    data = toy()[-1]

    def doubled(images, rng):
        assert images.dtype == torch.uint8
        return images // 4 * 2

    def shifted(images, rng):
        return images + rng.integers(1, 9)

    plain = list(data.batches(5, np.random.default_rng(0)))
    data.augmentations = [doubled, shifted]
    augmented = list(data.batches(5, np.random.default_rng(0)))
    rng = np.random.default_rng(0)
    order = rng.permutation(23)
    for position, ((_, labels), (found, found_labels)) in enumerate(
        zip(plain, augmented, strict=True)
    ):
        raw = data.images[torch.from_numpy(order[5 * position : 5 * position + 5])]
        assert torch.equal(found_labels, labels)
        assert torch.equal(found, data.normalised(raw // 4 * 2 + rng.integers(1, 9)))


def test_augmenting_leaves_the_resident_images_as_they_are():
    data = toy()[-1]
    before = data.images.clone()
    data.augmentations = list(AUGMENTATIONS.values())
    list(data.batches(5, np.random.default_rng(0)))
    assert torch.equal(data.images, before)


def test_without_a_generator_nothing_is_augmented():
    data = toy()[-1]
    plain = [images for images, _ in data.batches(5)]
    data.augmentations = list(AUGMENTATIONS.values())
    assert all(
        torch.equal(images, wanted)
        for (images, _), wanted in zip(data.batches(5), plain, strict=True)
    )


def test_it_keeps_a_copy_in_the_packed_type():
    images, labels, *_, data = toy()
    before = data.images.clone()
    images[:] = 0
    labels[:] = 0
    assert torch.equal(data.images, before)
    assert data.images.dtype == torch.uint8
    assert data.labels.any()


def test_memory_mapped_rows_can_be_resident(tmp_path):
    images, labels, mean, deviation, data = toy()
    np.save(tmp_path / "images.npy", images)
    mapped = ResidentData(
        np.load(tmp_path / "images.npy", mmap_mode="r"),
        labels,
        mean=mean,
        deviation=deviation,
        device=CPU,
    )
    assert torch.equal(mapped.images, data.images)
