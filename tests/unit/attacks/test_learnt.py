import numpy as np
import pytest
import torch

from mia_pruning.attacks import learnt as module
from mia_pruning.attacks.learnt import Fitting, learnt_scores

FITTING = Fitting(epochs=10, min_steps=1, batch_size=50, learning_rate=0.3)


class Line(torch.nn.Linear):
    def forward(self, values):
        return super().forward(values).squeeze(1)


def learnt(fitting=FITTING, n_rows=400, leak=0.0):
    """Scores of 200 new rows of a target, and their membership."""
    rng = np.random.default_rng(0)
    members = rng.random(n_rows + 200) < 0.5
    values = (rng.normal(size=(n_rows + 200, 3)) + leak * members[:, np.newaxis]).astype(np.float32)
    known, asked = torch.from_numpy(values[:n_rows]), torch.from_numpy(values[n_rows:])
    rng = np.random.default_rng(2)
    scores = learnt_scores(lambda: Line(3, 1), [known], members[:n_rows], [[asked]], rng, fitting)
    return scores[0], members[n_rows:]


def test_members_score_above_the_threshold_and_non_members_below():
    scores, members = learnt(leak=3.0)
    assert ((scores > 0) == members).mean() > 0.97


def count_steps(monkeypatch, fitting, n_rows):
    sizes = []

    class Counting(torch.optim.Adam):
        def step(self, *arguments, **options):
            sizes.append(1)
            return super().step(*arguments, **options)

    monkeypatch.setattr(module.torch.optim, "Adam", Counting)
    learnt(fitting, n_rows)
    return len(sizes)


@pytest.mark.parametrize(
    ("epochs", "min_steps", "n_rows", "steps"),
    [(4, 1, 400, 32), (4, 32, 400, 32), (4, 33, 400, 40), (1, 100, 120, 102), (2, 1, 20, 2)],
)
def test_it_takes_its_epochs_or_its_fewest_steps(monkeypatch, epochs, min_steps, n_rows, steps):
    fitting = Fitting(epochs, min_steps, batch_size=50, learning_rate=0.01)
    assert count_steps(monkeypatch, fitting, n_rows) == steps


def test_the_learning_rate_rises_and_falls_to_nearly_nothing(monkeypatch):
    rates = []

    class Watched(torch.optim.Adam):
        def step(self, *arguments, **options):
            rates.append(self.param_groups[0]["lr"])
            return super().step(*arguments, **options)

    monkeypatch.setattr(module.torch.optim, "Adam", Watched)
    learnt(Fitting(10, 1, 50, 0.01))
    top = int(np.argmax(rates))
    assert rates[top] == pytest.approx(0.01, rel=0.05)
    assert top == pytest.approx(module.WARM_UP * len(rates), abs=1)
    assert (np.diff(rates[: top + 1]) > 0).all()
    assert (np.diff(rates[top:]) < 0).all()
    assert rates[-1] < 1e-5
