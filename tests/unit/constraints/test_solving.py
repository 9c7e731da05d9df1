from torch import nn

from mia_pruning.constraints.solving import prunable_weights


def test_prunable_weights_are_the_models_own_parameters_in_its_order():
    model = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(3, 2))
    found = prunable_weights(model)
    assert list(found) == ["0.weight", "3.weight"]
    assert found["0.weight"] is model[0].weight
