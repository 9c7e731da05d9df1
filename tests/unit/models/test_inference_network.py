import pytest
import torch
from torch import nn

from mia_pruning.models.inference_network import InferenceNetwork


@pytest.mark.parametrize("n_classes", [10, 100])
def test_the_layers_have_the_published_widths(n_classes):
    network = InferenceNetwork(n_classes)
    widths = {
        branch: [
            (layer.in_features, layer.out_features)
            for layer in part.modules()
            if isinstance(layer, nn.Linear)
        ]
        for branch, part in network.named_children()
    }
    assert widths == {
        "prediction_input": [(n_classes, 1024)],
        "prediction": [(1024, 512), (512, 64)],
        "label": [(n_classes, 512), (512, 64)],
        "joint": [(128, 256), (256, 64), (64, 1)],
    }


def test_a_relu_stands_after_every_layer_but_the_last():
    kinds = [
        type(layer)
        for layer in InferenceNetwork(10).modules()
        if isinstance(layer, nn.Linear | nn.ReLU)
    ]
    assert kinds == [nn.Linear, nn.ReLU] * 7 + [nn.Linear]


def test_the_log_odds_depend_on_prediction_and_label():
    torch.manual_seed(0)
    network = InferenceNetwork(4)
    probabilities, labels = (
        torch.softmax(torch.randn(6, 4), dim=1),
        torch.tensor([0, 1, 2, 3, 0, 1]),
    )
    scores = network(probabilities, labels)
    assert scores.shape == (6,)
    assert (scores != network(probabilities, (labels + 1) % 4)).all()
    assert (scores != network(probabilities.roll(1, dims=1), labels)).all()


def test_rows_do_not_influence_each_other():
    torch.manual_seed(0)
    network = InferenceNetwork(4)
    probabilities, labels = torch.softmax(torch.randn(6, 4), dim=1), torch.arange(6) % 4
    torch.testing.assert_close(
        network(probabilities, labels)[2:3], network(probabilities[2:3], labels[2:3])
    )


def test_under_autocast_a_probability_of_0_999_is_still_told_from_one_of_0_998():
    torch.manual_seed(0)
    network = InferenceNetwork(2)
    with torch.no_grad():
        network.prediction_input[0].weight.mul_(1000)  # a network that lives on small differences
    probabilities = torch.tensor([[0.999, 0.001], [0.998, 0.002]])
    with torch.autocast("cpu", torch.bfloat16):
        sure, less_sure = network(probabilities, torch.tensor([0, 0]))
    assert sure.dtype == torch.float32
    assert sure != less_sure
