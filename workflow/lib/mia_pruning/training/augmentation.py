"""Random changes of batches (b, channels, height, width) on their device, which keep shape, type and memory layout.

The draws come from a numpy generator, so that the same generator gives the same batch on every device. For 32 x 32 images the two
are those of He et al. 2016, section 4.2. No image is changed in place.
"""

import numpy as np
import torch
from torch import Tensor, nn


def crop(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Each image moved by at most an eighth of its sides (rounded down; 4 of 32), zeros where it was not.

    Every offset is equally likely; both axes are drawn independently.
    """
    rows, columns = (side // 8 for side in images.shape[2:])
    offsets = rng.integers(0, (2 * rows + 1, 2 * columns + 1), (len(images), 2))
    return cropped(images, torch.from_numpy(offsets).to(images.device), (rows, columns))


def cropped(images: Tensor, offsets: Tensor, padding: tuple[int, int]) -> Tensor:
    """The window of each image's own size that starts at its offset (b, 2) in the image with `padding` zeros on each side.

    An offset equal to the padding gives the image itself.

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
    """Each image or, with probability 1/2, its mirror image, left and right exchanged."""
    mirrored = torch.from_numpy(rng.random(len(images)) < 0.5).to(images.device)
    return torch.where(mirrored.view(-1, 1, 1, 1), images.flip(3), images)


AUGMENTATIONS = {"crop": crop, "flip": flip}
