import pytest
import torch
from torch import nn

from mia_pruning.operations.plan.counting import count_network, count_solver

SETTINGS = {
    "model": {"use": "lenet5", "channels": [2, 3], "hidden": 8},
    "objective": {"use": "erm"},
}
ADMM = {"use": "cardinality", "solver": "admm", "compression": 4.0, "epochs": 5}
LOTTERY = {"use": "cardinality", "solver": "magnitude", "compression": 4.0}


def test_known_network():
    """A convolution 3 x 3 from 1 to 2 channels on 6 x 6 images, then 32 inputs to 5 classes, a multiply-add being two."""
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(32, 5))
    counts = count_network(network, (6, 6, 1))
    assert counts.flops == 2 * (16 * 2 * 9) + 2 * (32 * 5)
    assert counts.parameter_bytes == 4 * (18 + 2 + 4 + 160 + 5)
    assert counts.state_bytes == counts.parameter_bytes + 4 * 4 + 8
    assert counts.widest_bytes == 4 * 32


def test_counting_changes_no_weight():
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_network(network, (6, 6, 1))
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


@pytest.mark.parametrize(("constraint", "epochs", "tensors"), [(ADMM, 5, 2), (LOTTERY, 0, 0)])
def test_a_solver_keeps_a_byte_a_weight_and_admm_two_copies_of_the_weights(
    constraint, epochs, tensors
):
    counts = count_solver({**SETTINGS, "constraint": constraint}, (16, 16, 1), 3)
    n_weights = 2 * 25 + 3 * 2 * 25 + 3 * 8 + 8 * 3
    assert counts.epochs == epochs
    assert counts.mask_bytes == n_weights
    assert counts.tensor_bytes == tensors * 4 * n_weights
