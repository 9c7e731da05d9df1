"""What every registered objective promises: a loss that trains a network, and the logits it was computed from."""

import pytest
import torch
from torch import nn

from mia_pruning import registry

OBJECTIVES = registry.catalogue("objective")


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 3))


def batch():
    rng = torch.Generator().manual_seed(0)
    return torch.randn(8, 3, 2, 2, generator=rng), torch.arange(8) % 3


@pytest.mark.parametrize("name", OBJECTIVES)
def test_the_loss_is_a_finite_number_with_the_models_own_logits(name):
    model, (images, labels) = network(), batch()
    loss, logits = OBJECTIVES[name].load()().loss(model, images, labels)
    assert loss.shape == ()
    assert torch.isfinite(loss)
    assert torch.equal(logits, model(images))


@pytest.mark.parametrize("name", OBJECTIVES)
def test_following_its_gradient_learns_the_labels(name):
    model, (images, labels) = network(), batch()
    objective, optimizer = OBJECTIVES[name].load()(), torch.optim.Adam(model.parameters(), lr=0.05)
    first = objective.loss(model, images, labels)[0].item()
    for _ in range(60):
        optimizer.zero_grad()
        objective.loss(model, images, labels)[0].backward()
        optimizer.step()
    loss, logits = objective.loss(model, images, labels)
    assert loss.item() < first
    assert torch.equal(logits.argmax(dim=1), labels)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_measuring_the_loss_changes_neither_model_nor_batch(name):
    model, (images, labels) = network(), batch()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    OBJECTIVES[name].load()().loss(model, images, labels)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(images, batch()[0])
    assert torch.equal(labels, batch()[1])
