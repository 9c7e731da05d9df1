"""What every registered model promises: an untrained network for an input shape and a number of classes."""

import itertools
import math

import pytest
import torch

from mia_pruning import registry
from mia_pruning.constraints.cardinality import ALLOCATIONS, Cardinality
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.metrics.compression import dense_flops

MODELS = registry.catalogue("model")
SHAPES = [
    ((28, 28, 1), 10),
    ((28, 28, 3), 100),
    ((32, 32, 1), 2),
    ((32, 32, 3), 7),
    ((64, 64, 3), 10),
]
SMALL = {"width": 0.25}


def built(name, image_shape=(32, 32, 3), n_classes=7, seed=0):
    torch.manual_seed(seed)
    options = {key: value for key, value in SMALL.items() if key in MODELS[name].options}
    return MODELS[name].load()(image_shape, n_classes, **options)


def images(image_shape=(32, 32, 3), n=4):
    height, width, channels = image_shape
    return torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(("image_shape", "n_classes"), SHAPES)
def test_it_answers_each_image_with_a_finite_logit_a_class(name, image_shape, n_classes):
    with torch.no_grad():
        logits = built(name, image_shape, n_classes).eval()(images(image_shape))
    assert logits.shape == (4, n_classes)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize("name", MODELS)
def test_the_seed_decides_the_weights(name):
    one, same, other = (built(name, seed=seed).state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(value, same[key]) for key, value in one.items())
    assert any(not torch.equal(value, other[key]) for key, value in one.items())


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_in_evaluation_mode_depends_on_its_image_alone(name):
    network, batch = built(name).eval(), images()
    with torch.no_grad():
        torch.testing.assert_close(network(batch[2:3]), network(batch)[2:3], rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(network(batch), network(batch), rtol=0, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_memory_layout_does_not_change_the_answer(name):
    network, batch = built(name).eval(), images()
    with torch.no_grad():
        wanted = network(batch)
        found = network.to(memory_format=torch.channels_last)(
            batch.to(memory_format=torch.channels_last)
        )
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_gradient_and_has_a_name_of_its_own(name):
    network = built(name).train()
    network(images()).square().sum().backward()
    assert all(
        parameter.grad is not None and parameter.grad.any() for parameter in network.parameters()
    )
    assert len(dict(network.named_parameters())) == len(network.state_dict()) - len(
        dict(network.named_buffers())
    )


@pytest.mark.parametrize("name", MODELS)
def test_there_are_weights_to_prune(name):
    assert len(prunable_weights(built(name))) >= 2


@pytest.mark.parametrize("name", MODELS)
def test_the_state_of_one_network_fits_another(name):
    one, other = built(name).eval(), built(name, seed=1).eval()
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        torch.testing.assert_close(other(images()), one(images()), rtol=0, atol=0)


@pytest.mark.parametrize("name", MODELS)
def test_training_in_bfloat16_and_channels_last_gives_finite_logits_and_gradients(name):
    network = built(name).train().to(memory_format=torch.channels_last)
    batch = images().to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(batch)
    logits.float().square().sum().backward()
    assert logits.dtype == torch.bfloat16
    assert torch.isfinite(logits).all()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_in_bfloat16_is_near_the_one_in_float32(name):
    network, batch = built(name).eval(), images()
    with torch.no_grad():
        wanted = network(batch)
        with torch.autocast("cpu", torch.bfloat16):
            found = network(batch).float()
    assert (found - wanted).norm() < 0.05 * wanted.norm()


@pytest.mark.parametrize("name", MODELS)
def test_the_operations_of_every_layer_to_prune_are_counted(name):
    network = built(name)
    layers = {weight.removesuffix(".weight") for weight in prunable_weights(network)}
    flops = dense_flops(network, (32, 32, 3))
    assert flops.keys() == layers
    assert all(count > 0 for count in flops.values())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_a_tenth_of_the_weights_can_be_kept_exactly(name, allocation):
    weights = {key: weight.detach() for key, weight in prunable_weights(built(name)).items()}
    masks = Cardinality(compression=10, allocation=allocation).masks(weights)
    assert sum(int(mask.sum()) for mask in masks.values()) == math.floor(
        sum(w.numel() for w in weights.values()) / 10
    )
    assert all(mask.any() for mask in masks.values())


@pytest.mark.parametrize("name", [name for name in MODELS if "width" in MODELS[name].options])
def test_a_width_scales_the_number_of_weights_about_by_its_square(name):
    n_weights = [
        sum(
            weight.numel()
            for weight in prunable_weights(
                MODELS[name].load()((32, 32, 3), 7, width=width)
            ).values()
        )
        for width in (0.25, 0.5, 1.0)
    ]
    assert all(2.5 < wide / narrow < 4.5 for narrow, wide in itertools.pairwise(n_weights))
