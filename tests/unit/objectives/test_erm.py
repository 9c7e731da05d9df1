import pytest
import torch
from torch import nn

from mia_pruning.objectives.erm import Erm


def test_the_loss_is_the_mean_cross_entropy_and_the_logits_are_the_models():
    torch.manual_seed(0)
    model, images, labels = (
        nn.Sequential(nn.Flatten(), nn.Linear(12, 3)),
        torch.randn(5, 3, 2, 2),
        torch.tensor([0, 1, 2, 2, 0]),
    )
    loss, logits = Erm().loss(model, images, labels)
    assert torch.equal(logits, model(images))
    slow = (
        -sum(
            torch.log(torch.exp(row[label]) / torch.exp(row).sum())
            for row, label in zip(logits, labels, strict=True)
        )
        / 5
    )
    assert loss.item() == pytest.approx(slow.item(), rel=1e-5)


def test_the_loss_is_taken_in_single_precision_whatever_the_logits_are():
    loss, logits = Erm().loss(
        nn.Identity(), torch.tensor([[1000.0, 0.0]], dtype=torch.bfloat16), torch.tensor([1])
    )
    assert loss.dtype == torch.float32
    assert loss.item() == 1000.0
    assert logits.dtype == torch.bfloat16
