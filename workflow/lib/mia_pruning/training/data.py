"""Examples resident on the device as uint8; a batch is gathered, augmented and normalised there. No per-example Python."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

Augmentation = Callable[[Tensor, np.random.Generator], Tensor]


class ResidentData:
    """Images (n, height, width, channels) uint8 and labels (n,), kept on the device, channels last.

    mean and deviation are per channel, on the 0-255 scale.
    """

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, *, mean: list[float], deviation: list[float], device: torch.device
    ) -> None:
        self.device = device
        # A channels-last tensor has its values in N x H x W x C order, so the packed array needs no transposition.
        self.images = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).to(device)
        self.labels = torch.from_numpy(np.array(labels, dtype=np.int64)).to(device)
        self._scale = (1 / torch.tensor(deviation, dtype=torch.float32, device=device)).view(1, -1, 1, 1)
        self._shift = -torch.tensor(mean, dtype=torch.float32, device=device).view(1, -1, 1, 1) * self._scale

    def __len__(self) -> int:
        return self.labels.shape[0]

    def batches(
        self, batch_size: int, rng: np.random.Generator | None = None, augmentations: Sequence[Augmentation] = ()
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Normalised images (b, channels, height, width) float32 and labels (b,), shuffled if a generator is given.

        augmentations change each uint8 batch in turn; they draw from the generator, without which there are none.
        """
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        for rows in torch.from_numpy(order).to(self.device).split(batch_size):
            images = self.images[rows]
            for augment in augmentations:
                images = augment(images, rng)
            yield self.normalised(images), self.labels[rows]

    def normalised(self, images: Tensor) -> Tensor:
        return torch.addcmul(self._shift, images.to(torch.float32), self._scale).contiguous(memory_format=torch.channels_last)


def device() -> torch.device:
    """The GPU if there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")
