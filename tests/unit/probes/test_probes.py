"""Every probe against an answer that is known, or a slow obvious loop."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.operations.plan.counting import random_data
from mia_pruning.probes.asked import Asked
from mia_pruning.probes.augmented import all_copies, augmented, copies
from mia_pruning.probes.distillation import distillation
from mia_pruning.probes.gradient_norm import gradient_norm
from mia_pruning.probes.loss_trace import loss_trace
from mia_pruning.probes.noisy import noisy
from mia_pruning.probes.sensitivity import sensitivity
from mia_pruning.registry import catalogue

SHAPE, N_CLASSES, N = (6, 6, 2), 3, 30
PROBES = catalogue("probe")
#: The other probes are recorded while models train.
ASKED = [name for name, plug_in in PROBES.items() if not plug_in.traits.recorded]


class Small(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(SHAPE[2], 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(4 * 4 * 4, N_CLASSES)

    def forward(self, images):
        return self.linear(self.norm(self.convolution(images)).relu().flatten(1))


class Pixel(nn.Module):
    """Class 0 has one pixel as its logit, as it is on the 0-255 scale, class 1 half of it, class 2 nothing."""

    def __init__(self, row, column):
        super().__init__()
        self.row, self.column = row, column

    def forward(self, images):
        pixel = images[:, 0, self.row, self.column] * 64 + 127.5
        return torch.stack([pixel, pixel / 2, torch.zeros_like(pixel)], dim=1)


def asked(model=None, seed=0, n=N):
    torch.manual_seed(3)
    network = Small().eval() if model is None else model
    data = random_data(n, SHAPE, N_CLASSES)
    return Asked(
        network,
        data,
        random_data(20, SHAPE, N_CLASSES),
        lambda: copy.deepcopy(network),
        np.random.default_rng(seed),
    )


@pytest.mark.parametrize("name", ASKED)
def test_every_example_gets_a_finite_answer_that_the_seed_decides(name):
    probe = catalogue("probe")[name].load()
    found = probe(asked())
    assert len(found) == N
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found, probe(asked()))


@pytest.mark.parametrize("name", ASKED)
def test_a_probe_leaves_the_model_as_it_was(name):
    given = asked()
    before = copy.deepcopy(given.model.state_dict())
    catalogue("probe")[name].load()(given)
    for key, tensor in given.model.state_dict().items():
        assert torch.equal(tensor, before[key])
    assert not given.model.training


def test_gradient_norms_are_those_of_one_example_at_a_time():
    given = asked()
    found = gradient_norm(given, n_at_once=7)
    for row in range(N):
        given.model.zero_grad()
        images, labels = given.data.images[row : row + 1], given.data.labels[row : row + 1]
        nn.functional.cross_entropy(given.model(given.data.normalised(images)), labels).backward()
        slow = sum(float(p.grad.square().sum()) for p in given.model.parameters()) ** 0.5
        assert found[row] == pytest.approx(slow, rel=1e-4)


def test_the_copies_are_the_mirror_image_and_the_four_shifts():
    images = random_data(5, SHAPE, N_CLASSES).images
    mirrored, up, down, left, right = copies(images, 2)
    assert torch.equal(mirrored, images.flip(-1))
    found = sorted(
        tuple(np.argwhere(shifted[0, 0].numpy() == 0).sum(axis=0))
        for shifted in (up, down, left, right)
    )
    assert len(set(found)) == 4
    inner = images[:, :, 2:4, 2:4]
    placed = {(dy, dx) for s in (up, down, left, right) for dy in (0, 2, 4) for dx in (0, 2, 4)
              if torch.equal(s[:, :, dy : dy + 2, dx : dx + 2], inner)}  # fmt: skip
    assert placed == {(0, 2), (4, 2), (2, 0), (2, 4)}


def test_seventeen_copies_are_all_moves_and_all_their_mirror_images():
    images = random_data(5, SHAPE, N_CLASSES).images
    found = all_copies(images, 1)
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    height, width = images.shape[2:]
    wanted = [
        queried
        for dy in range(3)
        for dx in range(3)
        for moved in [padded[:, :, dy : dy + height, dx : dx + width]]
        for queried in (moved, moved.flip(-1))
        if not torch.equal(queried, images)
    ]
    assert len(found) == len(wanted) == 17
    assert {copy_.numpy().tobytes() for copy_ in found} == {
        query.numpy().tobytes() for query in wanted
    }


def test_the_number_of_copies_is_that_of_the_answers():
    given = asked(Pixel(2, 2))
    assert [augmented(given, n_copies=n).shape[1] for n in (5, 17)] == [5, 17]


def test_augmented_answers_are_those_of_the_copies():
    given = asked(Pixel(2, 2))
    found = augmented(given, shift=1)
    pixels = given.data.images[:, 0].float()
    wanted = {
        "mirror": pixels[:, 2, 3],
        "sides": [pixels[:, 1, 2], pixels[:, 3, 2], pixels[:, 2, 1], pixels[:, 2, 3]],
    }
    np.testing.assert_allclose(found[:, 0, 0], wanted["mirror"], rtol=1e-4)
    shifted = {tuple(np.round(found[:, copy_, 0]).astype(int)) for copy_ in range(1, 5)}
    assert shifted == {tuple(side.int().tolist()) for side in wanted["sides"]}


def test_noise_that_is_small_changes_no_answer_and_noise_that_is_large_most():
    """Class 0 wins where the pixel is above 0."""
    given = asked(Pixel(0, 0), n=200)
    right = (given.data.labels == 0).numpy()
    small, large = noisy(given, deviations=(1e-3, 1e5), n_copies=20).T
    bright = given.data.images[:, 0, 0, 0].numpy() > 0
    np.testing.assert_array_equal(small[bright], right[bright].astype(np.float32))
    assert large[right].mean() == pytest.approx(0.5, abs=0.1)


def test_sensitivity_is_the_mean_length_of_the_directional_derivative():
    """Of a linear two-class network: |p'| |w| E|z| for a standard normal direction, with E|z| = sqrt(2 / pi)."""
    linear = nn.Sequential(nn.Flatten(), nn.Linear(72, 2)).double().eval()

    class Double(nn.Module):
        def forward(self, images):
            return linear(images.double())

    given = asked(Double())
    found = sensitivity(given, n_copies=400)
    answers = linear(given.data.normalised(given.data.images).double()).softmax(dim=1)[:, 0]
    weights = linear[1].weight[0] - linear[1].weight[1]
    wanted = (answers * (1 - answers) * weights.norm() * np.sqrt(2 / np.pi)).detach().numpy()
    np.testing.assert_allclose(found[:, 0], wanted, rtol=0.15)
    np.testing.assert_allclose(found[:, 1], found[:, 0], rtol=1e-3)


def test_a_student_comes_to_answer_as_its_teacher_does():
    """A teacher that always names class 1: the losses of its examples fall, those of the others rise."""

    class One(nn.Module):
        def forward(self, images):
            return torch.tensor([0.0, 6.0, 0.0]).expand(len(images), 3)

    given = asked()
    taught = Asked(
        One().eval(), given.data, given.reference, lambda: Small(), np.random.default_rng(0)
    )
    losses = distillation(taught, epochs=30, batch_size=5, learning_rate=0.01)
    labels = given.data.labels.numpy()
    assert losses.shape == (N, 30)
    assert losses[labels == 1, -1].mean() < 0.3 < losses[labels == 1, 0].mean()
    assert losses[labels != 1, -1].mean() > losses[labels != 1, 0].mean()


@pytest.mark.parametrize("most", [2, 7, 10])
@pytest.mark.parametrize("n_epochs", [0, 1, 9, 10, 28, 100])
def test_recorded_epochs_are_spread_evenly_and_end_with_the_last(n_epochs, most):
    found = loss_trace(n_epochs, epochs=most)
    assert len(found) == min(n_epochs, most)
    gaps = np.diff([-1, *found])
    assert gaps.sum() == n_epochs
    assert not len(gaps) or (gaps.min() >= 1 and gaps.max() - gaps.min() <= 1)
