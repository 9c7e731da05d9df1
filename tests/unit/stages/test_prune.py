import math

import numpy as np
import pandas as pd
import pytest
import torch

from mia_pruning import registry, storage
from mia_pruning.constraints.cardinality import erdos_renyi, largest
from mia_pruning.constraints.solving import make_constraint
from mia_pruning.objectives.dp_sgd import DpSgd
from mia_pruning.stages.networks import build_seeded, read_models
from mia_pruning.stages.prune import prune_models, retrain_models
from mia_pruning.stages.train import train_models
from mia_pruning.training.checkpoint import Checkpoint

MODEL = {"use": "lenet5", "channels": [2, 3], "hidden": 8}
CONSTRAINTS = {
    "admm": {
        "use": "cardinality",
        "solver": "admm",
        "compression": 4,
        "rho": [0.01, 0.1],
        "epochs": 2,
    },
    "magnitude": {"use": "cardinality", "solver": "magnitude", "compression": 4},
    "random": {"use": "cardinality", "solver": "random", "compression": 4},
    "snip": {"use": "cardinality", "solver": "snip", "compression": 4, "n_batches": 2},
    "gradual_magnitude": {
        "use": "cardinality",
        "solver": "gradual_magnitude",
        "compression": 4,
        "epochs": 2,
    },
    "lottery_ticket": {
        "use": "cardinality",
        "solver": "lottery_ticket",
        "compression": 4,
        "rewind_epochs": 1,
    },
}
#: of each model, and of its dense training for 3 epochs
N_MEMBERS, DENSE_PASSES = 20, 60


@pytest.fixture
def pruned(files, batch, tmp_path, pruning_tables):
    """Prunes models 0 and 1; returns the paths of models, history and residuals."""

    def run(constraint, dense=None, **settings):
        path, tables = str(tmp_path / "pruned.safetensors"), pruning_tables(tmp_path)
        prune_models(
            batch([0, 1], "prune", path, constraint=constraint, **settings),
            dense or files.dense,
            **tables,
        )
        return path, tables["history"], tables["residuals"]

    return run


def parts(path, row, part):
    return storage.select(read_models(path)[row], part)


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_each_layer_keeps_exactly_its_budget(pruned, name):
    models, *_ = pruned(CONSTRAINTS[name])
    for row in (0, 1):
        weights, masks = parts(models, row, "weights"), parts(models, row, "masks")
        budgets = erdos_renyi({layer: tuple(mask.shape) for layer, mask in masks.items()}, 4)
        assert {layer: int(mask.sum()) for layer, mask in masks.items()} == budgets
        assert all(torch.equal(weights[layer] != 0, mask) for layer, mask in masks.items())


@pytest.mark.parametrize("name", ["magnitude", "random"])
def test_one_shot_solvers_change_nothing_but_what_they_set_to_zero(files, pruned, name):
    models, history, residuals = pruned(CONSTRAINTS[name])
    for row in (0, 1):
        masks = parts(models, row, "masks")
        for layer, weight in parts(files.dense, row, "weights").items():
            assert torch.equal(
                parts(models, row, "weights")[layer], weight * masks.get(layer, torch.tensor(True))
            )
    assert pd.read_csv(history).empty
    assert pd.read_csv(residuals).empty


def test_random_masks_differ_between_models_and_not_between_runs(pruned):
    first = pruned(CONSTRAINTS["random"])[0]
    masks = {row: parts(first, row, "masks")["fc1.weight"] for row in (0, 1)}
    again = pruned(CONSTRAINTS["random"])[0]
    assert not torch.equal(masks[0], masks[1])
    assert torch.equal(parts(again, 0, "masks")["fc1.weight"], masks[0])


def test_admm_keeps_z_u_and_residuals(pruned):
    models, history, residuals = pruned(CONSTRAINTS["admm"])
    solver = parts(models, 1, "solver")
    masks = parts(models, 1, "masks")
    assert set(masks) == {name.removeprefix("z/") for name in solver if name.startswith("z/")}
    assert all(
        int(solver[f"z/{layer}"].count_nonzero()) == int(mask.sum())
        for layer, mask in masks.items()
    )
    table = pd.read_csv(residuals)
    assert len(table) == 2 * 4 * 2
    chosen = table[(table["model"] == 1) & (table["layer"] == "fc1.weight")]
    assert chosen["epoch"].tolist() == [1, 2]
    assert chosen["rho"].tolist() == [0.01, 0.1]
    np.testing.assert_allclose(
        chosen.drop(columns=["model", "layer"]), solver["residuals/fc1.weight"]
    )
    assert len(pd.read_csv(history)) == 2 * 2


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize(
    ("objective", "optimizer"), [("erm", "adam"), ("erm", "sgd"), ("min_max", "adam")]
)
def test_retraining_keeps_every_zero_and_trains_the_rest(
    batch, tmp_path, pruned, name, objective, optimizer
):
    settings = {"training": {"optimizer": optimizer}, "objective": {"use": objective}}
    models, *_ = pruned(CONSTRAINTS[name], **settings)
    job = batch([0, 1], "retrain", tmp_path / "retrained.safetensors", retrain_epochs=2, **settings)
    retrain_models(job, models, str(tmp_path / "history.csv"))
    for row in (0, 1):
        before, masks = parts(models, row, "weights"), parts(models, row, "masks")
        after = parts(job.output, row, "weights")
        for layer, mask in masks.items():
            assert torch.equal(parts(job.output, row, "masks")[layer], mask)
            assert not after[layer][~mask].any()
            assert (
                int(mask.sum())
                == erdos_renyi({n: tuple(m.shape) for n, m in masks.items()}, 4)[layer]
            )
        assert not torch.equal(after["fc2.weight"], before["fc2.weight"])
    assert len(pd.read_csv(tmp_path / "history.csv")) == 4


@pytest.mark.parametrize("solver", ["magnitude", "random", "admm"])
def test_without_constraint_the_dense_model_trains_on(files, batch, tmp_path, pruned, solver):
    """The control that gets a pruned model's training budget; whatever solver stands in its entry."""
    models, *_ = pruned({"use": "none", "solver": solver})
    assert parts(models, 0, "masks") == {}
    job = batch([0, 1], "retrain", tmp_path / "continued.safetensors", retrain_epochs=1)
    retrain_models(job, models, str(tmp_path / "history.csv"))
    for layer, weight in parts(files.dense, 0, "weights").items():
        continued = parts(job.output, 0, "weights")[layer]
        assert continued.shape == weight.shape
        assert not torch.equal(continued, weight)


@pytest.fixture
def dense_after(batch, tmp_path):
    """Trains models 0 and 1 for so many epochs of a constant learning rate; returns the path."""

    def run(epochs, **settings):
        path = tmp_path / f"after_{epochs}.safetensors"
        training = {**settings.pop("training", {}), "epochs": epochs}
        train_models(
            batch([0, 1], "train", path, training=training, **settings), str(tmp_path / "after.csv")
        )
        return str(path)

    return run


@pytest.mark.parametrize("epochs", [1, 2, 3])
@pytest.mark.parametrize("objective", ["erm", "min_max"])
@pytest.mark.parametrize(
    "model", [MODEL, {"use": "resnet18", "width": 0.05}], ids=lambda model: model["use"]
)
def test_a_ticket_has_the_bits_of_dense_training_after_so_many_epochs(
    pruned, dense_after, model, objective, epochs
):
    settings = {"model": model, "objective": {"use": objective}}
    dense, early = dense_after(3, **settings), dense_after(epochs, **settings)
    models, *_ = pruned(
        {**CONSTRAINTS["lottery_ticket"], "rewind_epochs": epochs}, dense, **settings
    )
    for row in (0, 1):
        masks, found = parts(models, row, "masks"), parts(models, row, "weights")
        assert_masks_are_largest(masks, parts(dense, row, "weights"))
        for name, tensor in parts(early, row, "weights").items():
            assert torch.equal(
                found[name], tensor.masked_fill(~masks.get(name, torch.tensor(True)), 0)
            ), name
        moved = not torch.equal(
            parts(early, row, "weights")["conv1.weight"],
            parts(dense, row, "weights")["conv1.weight"],
        )
        assert moved == (epochs < 3)


def assert_masks_are_largest(masks, weights):
    for layer, mask in masks.items():
        assert torch.equal(mask, largest(weights[layer], int(mask.sum())))


def test_a_ticket_that_is_rewound_to_nothing_has_the_initial_weights(files, pruned):
    models, *_ = pruned({**CONSTRAINTS["lottery_ticket"], "rewind_epochs": 0})
    for row in (0, 1):
        initial = build_seeded(
            {"model": MODEL, "objective": {"use": "erm"}}, (16, 16, 1), 3, 0, row
        ).state_dict()
        masks = parts(models, row, "masks")
        assert_masks_are_largest(masks, parts(files.dense, row, "weights"))
        for name, tensor in parts(models, row, "weights").items():
            assert torch.equal(
                tensor, initial[name].masked_fill(~masks.get(name, torch.tensor(True)), 0)
            ), name


def test_rewinding_stops_in_the_midst_of_the_dense_trainings_schedule(
    batch, tmp_path, pruned, monkeypatch
):
    cosine = {"training": {"schedule": "cosine"}}
    states = {}
    save = Checkpoint.save
    monkeypatch.setattr(
        Checkpoint,
        "save",
        lambda self, state: states.setdefault(
            (self.path.name, len(state["history"])), copied(state)
        ),
    )
    dense = str(tmp_path / "dense.safetensors")
    train_models(batch([0, 1], "train", dense, **cosine), str(tmp_path / "history.csv"))
    monkeypatch.setattr(Checkpoint, "save", save)
    models, *_ = pruned({**CONSTRAINTS["lottery_ticket"], "rewind_epochs": 2}, dense, **cosine)
    for row in (0, 1):
        wanted = storage.select(states[f".dense.model_{row}.checkpoint.safetensors", 2], "model")
        masks, found = parts(models, row, "masks"), parts(models, row, "weights")
        assert all(
            torch.equal(found[name], t.masked_fill(~masks.get(name, torch.tensor(True)), 0))
            for name, t in wanted.items()
        )


def copied(state):
    return {name: value.detach().clone() for name, value in state.items()}


def test_snip_prunes_the_initial_weights_and_not_the_largest(files, pruned):
    models, history, _ = pruned(CONSTRAINTS["snip"])
    assert pd.read_csv(history).empty
    for row in (0, 1):
        initial = build_seeded(
            {"model": MODEL, "objective": {"use": "erm"}}, (16, 16, 1), 3, 0, row
        ).state_dict()
        masks = parts(models, row, "masks")
        for name, tensor in parts(models, row, "weights").items():
            assert torch.equal(
                tensor, initial[name].masked_fill(~masks.get(name, torch.tensor(True)), 0)
            ), name
        assert any(
            not torch.equal(mask, largest(initial[name], int(mask.sum())))
            for name, mask in masks.items()
        )


@pytest.mark.parametrize(
    ("name", "passes"),
    [
        ("magnitude", DENSE_PASSES),
        ("admm", DENSE_PASSES + 2 * N_MEMBERS),
        ("gradual_magnitude", DENSE_PASSES + 2 * N_MEMBERS),
        ("snip", 2 * 8),  # two batches, and no dense training went into it
        ("lottery_ticket", DENSE_PASSES),
    ],
)
def test_all_that_went_into_a_model_is_counted(batch, tmp_path, pruned, name, passes):
    models, *_ = pruned(CONSTRAINTS[name])
    job = batch([0, 1], "retrain", tmp_path / "retrained.safetensors", retrain_epochs=3)
    retrain_models(job, models, str(tmp_path / "history.csv"))
    for row in (0, 1):
        assert float(read_models(models)[row]["sample_passes"]) == passes
        assert float(read_models(job.output)[row]["sample_passes"]) == passes + 3 * N_MEMBERS


def test_a_constraint_takes_its_own_options_and_its_solver_the_others():
    sparsity_set, solver = make_constraint({**CONSTRAINTS["admm"], "retrain_epochs": 5})
    assert sparsity_set.compression == 4
    assert (solver.rho, solver.epochs) == ([0.01, 0.1], 2)
    assert math.isclose(sum(sparsity_set.budgets({"a": (10, 10)}).values()), 25)


#: each objective of the catalogue, with what it needs beside its defaults
OBJECTIVES = {
    name: {
        "use": name,
        **{"dp_sgd": {"noise": 0.5, "delta": 1e-3}, "adversarial": {"steps": 2}}.get(name, {}),
    }
    for name in registry.catalogue("objective")
}


@pytest.mark.parametrize("solver", CONSTRAINTS)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_goes_through_every_solver_with_exact_sparsity(
    batch, tmp_path, pruning_tables, objective, solver
):
    settings = {"objective": OBJECTIVES[objective], "training": {"epochs": 1}}
    constraint = {
        **CONSTRAINTS[solver],
        **({"epochs": 1, "rho": [0.01]} if solver == "admm" else {}),
    }
    dense, pruned, retrained = (
        str(tmp_path / f"{name}.safetensors") for name in ("dense", "pruned", "retrained")
    )
    tables = pruning_tables(tmp_path)
    train_models(batch([0], "train", dense, **settings), tables["history"])
    prune_models(batch([0], "prune", pruned, constraint=constraint, **settings), dense, **tables)
    retrain_models(
        batch([0], "retrain", retrained, retrain_epochs=1, **settings), pruned, tables["history"]
    )
    masks, weights = parts(retrained, 0, "masks"), parts(retrained, 0, "weights")
    assert {layer: int(mask.sum()) for layer, mask in masks.items()} == erdos_renyi(
        {n: tuple(m.shape) for n, m in masks.items()}, 4
    )
    for layer, mask in masks.items():
        assert not weights[layer][~mask].any()
        assert not torch.equal(weights[layer], parts(pruned, 0, "weights")[layer])
    assert parts(retrained, 0, "objective").keys() == parts(dense, 0, "objective").keys()


@pytest.fixture
def chain(batch, tmp_path, pruning_tables):
    """chain(train, prune, retrain): the files of one model's phases, each under an objective of its own."""

    def run(*objectives):
        folder = tmp_path / "_".join(objective["use"] for objective in objectives)
        folder.mkdir()
        tables = pruning_tables(folder)
        dense, pruned, retrained = (
            str(folder / f"{name}.safetensors") for name in ("dense", "pruned", "retrained")
        )
        train, prune, retrain = objectives
        train_models(batch([0], "train", dense, objective=train), tables["history"])
        prune_models(
            batch([0], "prune", pruned, objective=prune, constraint=CONSTRAINTS["admm"]),
            dense,
            **tables,
        )
        gains = pd.read_csv(tables["history"])["gain"]
        retrain_models(
            batch([0], "retrain", retrained, objective=retrain, retrain_epochs=2),
            pruned,
            tables["history"],
        )
        return pruned, retrained, [*gains, *pd.read_csv(tables["history"])["gain"]]

    return run


def test_the_joint_game_is_played_while_pruning_and_while_retraining(chain):
    """MIA-Pruning & Min-Max is neither Min-Max first and pruning by erm after nor a game that ends with pruning."""
    erm, game = {"use": "erm"}, {"use": "min_max", "weight": 5.0}
    together = chain(game, game, game)
    first_only = chain(game, erm, erm)
    no_game_at_the_end = chain(game, game, erm)
    assert not torch.equal(
        parts(together[0], 0, "weights")["fc1.weight"],
        parts(first_only[0], 0, "weights")["fc1.weight"],
    )
    assert torch.equal(
        parts(together[0], 0, "weights")["fc1.weight"],
        parts(no_game_at_the_end[0], 0, "weights")["fc1.weight"],
    )
    assert not torch.equal(
        parts(together[1], 0, "weights")["fc1.weight"],
        parts(no_game_at_the_end[1], 0, "weights")["fc1.weight"],
    )
    for layer, mask in parts(together[1], 0, "masks").items():
        assert not parts(together[1], 0, "weights")[layer][~mask].any()
    assert all(math.isfinite(gain) for gain in together[2])
    assert len(together[2]) == 4
    assert [math.isfinite(gain) for gain in no_game_at_the_end[2]] == [True, True, False, False]


def test_privacy_is_spent_in_every_phase(batch, tmp_path, pruning_tables):
    settings = {"objective": OBJECTIVES["dp_sgd"]}
    dense, pruned, retrained = (
        str(tmp_path / f"{name}.safetensors") for name in ("dense", "pruned", "retrained")
    )
    tables = pruning_tables(tmp_path)
    train_models(batch([0], "train", dense, **settings), tables["history"])
    prune_models(
        batch([0], "prune", pruned, constraint=CONSTRAINTS["magnitude"], **settings),
        dense,
        **tables,
    )
    retrain_models(
        batch([0], "retrain", retrained, retrain_epochs=2, **settings), pruned, tables["history"]
    )
    steps_of_an_epoch = 3  # of 8 expected examples among 20
    spent = [[0.5, 8 / 20, epochs * steps_of_an_epoch] for epochs in (3, 0, 2)]
    assert parts(retrained, 0, "objective")["spent"].tolist() == spent
    objective = DpSgd(noise=0.5, delta=1e-3, accountant="rdp")
    epsilons = [
        objective.guarantee(parts(path, 0, "objective"))["epsilon"]
        for path in (dense, pruned, retrained)
    ]
    assert epsilons[0] == pytest.approx(epsilons[1])
    assert epsilons[2] > epsilons[0] + 0.1
