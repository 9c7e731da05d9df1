"""Answers on changed copies of each image, for attackers who see logits."""

from collections.abc import Sequence
from itertools import product
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe
from mia_pruning.training.augmentation import cropped


@probe
def augmented(
    asked: Asked,
    *,
    shift: Annotated[int, ">= 1"] = 1,
    n_copies: Literal[5, 17] = 5,
) -> np.ndarray:
    """Return logits (n_examples, n_copies, n_classes) on changed copies of each image.

    5 copies: the mirror image, and the image moved by `shift` pixels up, down, left and right.
    17 copies: every move by `shift` pixels along neither, one or both axes, mirrored and not.
    Together with the image itself these are the 18 queries of Zarifzadeh et al. (ICML 2024).
    """
    make = copies if n_copies == 5 else all_copies

    def answers(images: Tensor) -> Tensor:
        return torch.stack([asked.answer(copy) for copy in make(images, shift)], dim=1)

    return torch.cat([answers(images) for images, _ in asked.batches()]).float().cpu().numpy()


def copies(images: Tensor, shift: int) -> list[Tensor]:
    """Return the mirror images and four moved images; zeros move in at the border."""
    return [images.flip(3), *_moved(images, shift, [(-1, 0), (1, 0), (0, -1), (0, 1)])]


def all_copies(images: Tensor, shift: int) -> list[Tensor]:
    """Return eight moved images, the mirror image, and the mirror images of those moved.

    Zeros move in at the border.
    """
    moves = [move for move in product((-1, 0, 1), repeat=2) if move != (0, 0)]
    moved = _moved(images, shift, moves)
    return [*moved, *(image.flip(3) for image in (images, *moved))]


def _moved(images: Tensor, shift: int, moves: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Return images moved by these multiples of `shift` along (y, x)."""
    starts = shift * (1 + torch.tensor(moves, device=images.device))
    each = [start.expand(len(images), 2) for start in starts]
    return [cropped(images, start, (shift, shift)) for start in each]
