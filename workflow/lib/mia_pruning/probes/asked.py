"""Input of a probe: one model, the examples it is asked about, and data to train on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from mia_pruning.training.data import ResidentData

BATCH_SIZE = 500


@dataclass(frozen=True)
class Asked:
    """A trained model in evaluation mode, on the device of the data.

    data       the examples of the pool
    reference  examples that no model was trained on
    untrained  makes a network of the same architecture with initial weights
    rng        for the probe's own draws; the same for every model
    """

    model: nn.Module
    data: ResidentData
    reference: ResidentData
    untrained: Callable[[], nn.Module]
    rng: np.random.Generator

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Return batches of images and labels.

        Images are as they are stored: (b, channels, height, width) uint8.
        """
        return zip(
            self.data.images.split(BATCH_SIZE), self.data.labels.split(BATCH_SIZE), strict=True
        )

    @torch.no_grad()
    def answer(self, images: Tensor) -> Tensor:
        """Return logits (b, n_classes) of images on the 0-255 scale."""
        return self.model(self.data.normalised(images))
