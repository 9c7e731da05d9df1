"""Random changes of batches (b, channels, height, width) on their device.

They keep shape, type and memory layout, and change no image in place. The draws come from a
numpy generator, so that the same generator gives the same batch on every device. For 32 x 32
images the two changes are those of He et al. 2016, section 4.2.
"""

import numpy as np
import torch
from torch import Tensor, nn


def crop(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return each image moved by at most an eighth of its sides (rounded down; 4 of 32).

    Zeros move in at the border. Every offset is equally likely. Both axes are drawn
    independently.
    """
    rows, columns = (side // 8 for side in images.shape[2:])
    offsets = rng.integers(0, (2 * rows + 1, 2 * columns + 1), (len(images), 2))
    return cropped(images, torch.from_numpy(offsets).to(images.device), (rows, columns))


def cropped(images: Tensor, offsets: Tensor, padding: tuple[int, int]) -> Tensor:
    """Return a window of each image with `padding` zeros on each side.

    The window has the image's own size and starts at its offset (b, 2). An offset equal to the
    padding gives the image itself.

    >>> cropped(torch.tensor([[[[1, 2, 3]]]]), torch.tensor([[0, 0]]), (0, 1))
    tensor([[[[0, 1, 2]]]])
    """
    height, width = images.shape[2:]
    rows, columns = padding
    padded = nn.functional.pad(images, (columns, columns, rows, rows))
    windows = padded.unfold(2, height, 1).unfold(
        3, width, 1
    )  # (b, channels, 2 rows + 1, 2 columns + 1, height, width)
    examples = torch.arange(len(images), device=images.device)
    return windows[examples, :, offsets[:, 0], offsets[:, 1]]


def flip(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Return each image or, with probability 1/2, its mirror image, left and right exchanged."""
    mirrored = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


AUGMENTATIONS = {"crop": crop, "flip": flip}
