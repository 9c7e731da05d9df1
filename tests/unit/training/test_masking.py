import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import Recipe, Trainer
from mia_pruning.training.masking import KeepMasked, apply_masks_
from mia_pruning.training.objective import Objective, Task

RECIPE = {"batch_size": 8, "learning_rate": 0.05, "weight_decay": 0.1, "momentum": 0.9}


class CrossEntropy(Objective):
    def loss(self, model, images, labels):
        logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels), logits


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).to(
        memory_format=torch.channels_last
    )


def some_masks():
    rng = torch.Generator().manual_seed(1)
    return {
        name: torch.rand(p.shape, generator=rng) < 0.3
        for name, p in network().named_parameters()
        if p.ndim > 1
    }


def trainer(model, callbacks, optimizer="adam", precision="float32"):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (32, 4, 4, 2), dtype=np.uint8), rng.integers(0, 3, 32)
    data = ResidentData(
        images, labels, mean=[127.0] * 2, deviation=[70.0] * 2, device=torch.device("cpu")
    )
    recipe = Recipe(optimizer=optimizer, precision=precision, **RECIPE)
    return Trainer(
        Task(model, data, recipe.batch_size),
        CrossEntropy(),
        recipe,
        lambda epoch: np.random.default_rng(epoch),
        callbacks,
    )


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_zeros_stay_exactly_zero_and_the_rest_is_trained(optimizer, precision):
    model, masks = network(), some_masks()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    training = trainer(model, [KeepMasked(model, masks)], optimizer, precision)
    seen = []
    training.run(
        3,
        lambda t: seen.extend(
            int((p[~masks[n]] != 0).sum()) for n, p in model.named_parameters() if n in masks
        ),
    )
    assert seen == [0] * 6
    for name, parameter in model.named_parameters():
        kept = masks.get(name, torch.ones_like(parameter, dtype=torch.bool))
        assert (parameter[kept] != before[name][kept]).float().mean() > 0.9


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_zeros_hold_though_the_optimizer_remembers_gradients_from_before(optimizer):
    model, masks = network(), some_masks()
    training = trainer(model, [], optimizer)
    training.run(1)
    training.hooks.append(KeepMasked(model, masks))
    training.run(2)
    assert all(
        not parameter[~masks[name]].any()
        for name, parameter in model.named_parameters()
        if name in masks
    )


def test_weights_are_zero_within_an_epoch_too():
    model, masks = network(), some_masks()

    class Watch(KeepMasked):
        def on_step(self):
            super().on_step()
            for name, parameter in model.named_parameters():
                assert name not in masks or not parameter[~masks[name]].any()

    trainer(model, [Watch(model, masks)]).run(1)


def test_the_optimizer_gets_no_gradient_of_pruned_weights():
    model, masks = network(), some_masks()
    training = trainer(model, [KeepMasked(model, masks)])
    training.run(2)
    for name, parameter in model.named_parameters():
        held = training.optimizer.state[parameter]
        if name in masks:
            assert not held["exp_avg"][~masks[name]].any()
            assert held["exp_avg"][masks[name]].all()


def test_it_equals_training_the_remaining_weights_alone():
    """A linear layer of which input column 1 is pruned learns what a layer without that column learns."""
    torch.manual_seed(0)
    whole, part = nn.Linear(3, 2), nn.Linear(2, 2)
    with torch.no_grad():
        part.weight.copy_(whole.weight[:, [0, 2]])
        part.bias.copy_(whole.bias)
    mask = torch.ones(2, 3, dtype=torch.bool)
    mask[:, 1] = False
    keep = KeepMasked(whole, {"weight": mask})
    x = torch.randn(20, 3)
    optimizers = [torch.optim.Adam(model.parameters(), lr=0.1) for model in (whole, part)]
    for _ in range(10):
        for model, inputs, optimizer, callback in zip(
            (whole, part), (x, x[:, [0, 2]]), optimizers, (keep, None), strict=True
        ):
            optimizer.zero_grad()
            model(inputs).square().sum().backward()
            if callback:
                callback.on_gradients()
            optimizer.step()
            if callback:
                callback.on_step()
    torch.testing.assert_close(whole.weight[:, [0, 2]], part.weight)


def test_without_masks_it_does_nothing():
    masked, plain = network(), network()
    trainer(masked, [KeepMasked(masked, {})]).run(1)
    trainer(plain, []).run(1)
    for one, other in zip(masked.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, other)


def test_applying_masks_sets_plus_zero_outside_and_changes_nothing_inside():
    model, masks = network(), some_masks()
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    apply_masks_(model, masks)
    for name, parameter in model.named_parameters():
        if name in masks:
            outside = parameter[~masks[name]]
            assert not outside.any()
            assert not torch.signbit(outside).any()
            assert torch.equal(parameter[masks[name]], before[name][masks[name]])
        else:
            assert torch.equal(parameter, before[name])
