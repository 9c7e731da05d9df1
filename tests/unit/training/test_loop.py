import numpy as np
import pytest
import torch
from torch import nn

from mia_pruning.constraints.admm import Admm
from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.constraints.solving import prunable_weights
from mia_pruning.training.augmentation import AUGMENTATIONS
from mia_pruning.training.checkpoint import Checkpoint
from mia_pruning.training.data import ResidentData
from mia_pruning.training.loop import NonFiniteLoss, Recipe, Trainer, autocast, predict
from mia_pruning.training.masking import KeepMasked
from mia_pruning.training.objective import Callback, Objective, Task

EPOCHS = 4
SET = Cardinality(compression=3)


class CrossEntropy(Objective):
    def loss(self, model, images, labels):
        logits = model(images)
        return nn.functional.cross_entropy(logits.float(), labels), logits


class Killed(Exception):
    pass


def examples(n=50, seed=0):
    """Images whose brightness grows with the label: a task that a small network learns."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, n)
    images = (labels * 60 + 40)[:, None, None, None] + rng.integers(0, 40, (n, 6, 6, 2))
    return ResidentData(
        images.astype(np.uint8),
        labels,
        mean=[120.0] * 2,
        deviation=[50.0] * 2,
        device=torch.device("cpu"),
    )


def network(seed=0):
    """Several channels in channels-last order, layers with buffers and layers that draw: whatever a state could forget."""
    torch.manual_seed(seed)
    layers = (
        nn.Conv2d(2, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(12, 3),
    )
    return nn.Sequential(*layers).to(memory_format=torch.channels_last)


def large_examples(*augmentation):
    """Images of 16 x 16, large enough to be moved, and as lopsided as a mirror image needs."""
    images = np.random.default_rng(0).integers(0, 256, (40, 16, 16, 2), dtype=np.uint8)
    given = {"mean": [120.0] * 2, "deviation": [50.0] * 2, "device": torch.device("cpu")}
    return ResidentData(
        images,
        np.arange(40) % 3,
        augmentations=[AUGMENTATIONS[name] for name in augmentation],
        **given,
    )


def large_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, stride=2),
        nn.BatchNorm2d(4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4, 3),
    )


def no_callback(model):
    return []


def admm(model):
    return [
        Admm(rho=(0.01, 0.1), epochs=EPOCHS).start(
            Task(model, None, 1), SET, np.random.default_rng(0)
        )
    ]


def masked(model):
    return [
        KeepMasked(
            model,
            SET.masks(
                {name: weight.detach() for name, weight in prunable_weights(network()).items()}
            ),
        )
    ]


def trainer(
    make_callbacks=no_callback,
    optimizer="adam",
    precision="float32",
    model=None,
    objective=None,
    **change,
):
    model = model or network()
    recipe = {"batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.01, "momentum": 0.9}
    recipe |= {
        name: change.pop(name) for name in list(change) if name in Recipe.__dataclass_fields__
    }
    data = change.pop("data", None) or examples()
    return Trainer(
        Task(model, data, recipe["batch_size"], 3, examples(20, seed=2)),
        objective or CrossEntropy(),
        Recipe(optimizer=optimizer, precision=precision, **recipe),
        lambda epoch: np.random.default_rng([7, epoch]),
        make_callbacks(model),
        test_data=examples(40, seed=1),
        **change,
    )


def run_until(training, epoch, checkpoint):
    """Train as if for all epochs, and be killed after one of them."""

    def after_epoch(trainer):
        checkpoint.save(trainer.state())
        if trainer.epochs_done == epoch:
            raise Killed

    with pytest.raises(Killed):
        training.run(EPOCHS, after_epoch)


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value.nan_to_num(-1), other[name].nan_to_num(-1)), name


def copied(state):
    return {name: value.clone() for name, value in state.items()}


@pytest.mark.parametrize("make_callbacks", [no_callback, admm, masked])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_training_resumed_after_any_epoch_ends_with_the_same_bits(
    tmp_path, make_callbacks, precision
):
    whole = trainer(make_callbacks, precision=precision)
    whole.run(EPOCHS)
    for epoch in range(1, EPOCHS + 1):
        checkpoint = Checkpoint(tmp_path / f"{epoch}.safetensors", "same")
        run_until(trainer(make_callbacks, precision=precision), epoch, checkpoint)
        resumed = trainer(make_callbacks, precision=precision, model=network(seed=5))
        resumed.load_state(checkpoint.load())
        assert resumed.epochs_done == epoch
        resumed.run(EPOCHS)
        assert_same(resumed.state(), whole.state())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_every_optimizer_resumes_with_the_same_bits(tmp_path, optimizer, momentum):
    whole = trainer(optimizer=optimizer, momentum=momentum)
    whole.run(EPOCHS)
    checkpoint = Checkpoint(tmp_path / "c.safetensors", "same")
    run_until(trainer(optimizer=optimizer, momentum=momentum), 2, checkpoint)
    resumed = trainer(optimizer=optimizer, momentum=momentum, model=network(seed=5))
    resumed.load_state(checkpoint.load())
    resumed.run(EPOCHS)
    assert_same(resumed.state(), whole.state())


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_scheduled_and_augmented_training_resumes_with_the_same_bits(tmp_path, optimizer):
    change = {"optimizer": optimizer, "schedule": "cosine"}
    whole = trainer(data=large_examples("crop", "flip"), model=large_network(), **change)
    whole.run(EPOCHS)
    for epoch in range(1, EPOCHS + 1):
        checkpoint = Checkpoint(tmp_path / f"{epoch}.safetensors", "same")
        run_until(
            trainer(data=large_examples("crop", "flip"), model=large_network(), **change),
            epoch,
            checkpoint,
        )
        resumed = trainer(
            data=large_examples("crop", "flip"), model=large_network(seed=5), **change
        )
        resumed.load_state(checkpoint.load())
        resumed.run(EPOCHS)
        assert_same(resumed.state(), whole.state())


@pytest.mark.parametrize(
    ("schedule", "factors"), [("constant", [1, 1, 1, 1]), ("cosine", [1, 0.853553, 0.5, 0.146447])]
)
def test_the_learning_rate_of_each_epoch_is_the_schedules(schedule, factors):
    seen = []

    class Watching(CrossEntropy):
        def loss(self, model, images, labels):
            seen.append(training.optimizer.param_groups[0]["lr"])
            return super().loss(model, images, labels)

    training = trainer(objective=Watching(), schedule=schedule, batch_size=50)
    training.run(4)
    assert seen == pytest.approx([0.01 * factor for factor in factors], rel=1e-5)


def test_a_constant_schedule_steps_by_exactly_the_learning_rate():
    training = trainer(learning_rate=0.1)
    training.run(3)
    assert training.optimizer.param_groups[0]["lr"] == 0.1


def test_augmentations_change_the_training_images():
    seen = {}

    class Watching(CrossEntropy):
        def loss(self, model, images, labels):
            seen.setdefault(augmentation, []).append(images)
            return super().loss(model, images, labels)

    for augmentation in ((), ("flip",), ("flip", "crop")):
        trainer(
            data=large_examples(*augmentation), model=large_network(), objective=Watching()
        ).run(1)
    plain, flipped, both = (torch.cat(batches) for batches in seen.values())
    same, mirrored = (
        (flipped == images).flatten(1).all(dim=1) for images in (plain, plain.flip(3))
    )
    assert (same ^ mirrored).all()
    assert same.any()
    assert mirrored.any()
    assert not torch.equal(flipped, both)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_the_loss_falls_and_the_task_is_learnt(precision, optimizer):
    training = trainer(optimizer=optimizer, precision=precision)
    training.run(10)
    assert training.history[-1][1] < 0.6 * training.history[0][1]
    assert training.history[-1][3] > 0.8


def test_a_model_trained_alone_equals_the_same_trained_after_another():
    alone = trainer()
    alone.run(2)
    torch.manual_seed(99)
    trainer(model=network(seed=3)).run(1)
    after = trainer()
    torch.rand(17)
    after.run(2)
    assert_same(after.state(), alone.state())


def test_saving_the_state_changes_nothing():
    watched, plain = trainer(admm), trainer(admm)
    watched.run(3, lambda t: t.state())
    plain.run(3)
    assert_same(watched.state(), plain.state())


def test_the_order_of_examples_differs_between_epochs_and_covers_all():
    seen = []

    class Watching(CrossEntropy):
        def loss(self, model, images, labels):
            seen.append(images.flatten(1).double().sum(dim=1))
            return super().loss(model, images, labels)

    training = trainer(objective=Watching())
    training.run(2)
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert not torch.equal(first, second)
    assert torch.equal(first.sort().values, second.sort().values)
    assert [len(batch) for batch in seen[:4]] == [16, 16, 16, 2]


def test_a_model_in_evaluation_mode_is_trained_in_training_mode():
    handed_over, plain = trainer(model=network().eval()), trainer()
    handed_over.run(1)
    plain.run(1)
    assert_same(handed_over.state(), plain.state())


def test_zero_epochs_change_nothing():
    training = trainer(admm)
    before = copied(training.state())
    training.run(0)
    assert_same(training.state(), before)
    assert training.history == []


def test_running_again_to_the_same_epoch_changes_nothing():
    training = trainer()
    training.run(2)
    before = copied(training.state())
    training.run(2)
    assert_same(training.state(), before)


def test_loss_and_accuracy_of_an_epoch_are_means_over_examples():
    """At a learning rate of 0 they are those of the model at the start, with the last, smaller batch weighted by its size."""
    model = nn.Sequential(nn.Flatten(), nn.Linear(72, 3))
    training = trainer(model=model, learning_rate=0.0, weight_decay=0.0, batch_size=48)
    training.run(1)
    logits, labels = predict(model, training.task.data), training.task.data.labels
    epoch, loss, accuracy, *_ = training.history[0]
    assert epoch == 1
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert accuracy == pytest.approx(float((logits.argmax(dim=1) == labels).double().mean()))


def test_the_test_accuracy_is_measured_every_so_many_epochs_and_at_the_end():
    training = trainer(test_every=2)
    training.run(5)
    assert [np.isnan(row[3]) for row in training.history] == [True, False, True, False, False]
    wanted = (
        (predict(training.model, training.test_data).argmax(dim=1) == training.test_data.labels)
        .double()
        .mean()
    )
    assert training.history[-1][3] == float(wanted)


def test_measuring_the_test_accuracy_does_not_change_training():
    often, seldom = trainer(test_every=1), trainer(test_every=100)
    often.run(3)
    seldom.run(3)
    assert_same(often.model.state_dict(), seldom.model.state_dict())


def test_callbacks_are_called_around_each_step_and_after_each_epoch():
    calls = []

    class Recording(Callback):
        def on_gradients(self):
            calls.append(
                "gradients" if training.model[-1].weight.grad is not None else "no gradients"
            )

        def on_step(self):
            calls.append("step")

        def on_epoch(self, epoch):
            calls.append(epoch)

    training = trainer(lambda model: [Recording()], batch_size=25)
    training.run(2)
    assert calls == [*["gradients", "step"] * 2, 0, *["gradients", "step"] * 2, 1]


def test_gradients_changed_by_a_callback_reach_the_optimizer():
    class Cleared(Callback):
        def on_gradients(self):
            for parameter in training.model.parameters():
                parameter.grad.zero_()

    training = trainer(lambda model: [Cleared()], optimizer="sgd", weight_decay=0.0)
    before = copied(dict(training.model.named_parameters()))
    training.run(1)
    assert_same(dict(training.model.named_parameters()), before)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_with_model_epoch_and_step(bad):
    class Exploding(CrossEntropy):
        calls = 0

        def loss(self, model, images, labels):
            self.calls += 1
            loss, logits = super().loss(model, images, labels)
            return loss * (bad if self.calls == 4 + 3 else 1), logits

    training = trainer(objective=Exploding(), name="model 17")
    with pytest.raises(
        NonFiniteLoss,
        match=rf"model 17: the loss is {bad} in epoch 2, step 3; lower learning_rate = 0.01",
    ):
        training.run(3)
    assert training.epochs_done == 1


class Doubling(nn.Module):
    """Logits that tell whether the module is in training mode."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return images.mean(dim=(2, 3)) * self.scale * (2 if self.training else 1)


@pytest.mark.parametrize("training", [True, False])
def test_predict_uses_evaluation_mode_and_leaves_the_mode_as_it_was(training):
    model = Doubling().train(training)
    logits = predict(model, examples())
    assert model.training is training
    assert torch.equal(logits, model.eval()(examples().normalised(examples().images)))
    assert not logits.requires_grad


def test_predict_uses_running_statistics_and_no_dropout_and_changes_no_buffer():
    model = network().train()
    model(examples().normalised(examples().images))
    before = copied(model.state_dict())
    logits = predict(model, examples(), batch_size=7)
    assert_same(model.state_dict(), before)
    torch.testing.assert_close(
        logits, predict(model, examples(), batch_size=50), rtol=1e-4, atol=1e-5
    )


def test_predict_keeps_the_datas_order_and_answers_in_float32():
    model, data = network().eval(), examples()
    one_by_one = torch.cat([model(image) for image, _ in data.batches(1)])
    torch.testing.assert_close(
        predict(model, data, batch_size=16), one_by_one.detach(), rtol=1e-4, atol=1e-5
    )
    in_bfloat16 = predict(model, data, precision="bfloat16")
    assert in_bfloat16.dtype == torch.float32
    assert not torch.equal(in_bfloat16, predict(model, data))


def test_weights_that_change_within_a_step_are_seen_in_lower_precision_too():
    """An objective may train a model of its own while the batch's loss is computed."""
    layer, images = nn.Linear(3, 2), torch.ones(1, 3)
    with autocast(torch.device("cpu"), "bfloat16"):
        before = layer(images)
        with torch.no_grad():
            layer.bias += 8
            layer.weight += 8
        after = layer(images)
    assert before.dtype == torch.bfloat16
    torch.testing.assert_close(
        after - before, torch.full((1, 2), 32.0, dtype=torch.bfloat16), rtol=0.02, atol=0.2
    )
