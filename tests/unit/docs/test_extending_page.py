"""The examples of docs/EXTENDING.md are plug-ins that load and do what they say."""

import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from mia_pruning.constraints.cardinality import Cardinality
from mia_pruning.operations.plan.counting import random_data
from mia_pruning.probes.asked import Asked
from mia_pruning.registry import catalogue, find
from mia_pruning.types import Signals

PAGE = (Path(__file__).parents[3] / "docs" / "EXTENDING.md").read_text(encoding="utf-8")
FIGURE = re.compile(r'```python\n("""[^`]*?@figure\(.*?)```', flags=re.DOTALL)
MODULE = re.compile(r'```python\n("""(\w+)\.py.*?)```', flags=re.DOTALL)
SHAPE, N_CLASSES, N = (8, 8, 1), 3, 40


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Loads a plug-in of the page by its kind and dotted name."""
    folder = tmp_path_factory.mktemp("page")
    for text, name in MODULE.findall(PAGE):
        (folder / f"{name}.py").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        yield lambda kind, use: find(kind, use, "use").load()


@pytest.fixture
def network(load):
    return load("model", "my_models.mlp")(SHAPE, N_CLASSES, hidden=8)


def signals(rng, members):
    logits = rng.normal(size=(2, N, N_CLASSES)) + 3 * np.stack([members, ~members])[..., np.newaxis]
    labels = np.zeros(N, dtype=int)
    return Signals(logits, labels, np.ones((2, N), dtype=bool), np.stack([members, ~members]))


def test_the_attack_tells_members_of_a_plain_leak(load):
    rng = np.random.default_rng(0)
    members = rng.random(N) < 0.5
    shadows = signals(rng, members)
    targets = signals(rng, members).of_models(slice(None), None)
    scores = load("attack", "my_attacks.top_logit")(targets, shadows, rng, scale=2.0)
    assert scores.shape == (2, N)
    assert ((scores[0] > 0) == members).mean() > 0.8


def test_the_model_answers_in_the_shape_that_is_asked(network):
    assert network(torch.zeros(5, 1, 8, 8)).shape == (5, N_CLASSES)


def test_the_objective_is_cross_entropy_minus_the_entropy(load, network):
    images, labels = torch.rand(5, 1, 8, 8), torch.tensor([0, 1, 2, 0, 1])
    loss, logits = load("objective", "my_objectives.ConfidencePenalty")(weight=0.5).loss(
        network, images, labels
    )
    spread = torch.distributions.Categorical(logits=logits)
    expected = torch.nn.functional.cross_entropy(logits, labels) - 0.5 * spread.entropy().mean()
    torch.testing.assert_close(loss, expected)


def test_the_solver_keeps_as_many_weights_as_the_constraint_allows(load, network):
    class Asked:
        model = network

    solver = load("solver", "my_solvers.NoisyMagnitude")
    found = solver().start(Asked, Cardinality(compression=4), np.random.default_rng(0))
    kept = sum(int(mask.sum()) for mask in found.masks().values())
    total = sum(mask.numel() for mask in found.masks().values())
    assert total / kept == pytest.approx(4, rel=0.02)
    assert not solver.reads_members


def test_the_probe_answers_on_mirrored_images(load, network):
    data = random_data(5, SHAPE, N_CLASSES)
    asked = Asked(network.eval(), data, data, lambda: network, np.random.default_rng(0))
    found = load("probe", "my_probes.mirrored")(asked)
    mirrored = torch.from_numpy(data.images.numpy()[..., ::-1].copy())
    np.testing.assert_allclose(found, asked.answer(mirrored).numpy(), rtol=1e-5)


def test_the_data_set_has_what_it_describes(load):
    source = load("dataset", "my_data.stripes")(n=20)
    loaded = source.load(None)
    assert loaded.images.shape == (source.n_examples, *source.image_shape)
    assert loaded.images.dtype == np.uint8
    assert set(loaded.labels) == set(range(len(source.class_names)))


def test_the_figure_finds_the_largest_gap_and_says_where_it_belongs(tmp_path, monkeypatch):
    (text,) = FIGURE.findall(PAGE)
    (tmp_path / "gap_of_the_page.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    plug_in = find("figure", "gap_of_the_page.gap", "use")
    gaps = pd.DataFrame(
        {"defence": ["a", "b"], "value": [0.1, 0.2], "low": [0.0, 0.1], "high": [0.2, 0.3]}
    )
    results = gaps.assign(experiment="e", metric="generalisation_gap")
    drawing = plug_in.load()({"results": results}, {})
    plt.close(drawing.figure)
    assert drawing.finding == "The gap is largest at 0.200 (b, e)."
    assert plug_in.traits.section in {
        built_in.traits.section for built_in in catalogue("figure").values()
    }
    assert plug_in.traits.columns
