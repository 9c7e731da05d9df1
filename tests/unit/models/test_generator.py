"""Two classes of planted images that no one can confuse, and generators that cannot be fitted."""

import re

import numpy as np
import pytest
import torch

from mia_pruning.models.generator import (
    N_LATENT,
    ConditionalAutoencoder,
    fit_generator,
    negative_elbo,
)
from mia_pruning.types import StudyError

SHAPE = (8, 8, 1)
N = 200


@pytest.fixture(scope="module")
def planted():
    """A bar of random width and brightness, at the top or the bottom; the class says where."""
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    images = rng.integers(0, 30, (N, *SHAPE), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        width, brightness = rng.integers(1, 4), rng.integers(150, 256)
        rows = slice(0, width) if label == 0 else slice(8 - width, 8)
        image[rows] = brightness
    return images, labels


def fitted(planted, seed=0, epochs=60, learning_rate=0.003):
    rng = np.random.default_rng(seed)
    return fit_generator(*planted, 2, rng, epochs=epochs, learning_rate=learning_rate)


@pytest.fixture(scope="module")
def generator(planted):
    return fitted(planted)


def draw(generator, labels, seed=1):
    return generator.draw(labels, np.random.default_rng(seed))


def distances(images, others):
    """Root mean squared difference of each image from each of the others, on the 0-255 scale."""
    first = images.reshape(len(images), 1, -1).astype(np.float64)
    second = others.reshape(1, len(others), -1).astype(np.float64)
    return np.sqrt(((first - second) ** 2).mean(axis=2))


def test_generated_images_are_of_the_shape_and_class_that_was_asked_for(planted, generator):
    images, labels = planted
    asked = np.random.default_rng(2).integers(0, 2, 300)
    drawn = draw(generator, asked)
    assert (drawn.shape, drawn.dtype) == ((300, *SHAPE), np.uint8)
    means = np.stack([images[labels == label].mean(axis=0) for label in (0, 1)])
    np.testing.assert_array_equal(distances(drawn, means).argmin(axis=1), asked)


def test_generated_images_are_no_copies_and_differ_from_each_other(planted, generator):
    drawn = draw(generator, np.arange(100) % 2)
    assert distances(drawn, planted[0]).min() > 0.5
    among = distances(drawn, drawn) + 255 * np.eye(100)
    assert among.min() > 0


def test_generated_images_vary_as_the_planted_ones_do(planted, generator):
    """The bright rows of a class have a brightness and a width of their own in each image."""
    images, labels = planted
    of_class = images[labels == 0].reshape(N // 2, -1).mean(axis=1)
    drawn = draw(generator, np.zeros(200, dtype=int)).reshape(200, -1).mean(axis=1)
    assert 0.5 < drawn.std() / of_class.std() < 1.5


def test_the_same_streams_give_the_same_bits_and_others_do_not(planted, generator):
    labels = np.arange(20) % 2
    torch.manual_seed(8)  # what others draw changes nothing
    again = fitted(planted)
    np.testing.assert_array_equal(draw(generator, labels), draw(again, labels))
    assert (draw(generator, labels) != draw(generator, labels, seed=2)).any()
    assert (draw(generator, labels) != draw(fitted(planted, seed=1), labels)).any()


def test_torch_draws_the_same_numbers_afterwards_as_if_nothing_had_been_fitted(planted):
    torch.manual_seed(3)
    fitted(planted)
    drawn = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(4))


def test_the_images_that_it_is_fitted_to_are_not_changed(planted):
    images, labels = planted
    copy = images.copy()
    images.flags.writeable = False
    fitted((images, labels), epochs=20)
    np.testing.assert_array_equal(images, copy)


def test_the_divergence_is_that_of_two_normal_distributions():
    """Against draws of E_q[log q(z) - log p(z)]; a decoder that answers 0 costs log 2 a pixel."""
    torch.manual_seed(0)
    network = ConditionalAutoencoder(6, 2)
    for parameter in network.decoder.parameters():
        torch.nn.init.zeros_(parameter)
    pixels, labels = torch.rand(1, 6), torch.tensor([1])
    mean, log_variance = network.encode(pixels, labels)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    drawn = q.sample((100_000,))
    prior = torch.distributions.Normal(0, 1)
    expected = (q.log_prob(drawn) - prior.log_prob(drawn)).sum(dim=2).mean()
    found = negative_elbo(network, pixels, labels) - 6 * np.log(2)
    assert mean.shape == (1, N_LATENT)
    assert found.item() == pytest.approx(expected.item(), rel=0.02)


def test_a_loss_that_does_not_stay_finite_is_told_with_the_epoch_and_what_to_do(planted):
    with pytest.raises(StudyError) as refused:
        fitted(planted, learning_rate=1e12)
    message = str(refused.value)
    problem = r"the generator's loss is \S+ in epoch \d+; lower it"
    assert re.fullmatch(rf"generator.learning_rate = 1000000000000.0: {problem}", message)


def test_a_generator_that_knows_no_more_than_mean_images_is_refused(planted):
    message = r"generator.epochs = 1: .* no better than the mean image .* allow more epochs"
    with pytest.raises(StudyError, match=message):
        fitted(planted, epochs=1, learning_rate=1e-5)
