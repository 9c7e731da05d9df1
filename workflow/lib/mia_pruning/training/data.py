"""Examples that are kept on the device as uint8.

A batch is gathered, augmented and normalised there, without Python for single examples.
"""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]


class ResidentData:
    """Images (n, height, width, channels) uint8 and labels (n,) on the device, channels last.

    mean and deviation are per channel, on the 0-255 scale. Augmentations change the uint8
    batches of a training in turn.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        *,
        mean: list[float],
        deviation: list[float],
        device: torch.device,
        augmentations: Sequence[Augmentation] = (),
    ) -> None:
        self.device = device
        self.augmentations = augmentations
        # A channels-last tensor has its values in N x H x W x C order. So the packed array needs
        # no transposition.
        self.images = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).to(device)
        self.labels = torch.from_numpy(np.array(labels, dtype=np.int64)).to(device)
        #: It is, per channel, the length of one step of the 0-255 scale after normalising.
        self.scale = (1 / torch.tensor(deviation, dtype=torch.float32, device=device)).view(
            1, -1, 1, 1
        )
        self._shift = (
            -torch.tensor(mean, dtype=torch.float32, device=device).view(1, -1, 1, 1) * self.scale
        )

    def __len__(self) -> int:
        return self.labels.shape[0]

    def batches(
        self, batch_size: int, rng: np.random.Generator | None = None
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield normalised images (b, channels, height, width) float32 and labels (b,).

        They are shuffled and augmented if a generator is given.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for first in range(0, len(self), batch_size):
            yield self.batch(order[first : first + batch_size], rng)

    def batch(
        self, rows: np.ndarray, rng: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return normalised images and labels of these rows, augmented if a generator is given."""
        on_device = torch.from_numpy(rows).to(self.device)
        images = self.images[on_device]
        for augment in self.augmentations if rng is not None else ():
            images = augment(images, rng)
        return self.normalised(images), self.labels[on_device]

    def normalised_value(self, pixel: float) -> Tensor:
        """Return a pixel's value after normalising, per channel, (1, channels, 1, 1)."""
        return self._shift + pixel * self.scale

    def normalised(self, images: Tensor) -> Tensor:
        return torch.addcmul(self._shift, images.to(torch.float32), self.scale).contiguous(
            memory_format=torch.channels_last
        )


def device() -> torch.device:
    """Return the GPU if there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
