import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mia_pruning.objectives.adversarial import Adversarial
from mia_pruning.objectives.erm import Erm
from mia_pruning.training.data import ResidentData
from mia_pruning.training.objective import Task

MEAN, DEVIATION = [120.0, 60.0], [50.0, 90.0]


def data(n=12, seed=0):
    """Images with black and white pixels among the others, so that the range of pixels cuts the cube."""
    images = (
        np.random.default_rng(seed)
        .choice([0, 2, 100, 180, 254, 255], (n, 6, 6, 2))
        .astype(np.uint8)
    )
    return ResidentData(
        images, np.arange(n) % 3, mean=MEAN, deviation=DEVIATION, device=torch.device("cpu")
    )


def network(seed=0):
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Flatten(),
        nn.Linear(64, 3),
    )
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def pixels(images):
    """Normalised images on the 0-255 scale."""
    mean, deviation = (torch.tensor(values).view(1, -1, 1, 1) for values in (MEAN, DEVIATION))
    return images * deviation + mean


def perturbed(objective, model=None, seed=1):
    held = data()
    images, labels = held.batch(np.arange(len(held)))
    torch.manual_seed(seed)
    pursuit = objective.start(Task(model or network(), held, 12, 3))
    return images, labels, pursuit.perturbed(images, labels)


@given(radius=st.floats(0.5, 255), step_size=st.floats(0.1, 255), steps=st.integers(1, 4))
def test_images_stay_in_the_cube_and_in_the_range_of_pixels(radius, step_size, steps):
    images, _, moved = perturbed(Adversarial(radius=radius, step_size=step_size, steps=steps))
    assert float((pixels(moved) - pixels(images)).abs().max()) <= radius + 1e-3
    assert float(pixels(moved).min()) >= -1e-3
    assert float(pixels(moved).max()) <= 255 + 1e-3


def test_the_cube_is_as_wide_in_every_channel():
    """In pixels, whatever the channels' deviations are."""
    images, _, moved = perturbed(Adversarial(radius=8, step_size=4, steps=5))
    reached = (pixels(moved) - pixels(images)).abs().amax(dim=(0, 2, 3))
    assert reached.tolist() == pytest.approx([8, 8], abs=1e-3)


def test_the_loss_rises():
    model = network().eval()
    images, labels, moved = perturbed(Adversarial(radius=16, step_size=4, steps=7), model)
    model.eval()
    before, after = (float(Erm().loss(model, batch, labels)[0]) for batch in (images, moved))
    assert after > before + 0.1


def test_it_equals_a_slow_loop_over_examples():
    objective, model = Adversarial(radius=10, step_size=3, steps=3), network().double()
    held = data()
    images, labels = held.batch(np.arange(12))
    torch.manual_seed(4)
    draws = torch.rand_like(images)
    torch.manual_seed(4)
    moved = objective.start(Task(model.float(), held, 12, 3)).perturbed(images, labels)
    model.eval()
    for i in range(12):
        original = pixels(images[i : i + 1])
        low, high = (original - 10).clamp(min=0), (original + 10).clamp(max=255)
        current = low + (high - low) * draws[i : i + 1]
        for _ in range(3):
            mean, deviation = (
                torch.tensor(values).view(1, -1, 1, 1) for values in (MEAN, DEVIATION)
            )
            inputs = ((current - mean) / deviation).requires_grad_(True)
            (gradient,) = torch.autograd.grad(
                nn.functional.cross_entropy(model(inputs), labels[i : i + 1]), inputs
            )
            current = torch.minimum(torch.maximum(current + 3 * gradient.sign(), low), high)
        torch.testing.assert_close(pixels(moved[i : i + 1]), current, rtol=0, atol=2e-3)


def test_crafting_leaves_statistics_gradients_and_the_training_mode_alone():
    model = network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    perturbed(Adversarial(steps=2), model)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(module.training for module in model.modules())


def test_the_originals_are_not_changed():
    images, _, moved = perturbed(Adversarial())
    assert torch.equal(images, data().batch(np.arange(12))[0])
    assert not moved.requires_grad


def test_statistics_are_those_of_the_moved_images_seen_once(make_trainer):
    model = network()
    make_trainer(Adversarial(steps=3), model=model, data=data(), batch_size=4).run(2)
    assert int(model[1].num_batches_tracked) == 2 * 3
