"""Networks that attack learn on signals of trained networks: none falls behind correctness."""

import dataclasses

import numpy as np
import pytest

from mia_pruning import registry
from mia_pruning.metrics.membership import balanced_accuracy, weighted_roc

ATTACKS = registry.catalogue("attack")


def measured(scores, targets, members, metric):
    """The metric of each target."""
    trials = zip(scores, targets.candidates, members, strict=True)
    return np.array([metric(s[c], m[c], np.ones((1, c.sum())))[0] for s, c, m in trials])


def auc(scores, members, weights):
    return weighted_roc(scores, members, weights).auc()


@pytest.fixture(params=["location30", "hundred_classes"])
def signals(request):
    return request.getfixturevalue(request.param)


def run(name, signals, **options):
    attack = ATTACKS[name].load()
    return attack(signals.targets, signals.shadows, np.random.default_rng(0), **options)


def test_the_papers_network_finds_more_than_correctness_and_no_less_than_the_loss(signals):
    found = {
        name: measured(run(name, signals), signals.targets, signals.members, balanced_accuracy)
        for name in ("neural_network", "correctness", "loss")
    }
    assert found["neural_network"].mean() > found["correctness"].mean() + 0.03
    assert found["neural_network"].mean() > found["loss"].mean() - 0.01


def test_half_of_a_targets_members_teach_it_as_much_as_they_teach_a_threshold(signals):
    """The known-member attacker learns from half of the rows of one target."""
    known = np.random.default_rng(1).random(signals.members.shape[1]) < 0.5
    found = {name: [] for name in ("neural_network", "correctness", "loss")}
    for row, members in enumerate(signals.members):
        target = signals.targets.of_models(slice(row, row + 1), None)
        attacked = dataclasses.replace(target, candidates=~known[np.newaxis])
        learnt = dataclasses.replace(
            target, candidates=known[np.newaxis], membership=(members & known)[np.newaxis]
        )
        for name, of_targets in found.items():
            options = {"batch_size": 100, "epochs": 10} if name == "neural_network" else {}
            scores = ATTACKS[name].load()(attacked, learnt, np.random.default_rng(0), **options)
            of_targets += [*measured(scores, attacked, members[np.newaxis], balanced_accuracy)]
    assert np.mean(found["neural_network"]) > np.mean(found["correctness"]) + 0.02
    assert np.mean(found["neural_network"]) > np.mean(found["loss"]) - 0.02
