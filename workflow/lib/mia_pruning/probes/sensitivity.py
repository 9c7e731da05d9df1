"""Speed of change of probabilities around an image (Yuan and Zhang, USENIX Security 2022)."""

from typing import Annotated

import numpy as np
import torch

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe


@probe
def sensitivity(
    asked: Asked, *, n_copies: Annotated[int, ">= 1"] = 10, step: Annotated[float, "> 0"] = 0.001
) -> np.ndarray:
    """Return the mean change of each class's probability by a small step, over its length.

    The step has a random direction. Shape (n_examples, n_classes), at least 0. Directions are
    standard normal on the normalised scale. The steps' probabilities are float64.
    """
    generator = torch.Generator(asked.data.device).manual_seed(int(asked.rng.integers(1 << 63)))
    changes = []
    for images, _ in asked.batches():
        plain = asked.data.normalised(images)
        change = torch.zeros((), dtype=torch.float64, device=plain.device)
        with torch.no_grad():
            before = asked.model(plain).double().softmax(dim=1)
            for _ in range(n_copies):
                moved = plain + step * torch.randn(
                    plain.shape, generator=generator, device=plain.device
                )
                change = change + (asked.model(moved).double().softmax(dim=1) - before).abs()
        changes.append(change / (n_copies * step))
    return torch.cat(changes).float().cpu().numpy()
