"""Answers on changed copies of each image, for attackers who see logits."""

from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe
from mia_pruning.training.augmentation import cropped


@probe
def augmented(asked: Asked, *, shift: Annotated[int, ">= 1"] = 1) -> np.ndarray:
    """Logits (n_examples, 5, n_classes): the mirror image, and the image moved by so many pixels up, down, left and right."""
    answers = [torch.stack([asked.answer(copy) for copy in copies(images, shift)], dim=1) for images, _ in asked.batches()]
    return torch.cat(answers).float().cpu().numpy()


def copies(images: Tensor, shift: int) -> list[Tensor]:
    """The changed copies; zeros move in at the border."""
    offsets = [(-shift, 0), (shift, 0), (0, -shift), (0, shift)]
    starts = [torch.tensor([[shift + dy, shift + dx]], device=images.device).expand(len(images), 2) for dy, dx in offsets]
    return [images.flip(3), *(cropped(images, start, (shift, shift)) for start in starts)]
