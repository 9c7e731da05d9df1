"""Frequency with which a model still gives the right class under noise.

This is for attackers who see labels only.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy as np
import torch

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe


@probe
def noisy(
    asked: Asked,
    *,
    deviations: Annotated[Sequence[float], "> 0"] = (8, 16, 32, 64),
    n_copies: Annotated[int, ">= 1"] = 5,
) -> np.ndarray:
    """Return the share of copies that are classified rightly under Gaussian noise.

    Shape (n_examples, n_deviations). deviations: standard deviations of the noise on the 0-255
    scale. Pixels leave that scale: the noise is not cut off.
    """
    generator = torch.Generator(asked.data.device).manual_seed(int(asked.rng.integers(1 << 63)))
    shares = []
    for images, labels in asked.batches():
        right = torch.zeros(len(images), len(deviations), device=images.device)
        for _ in range(n_copies):
            noise = torch.randn(images.shape, generator=generator, device=images.device)
            for column, deviation in enumerate(deviations):
                right[:, column] += asked.answer(images + deviation * noise).argmax(dim=1) == labels
        shares.append(right / n_copies)
    return torch.cat(shares).cpu().numpy()
