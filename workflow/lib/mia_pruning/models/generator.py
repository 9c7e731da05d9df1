"""A generative model of labelled images: a small class-conditional variational autoencoder.

It serves the attacker without data, whose shadow models are trained on images that are drawn here.
It is no plug-in of kind `model`: those classify. Sources: Kingma and Welling (2014, arXiv
1312.6114, section 3) for the loss; Sohn, Lee and Yan (NeurIPS 2015) for conditioning on a class.

Differs: pixels between 0 and 1 are scored by the cross-entropy of black and white ones, as is
usual. A generated image is the decoder's mean, without the noise of single pixels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.types import StudyError

HIDDEN = 400
#: So many numbers describe an image besides its class.
N_LATENT = 8
#: The class is one-hot times this. Times 1, the latent numbers take over what the class says: a
#: network trained on real Fashion-MNIST puts 43 % of the generated images into their class. Times
#: 5 it is 83 %, about its accuracy on real images.
CLASS_SCALE = 5.0
BATCH_SIZE = 64
#: So many images are decoded at a time.
DECODED_AT_ONCE = 1000


class ConditionalAutoencoder(nn.Module):
    """Encoder q(z | x, y) and decoder p(x | z, y), one hidden layer each; x is flat, in [0, 1]."""

    def __init__(self, n_pixels: int, n_classes: int) -> None:
        super().__init__()
        self.n_classes = n_classes
        self.encoder = _two_layers(n_pixels + n_classes, 2 * N_LATENT)
        self.decoder = _two_layers(N_LATENT + n_classes, n_pixels)

    def encode(self, pixels: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and logarithm of the variance of z, (n, N_LATENT) each."""
        mean, log_variance = self.encoder(self._with_class(pixels, labels)).chunk(2, dim=1)
        return mean, log_variance

    def decode(self, latent: Tensor, labels: Tensor) -> Tensor:
        """Return logits of the pixels, (n, n_pixels)."""
        return self.decoder(self._with_class(latent, labels))

    def _with_class(self, values: Tensor, labels: Tensor) -> Tensor:
        one_hot = CLASS_SCALE * nn.functional.one_hot(labels, self.n_classes)
        return torch.cat([values, one_hot], dim=1)


def _two_layers(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(n_in, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, n_out))


@dataclass(frozen=True)
class Generator:
    """A fitted model.

    image_shape: (height, width, channels).

    error, error_of_means: mean squared error of its reconstructions and of the mean image of
    each class, on the images that it was fitted to, pixels in [0, 1].
    """

    network: ConditionalAutoencoder
    image_shape: tuple[int, ...]
    error: float
    error_of_means: float

    @torch.no_grad()
    def draw(self, labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return generated images of these classes (n,): uint8 (n, height, width, channels)."""
        latent = torch.from_numpy(rng.standard_normal((len(labels), N_LATENT), dtype=np.float32))
        of_classes = torch.from_numpy(np.asarray(labels, dtype=np.int64))
        parts = zip(latent.split(DECODED_AT_ONCE), of_classes.split(DECODED_AT_ONCE), strict=True)
        pixels = torch.cat([self.network.decode(*part).sigmoid() for part in parts])
        whole = (255 * pixels).round().to(torch.uint8).numpy()
        return whole.reshape(len(labels), *self.image_shape)


def fit_generator(
    images: np.ndarray,
    labels: np.ndarray,
    n_classes: int,
    rng: np.random.Generator,
    *,
    epochs: int,
    learning_rate: float,
) -> Generator:
    """Return a generator that Adam fits to images and labels (n,).

    The images are uint8 (n, height, width, channels). Raises StudyError where the loss does not
    stay finite, or where the generator has learned no more than the mean image of each class:
    all images of a class would then look alike.
    """
    pixels = torch.from_numpy(images.reshape(len(images), -1).astype(np.float32)) / 255
    of_classes = torch.from_numpy(np.asarray(labels, dtype=np.int64))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(1 << 63)))
        network = ConditionalAutoencoder(pixels.shape[1], n_classes)
        losses = fit_epochs(network, pixels, of_classes, rng, epochs, learning_rate)
        for epoch, loss in enumerate(losses, start=1):
            if not np.isfinite(loss):
                problem = f"the generator's loss is {loss} in epoch {epoch}; lower it"
                raise StudyError(f"generator.learning_rate = {learning_rate}", problem)
    error, of_means = _error(network, pixels, of_classes), _error_of_means(pixels, of_classes)
    if not error < of_means:
        found = f"squared errors {error:.4f} and {of_means:.4f}"
        raise StudyError(
            f"generator.epochs = {epochs}",
            f"the generator reconstructs images no better than the mean image of their class ({found})",
            "allow more epochs, another generator.learning_rate or more examples in split.reference",
        )
    return Generator(network, images.shape[1:], error, of_means)


def fit_epochs(
    network: ConditionalAutoencoder,
    pixels: Tensor,
    labels: Tensor,
    rng: np.random.Generator,
    epochs: int,
    learning_rate: float,
) -> Iterator[float]:
    """Train the network, in place, and yield the mean loss of each epoch, in nats an image."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    for _ in range(epochs):
        total = torch.zeros(())
        for batch in torch.from_numpy(rng.permutation(len(pixels))).split(BATCH_SIZE):
            loss = negative_elbo(network, pixels[batch], labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach() * len(batch)
        yield float(total) / len(pixels)


def negative_elbo(network: ConditionalAutoencoder, pixels: Tensor, labels: Tensor) -> Tensor:
    """Return the reconstruction loss of a sampled z plus KL(q(z | x, y) || N(0, 1)).

    It is the mean over images, in nats an image.
    """
    mean, log_variance = network.encode(pixels, labels)
    latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
    logits = network.decode(latent, labels)
    of_pixels = nn.functional.binary_cross_entropy_with_logits(logits, pixels, reduction="none")
    divergence = (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1) / 2
    return (of_pixels.sum(dim=1) + divergence).mean()


@torch.no_grad()
def _error(network: ConditionalAutoencoder, pixels: Tensor, labels: Tensor) -> float:
    mean, _ = network.encode(pixels, labels)
    return float((network.decode(mean, labels).sigmoid() - pixels).square().mean())


def _error_of_means(pixels: Tensor, labels: Tensor) -> float:
    total = 0.0
    for label in labels.unique():
        of_class = pixels[labels == label]
        total += float((of_class - of_class.mean(dim=0)).square().sum())
    return total / pixels.numel()
