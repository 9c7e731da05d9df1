import json
import subprocess
import sys

import pytest

from mia_pruning.stages.check_networks import problem

SETTINGS = {
    "model": {"use": "lenet5", "channels": [2, 3], "hidden": 8},
    "objective": {"use": "erm"},
    "constraint": {
        "use": "cardinality", "solver": "magnitude", "compression": 4, "keep": None, "allocation": "uniform",
        "retrain_epochs": 0,
    },
}  # fmt: skip
QUESTION = {
    "experiment": "e",
    "objective": "o",
    "constraint": "c",
    "image_shape": [16, 16, 1],
    "n_classes": 3,
    "plans": [
        {"n_members": 100, "n_reference": 10, "batch_size": 20, "epochs": 5, "precision": "float32"}
    ],
}


def asked(**change):
    settings = {**SETTINGS, **{key: value for key, value in change.items() if key in SETTINGS}}
    others = {key: value for key, value in change.items() if key not in SETTINGS}
    found = problem({**QUESTION, **others, "settings": settings})
    return found if found is None else str(found)


@pytest.mark.parametrize(
    "constraint", [SETTINGS["constraint"], {"use": "none", "solver": "magnitude"}]
)
def test_a_network_that_fits_its_data_and_constraint_is_no_problem(constraint):
    assert asked(constraint=constraint) is None


@pytest.mark.parametrize(
    "change",
    [
        {"solver": "lottery_ticket", "rewind_epochs": 5, "retrain_epochs": 1},
        {"solver": "snip", "n_batches": 5, "retrain_epochs": 1},
        {"solver": "gradual_magnitude", "epochs": 1},
        {"solver": "admm", "rho": [0.1, 0.2], "epochs": 2},
    ],
)
def test_a_solver_at_the_edge_of_what_it_can_do_is_no_problem(change):
    assert asked(constraint={**SETTINGS["constraint"], **change}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"image_shape": [8, 8, 1]},
        {"model": {**SETTINGS["model"], "channels": [1, 2, 3]}},
    ],
)
def test_a_network_that_cannot_take_the_images_is_refused_by_its_key(change):
    assert asked(**change).startswith("experiments.e.model: {'use': 'lenet5'")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"form": "cifar10"},
            "experiments.e.model.form = 'cifar10': allowed is one of cifar, imagenet",
        ),
        (
            {"form": "imagenet"},
            "experiments.e.model.form = 'imagenet': it takes images of 3 channels, these have 1",
        ),
    ],
)
def test_an_option_that_the_network_refuses_is_named_by_its_key(options, message):
    assert asked(model={"use": "vgg16", **options}).startswith(message)


def test_a_network_that_answers_in_another_shape_is_refused(tmp_path, monkeypatch):
    (tmp_path / "odd_network.py").write_text(
        "from torch import nn\nfrom mia_pruning.registry import model\n\n"
        "@model\ndef odd(image_shape, n_classes):\n    return nn.Sequential(nn.Flatten(), nn.Linear(256, 7))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert (
        asked(model={"use": "odd_network.odd"})
        == "experiments.e.model: it answers one image with (1, 7); allowed is (1, 3)"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"compression": 1000.0},
            "constraints.c.compression = 1000.0: layer conv1.weight of 50 weights would be empty",
        ),
        ({"compression": None}, "constraints.c.compression and keep: one of them is needed"),
        ({"compression": None, "keep": {"fc9": 0.5}}, "constraints.c.keep.fc9: no such layer"),
        (
            {"use": "none", "solver": "magnetude"},
            "constraints.c.solver = 'magnetude': no such solver; did you mean 'magnitude'?",
        ),
        ({"allocation": "even"}, "constraints.c.allocation = 'even': allowed is one of"),
        (
            {"use": "none", "solver": "snip"},
            "constraints.c.solver = 'snip': use = 'none' leaves it nothing to do",
        ),
        (
            {"solver": "admm", "rho": [0.1, 0.2], "epochs": 1},
            "constraints.c.rho = [0.1, 0.2]: 2 values for 1 W-steps",
        ),
        (
            {"solver": "lottery_ticket", "rewind_epochs": 6, "retrain_epochs": 1},
            "constraints.c.rewind_epochs = 6: allowed is at most training.epochs = 5",
        ),
        (
            {"solver": "lottery_ticket", "rewind_epochs": 2},
            "constraints.c.retrain_epochs = 0: this solver ends with a network",
        ),
        (
            {"solver": "snip"},
            "constraints.c.retrain_epochs = 0: this solver ends with a network that has yet to be trained",
        ),
        (
            {"solver": "snip", "n_batches": 6, "retrain_epochs": 1},
            "constraints.c.n_batches = 6: allowed is at most the 5 of an epoch",
        ),
    ],
)
def test_a_constraint_that_does_not_fit_the_network_is_refused_by_its_key(change, message):
    found = asked(constraint={**SETTINGS["constraint"], **change})
    assert found.startswith(message)
    assert found.endswith("(in experiments.e)")


@pytest.mark.parametrize(
    ("objective", "plan", "message"),
    [
        (
            {"use": "dp_sgd", "noise": 1.0},
            {"precision": "bfloat16"},
            "training.precision = 'bfloat16': gradients are clipped in float32",
        ),
        (
            {"use": "dp_sgd", "noise": 1.0},
            {"batch_size": 101},
            "batch_size = 101: allowed is at most the 100 members",
        ),
        (
            {"use": "dp_sgd", "noise": 1.0, "delta": 0.01},
            {},
            "delta = 0.01: allowed is less than 1 / members = 0.01",
        ),
        (
            {"use": "dp_sgd", "epsilon": 1e-3, "epochs": 5},
            {},
            "epsilon = 0.001: no noise reaches it in 5 epochs at delta = 1e-05",
        ),
        ({"use": "dp_sgd"}, {}, "noise and epsilon: one of them is needed, and not both"),
        (
            {"use": "min_max"},
            {"n_reference": 0},
            "use = 'min_max': the game needs a reference set, but split.reference = 0; allowed is >= 1",
        ),
    ],
)
def test_an_objective_that_cannot_be_met_is_refused_by_its_key(objective, plan, message):
    found = asked(objective=objective, plans=[{**QUESTION["plans"][0], **plan}])
    assert found.startswith(f"objectives.o.{message}")
    assert found.endswith("(in experiments.e)")


def test_the_models_of_every_pool_are_asked_about():
    few, many = ({**QUESTION["plans"][0], "n_members": n} for n in (100, 1000))
    objective = {"use": "dp_sgd", "noise": 1.0, "delta": 0.005}
    assert asked(objective=objective, plans=[few]) is None
    assert "1 / members = 0.001" in asked(objective=objective, plans=[few, many])


STRANGER = """from dataclasses import dataclass
from torch import nn
from mia_pruning.constraints.solving import Found, Solver
from mia_pruning.registry import constraint, model, objective, solver
from mia_pruning.training.objective import Objective
from mia_pruning.types import StudyError
"""
CONSTRAINT = SETTINGS["constraint"]


@pytest.fixture
def stranger(tmp_path, monkeypatch, request):
    """Writes somebody's plug-ins, and returns the module's name and file."""

    def write(text):
        module = f"stranger_{abs(hash(request.node.name))}"
        (tmp_path / f"{module}.py").write_text(STRANGER + text, encoding="utf-8")
        monkeypatch.syspath_prepend(tmp_path)
        return module, tmp_path / f"{module}.py"

    return write


MODEL = "@model\ndef net(image_shape, n_classes):\n    print('hello')\n    return {}\n"
OBJECTIVE = "@objective\n@dataclass(frozen=True)\nclass Ours(Objective):\n    {}\n"
LOSS = OBJECTIVE.format("def loss(self, model, images, labels):\n        {}")
FOUND = {
    "a loss that raises": (
        LOSS.format("return images + None"),
        "TypeError: unsupported operand",
        11,
    ),
    "a loss alone": (
        LOSS.format("return model(images).sum()"),
        "its method loss answers 4 images with Tensor; allowed is a",
        None,
    ),
    "a loss of each example": (
        LOSS.format("x = model(images); return x.sum(dim=1), x"),
        "answers 4 images with ((4,), (4, 3)); allowed is a loss of shape () and logits of shape (4, 3)",
        None,
    ),
    "a loss without a gradient": (
        LOSS.format("x = model(images); return x.sum().detach(), x"),
        "RuntimeError: element 0 of",
        9,
    ),
    "no loss": (
        OBJECTIVE.format("pass"),
        "its class has no method loss(self, model, images, labels); allowed is",
        None,
    ),
    "no base class": (
        LOSS.replace("(Objective)", "").format("return 0"),
        "use: Ours lacks methods that the pipeline calls; allowed are classes of mia_pruning.training.objective.Objective",
        None,
    ),
    "a check that raises": (
        OBJECTIVE.format("def check(self, plan):\n        1 / 0"),
        "ZeroDivisionError: division by zero",
        11,
    ),
    "a class that cannot be made": (
        OBJECTIVE.format("def __post_init__(self):\n        self.x = 1"),
        "FrozenInstanceError",
        11,
    ),
    "a module that ends the process": (
        f"{LOSS.format('return 0')}raise SystemExit(0)\n",
        "SystemExit: 0",
        12,
    ),
}


@pytest.mark.parametrize(("text", "reason", "line"), FOUND.values(), ids=FOUND)
def test_what_a_users_objective_does_wrong_is_said_in_a_sentence_with_file_and_line(
    stranger, text, reason, line
):
    module, file = stranger(text)
    found = asked(objective={"use": f"{module}.Ours"})
    assert found.startswith("objectives.o")
    assert reason in found
    assert found.endswith((f"({file}, line {line}) " if line else "") + "(in experiments.e)")
    assert "\n" not in found


@pytest.mark.parametrize(
    ("text", "change", "start", "line"),
    [
        (
            MODEL.format("image_shape.height"),
            {"model": {"use": "{}.net"}},
            "experiments.e.model: {'use': ",
            10,
        ),
        (
            OBJECTIVE.format("def adapt(self, network):\n        return network.missing"),
            {"objective": {"use": "{}.Ours"}},
            "experiments.e.model: ",
            11,
        ),
        (
            "@constraint\nclass Ours:\n    def masks(self, weights): ...\n    def budgets(self, shapes):\n        shapes['none']",
            {"constraint": {**CONSTRAINT, "use": "{}.Ours"}},
            "constraints.c: KeyError: 'none'",
            11,
        ),
        (
            "@constraint\nclass Ours:\n    def budgets(self, shapes): ...",
            {"constraint": {**CONSTRAINT, "use": "{}.Ours"}},
            "constraints.c.use = '{}.Ours': {file}, line 8: it has no method masks",
            None,
        ),
        (
            "@solver\nclass Ours:\n    def start(self, task, sparsity_set, rng): ...",
            {"constraint": {**CONSTRAINT, "solver": "{}.Ours"}},
            "constraints.c.solver: Ours lacks methods that the pipeline calls; allowed are classes of ",
            None,
        ),
    ],
)
def test_what_a_users_model_or_constraint_does_wrong_is_said_in_a_sentence(
    stranger, text, change, start, line
):
    module, file = stranger(text)
    change = {part: {key: str(value).replace("{}", module) if key in ("use", "solver") else value for key, value in entry.items()}
              for part, entry in change.items()}  # fmt: skip
    found = asked(**change)
    assert found.startswith(start.replace("{}", module).replace("{file}", str(file)))
    assert line is None or f"({file}, line {line})" in found
    assert "\n" not in found


def test_what_a_users_code_prints_is_no_part_of_the_answer(stranger):
    module, file = stranger(MODEL.format("nn.Sequential(nn.Flatten(), nn.Linear(256, 3))"))
    question = {**QUESTION, "settings": {**SETTINGS, "model": {"use": f"{module}.net"}}}
    command = [sys.executable, "-m", "mia_pruning.stages.check_networks"]
    environment = {"PYTHONPATH": ":".join([str(file.parent), *filter(None, sys.path)])}
    done = subprocess.run(
        command,
        input=json.dumps([question]),
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    assert json.loads(done.stdout) == []
    assert "hello" in done.stderr
