import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from mia_pruning.objectives.erm import Erm
from mia_pruning.objectives.label_smoothing import LabelSmoothing


@given(smoothing=st.floats(0, 0.99), n_classes=st.integers(2, 7), seed=st.integers(0, 50))
def test_the_loss_is_the_cross_entropy_with_targets_spread_evenly(smoothing, n_classes, seed):
    torch.manual_seed(seed)
    logits, labels = 3 * torch.randn(5, n_classes), torch.randint(n_classes, (5,))
    total = 0.0
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        normaliser = math.log(sum(map(math.exp, row)))
        for k in range(n_classes):
            target = smoothing / n_classes + (1 - smoothing) * (k == label)
            total -= target * (row[k] - normaliser) / 5
    loss, found = LabelSmoothing(smoothing=smoothing).loss(nn.Identity(), logits, labels)
    assert float(loss) == pytest.approx(total, rel=1e-4, abs=1e-5)
    assert torch.equal(found, logits)


def test_without_smoothing_it_is_erm():
    logits, labels = torch.randn(4, 3), torch.tensor([0, 1, 2, 0])
    assert torch.equal(
        LabelSmoothing(smoothing=0).loss(nn.Identity(), logits, labels)[0],
        Erm().loss(nn.Identity(), logits, labels)[0],
    )


def test_the_best_answer_is_the_spread_target_itself():
    """Not a sure one: the loss has its minimum at a probability of 1 - smoothing + smoothing / classes for the label."""
    logits = torch.log(torch.tensor([[0.05, 0.05, 0.85, 0.05]])).requires_grad_(True)
    loss, _ = LabelSmoothing(smoothing=0.2).loss(nn.Identity(), logits, torch.tensor([2]))
    loss.backward()
    torch.testing.assert_close(logits.grad, torch.zeros(1, 4))
