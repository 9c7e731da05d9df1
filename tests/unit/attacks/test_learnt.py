import numpy as np
import pytest
import torch

from mia_pruning.attacks import learnt as module
from mia_pruning.attacks.learnt import Fitting, learnt_scores

OPTIONS = {"max_epochs": 20, "patience": 5, "batch_size": 50, "learning_rate": 0.01, "held_back": 0.1}


class Line(torch.nn.Linear):
    def forward(self, values):
        return super().forward(values).squeeze(1)


def learnt(**options):
    """The scores of 50 rows of a target after learning from 400 of noise."""
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(400, 3)).astype(np.float32))
    members = np.random.default_rng(1).random(400) < 0.5
    fitting = Fitting(**{**OPTIONS, **options})
    return learnt_scores(lambda: Line(3, 1), [values], members, [[values[:50]]], np.random.default_rng(2), fitting)


@pytest.fixture
def staged(monkeypatch):
    """Epoch k makes the network answer k everywhere; held-back losses are as planned. Returns the epochs that were trained."""
    epochs = []

    def plan(losses):
        def train_epoch(network, *arguments):
            epochs.append(len(epochs) + 1)
            with torch.no_grad():
                network.weight.zero_()
                network.bias.fill_(len(epochs))

        monkeypatch.setattr(module, "_train_epoch", train_epoch)
        monkeypatch.setattr(module, "_mean_loss", lambda network, rows: losses[len(epochs) - 1])
        monkeypatch.setattr(module, "best_threshold", lambda scores, members: 0.0)
        return epochs

    return plan


@pytest.mark.parametrize(
    ("losses", "patience", "max_epochs", "trained", "best"),
    [
        ([3.0, 2.0, 2.5, 2.2, 2.1, 1.0], 3, 20, 5, 2),
        ([3.0, 2.0, 2.5, 2.2, 1.0, 2.0, 2.0, 2.0], 3, 20, 8, 5),
        ([3.0, 2.0, 2.0, 1.0], 1, 20, 3, 2),
        ([3.0, 2.0, 1.0], 3, 3, 3, 3),
    ],
)
def test_it_stops_when_patience_ends_and_answers_with_the_best_epoch(staged, losses, patience, max_epochs, trained, best):
    epochs = staged(losses)
    scores = learnt(patience=patience, max_epochs=max_epochs)
    assert len(epochs) == trained
    assert (scores == best).all()


def test_held_back_rows_are_not_trained_on_and_the_rest_is(monkeypatch):
    sizes = []
    monkeypatch.setattr(module, "_train_epoch", lambda network, optimizer, rows, *arguments: sizes.append(len(rows[0])))
    monkeypatch.setattr(module, "_mean_loss", lambda network, rows: sizes.append(len(rows[0])) or 1.0)
    learnt(held_back=0.25, max_epochs=1)
    assert sizes == [300, 100]
