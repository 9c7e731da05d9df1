import torch

from mia_pruning.constraints.none import none


def test_nothing_is_constrained():
    assert none().masks({"a": torch.ones(2, 2)}) == {}
    assert none().budgets({"a": (2, 2)}) == {}
