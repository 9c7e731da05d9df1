"""Losses of a copy of the model along its training (Liu et al., CCS 2022).

This is for attackers who cannot see the losses along the model's own training.
"""

from typing import Annotated

import numpy as np
import torch
from torch import nn

from mia_pruning.probes.asked import Asked
from mia_pruning.registry import probe
from mia_pruning.training.loop import predict


@probe
def distillation(
    asked: Asked,
    *,
    epochs: Annotated[int, ">= 1"] = 10,
    batch_size: Annotated[int, ">= 1"] = 50,
    learning_rate: Annotated[float, "> 0"] = 0.001,
) -> np.ndarray:
    """Return the loss of every example under a student after each epoch, (n_examples, epochs).

    The student starts untrained, the same for every model. It learns the model's probabilities
    on the reference examples.
    """
    student = asked.untrained().to(asked.data.device)
    optimizer = torch.optim.Adam(student.parameters(), lr=learning_rate)
    taught = predict(asked.model, asked.reference).softmax(dim=1).to(asked.data.device)
    losses = []
    for _ in range(epochs):
        student.train()
        for rows in np.array_split(
            asked.rng.permutation(len(taught)), -(-len(taught) // batch_size)
        ):
            images, _ = asked.reference.batch(rows)
            optimizer.zero_grad()
            nn.functional.cross_entropy(
                student(images), taught[torch.from_numpy(rows).to(taught.device)]
            ).backward()
            optimizer.step()
        answers = predict(student, asked.data)
        losses.append(
            nn.functional.cross_entropy(answers, asked.data.labels.cpu(), reduction="none")
        )
    return torch.stack(losses, dim=1).numpy()
