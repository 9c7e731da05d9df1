import json
import sys
from types import SimpleNamespace

import pytest
import yaml

from mia_pruning import registry
from mia_pruning.study import loading, networks, plug_ins
from mia_pruning.study.completion import complete
from mia_pruning.study.loading import load_study
from mia_pruning.study.networks import check_networks
from mia_pruning.study.reading import read_yaml
from mia_pruning.study.schema import SCHEMA
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

ROOT = SCHEMA.parents[1]
DEFAULT = ROOT / "config.yaml"
STUDY = """
study: small
datasets:
  images: {use: fashion_mnist_t10k}
experiments:
  e:
    dataset: images
    model: {use: lenet5, channels: [6, 12], hidden: 64}
    split: {protocol: pool, examples: 400, models: 4, reference: 100, test: 400}
    training: {epochs: 8}
objectives:
  erm: {use: erm}
constraints:
  none: {use: none}
  admm: {use: cardinality, solver: admm, compression: 10, rho: [0.001, 0.01], epochs: 2, retrain_epochs: 2}
defences:
  baseline: {objective: erm, constraint: none}
  pruned: {objective: erm, constraint: admm}
attacks:
  shadow_network: {use: neural_network, epochs: 3}
  correctness: {use: correctness}
"""
GONE = object()
FEW_TESTED = {"protocol": "pool", "examples": 400, "models": 6, "reference": 100, "test": 9}
DISJOINT = {
    "protocol": "disjoint", "examples": 400, "models": 4, "shadow_examples": 400, "shadow_models": 4,
    "reference": 100, "test": 400,
}  # fmt: skip


def changed(**changes):
    """The study above with values replaced: keys are paths with __ for the dots; GONE deletes."""
    settings = yaml.safe_load(STUDY)
    for path, value in changes.items():
        *parents, last = path.split("__")
        place = settings
        for parent in parents:
            place = place[parent]
        if value is GONE:
            del place[last]
        else:
            place[last] = value
    return settings


def refusal(**changes):
    with pytest.raises(StudyError) as refused:
        complete(changed(**changes))
    return str(refused.value)


@pytest.mark.parametrize(
    "path", [DEFAULT, *sorted((ROOT / "studies").glob("*.yaml"))], ids=lambda path: path.stem
)
def test_every_study_of_the_repository_is_well_formed(path, monkeypatch):
    monkeypatch.setattr(
        plug_ins, "check_sources", lambda source, where: None
    )  # not every machine has every data set
    complete(read_yaml(path))


def test_defaults_of_the_schema_and_of_plug_ins_are_filled_in():
    filled = complete(
        changed(constraints__admm={"use": "cardinality", "solver": "admm", "compression": 10})
    )
    assert filled["attackers"] == ["adaptive", "dense_shadows"]
    assert filled["experiments"]["e"]["training"]["optimizer"] == "adam"
    assert filled["constraints"]["admm"] == {
        "use": "cardinality", "solver": "admm", "retrain_epochs": 0, "compression": 10, "keep": None,
        "allocation": "erdos_renyi", "rho": [0.001, 0.01, 0.1], "epochs": 15, "step_epochs": 1,
    }  # fmt: skip
    assert filled["attacks"]["shadow_network"]["epochs"] == 3
    assert filled["attacks"]["shadow_network"]["targets_per_group"] == 2


def test_completing_twice_is_completing_once_and_changes_no_argument():
    settings = changed()
    once = complete(settings)
    assert settings == changed()
    assert json.loads(json.dumps(complete(once))) == json.loads(json.dumps(once))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"study": "My Study"}, "study = 'My Study': a name is a letter"),
        ({"attacs": {}}, "attacs: unknown key; did you mean 'attacks'?"),
        ({"study": GONE}, "study: missing"),
        ({"seeds": []}, "seeds = []"),
        ({"seeds": [0, 0]}, "seeds = [0, 0]"),
        ({"seeds": [-1]}, "seeds.0 = -1: allowed is >= 0"),
        ({"bootstrap_replicates": 10}, "bootstrap_replicates = 10: allowed is >= 100"),
        ({"attackers": ["dense"]}, "attackers.0 = 'dense': allowed is one of adaptive, dense_shadows"),
        ({"attacks__Loss": {"use": "loss"}}, "'Loss': a name is a letter"),
        ({"experiments__e__training__epochs": 0}, "experiments.e.training.epochs = 0: allowed is >= 1"),
        ({"experiments__e__training__epochs": GONE}, "experiments.e.training.epochs: missing"),
        ({"experiments__e__training__learning_rate": 0}, "experiments.e.training.learning_rate = 0: allowed is > 0"),
        ({"experiments__e__training__optimizer": "adm"}, "experiments.e.training.optimizer = 'adm': allowed is one of"),
        ({"experiments__e__training__batch": 3}, "experiments.e.training.batch: unknown key; did you mean 'batch_size'?"),
        ({"experiments__e__training__schedule": "cosin"}, "training.schedule = 'cosin': allowed is one of constant, cosine"),
        ({"experiments__e__training__augmentation": ["crops"]}, "training.augmentation.0 = 'crops': allowed is one of crop"),
        ({"experiments__e__training__augmentation": ["flip"] * 2}, "training.augmentation = ['flip', 'flip']"),
        ({"experiments__e__training__augmentation": "flip"}, "training.augmentation = 'flip': allowed is array"),
        ({"study": "data"}, "study = 'data': results/data is shared by all studies"),
        ({"experiments__e__split__examples": 401}, "experiments.e.split.examples = 401: models come in complementary"),
        ({"experiments__e__split__test": 20_000}, "but the data set has 10000"),
        ({"experiments__e__split__protocol": "disjoint"}, "experiments.e.split"),
        ({"experiments__e__dataset": "image"}, "experiments.e.dataset = 'image': not defined; did you mean"),
        ({"experiments__e__model__use": "lenet"}, "experiments.e.model.use = 'lenet': no such model; did you mean 'lenet5'?"),
        ({"experiments__e__model__chanels": [1, 2]}, "experiments.e.model.chanels: unknown key; did you mean 'channels'?"),
        ({"experiments__e__model__hidden": 0}, "experiments.e.model.hidden = 0: allowed is int >= 1"),
        ({"experiments__e__model__channels": [6, 0]}, "experiments.e.model.channels = [6, 0]: allowed is Sequence[int] >= 1"),
        ({"experiments__e__model__width": 0}, "experiments.e.model.width = 0: allowed is float > 0, <= 4"),
        ({"experiments__e__model__width": 4.5}, "experiments.e.model.width = 4.5: allowed is float > 0, <= 4"),
        ({"datasets__images__folder": "/nowhere"}, "the file /nowhere/t10k-images-idx3-ubyte.gz is missing"),
        ({"constraints__admm__rho": [0]}, "constraints.admm.rho = [0]: allowed is Sequence[float] > 0"),
        ({"constraints__admm__solver": "adm"}, "constraints.admm.solver = 'adm': no such solver; did you mean 'admm'?"),
        ({"constraints__none__compression": 3}, "constraints.none.compression: unknown key"),
        ({"defences__pruned__constraint": "amm"}, "defences.pruned.constraint = 'amm': not defined; did you mean 'admm'?"),
        ({"defences__baseline": GONE}, "defences.baseline: missing"),
        ({"defences__baseline__constraint": "admm"}, "defences.baseline: the baseline is dense"),
        ({"constraints__none__retrain_epochs": 2}, "defences.baseline: the baseline is dense"),
        ({"defences__again": {"objective": "erm", "constraint": "admm"}}, "defences.again: the same objective and constraint as"),
        ({"attacks__correctness__targets_per_group": 3}, "attacks.correctness.targets_per_group = 3: groups are whole pairs"),
        ({"attacks__correctness__targets_per_group": 4}, "attacks.correctness.targets_per_group = 4: experiments.e has 4"),
        ({"attacks__lira": {"use": "lira_offline"}}, "attacks.lira: lira_offline needs at least 4 shadow models, and"),
        (
            {"attacks__r": {"use": "rmia_offline"}, "experiments__e__split": FEW_TESTED},
            "experiments.e.split.test = 9: attacks.r compares with these examples as its population and needs at least 10",
        ),
        (
            {"attacks__r": {"use": "rmia_offline", "a": "automatic"}},
            "attacks.r.a = 'automatic': allowed is float >= 0, <= 1, or the word auto",
        ),
        (
            {"attacks__lira": {"use": "lira_online", "variance": "per_example"}},
            "attacks.lira: lira_online needs at least 6 shadow models, and",
        ),
        (
            {"attacks__lira": {"use": "lira_online"}, "experiments__e__split": DISJOINT},
            "attacks.lira.use = 'lira_online': it needs shadow models that were trained on the targets' examples",
        ),
        ({"attacks__shadow_network__precision": "float16"}, "attacks.shadow_network.precision = 'float16': allowed is one of"),
        ({"experiments__e__split__shadow_models": 4}, "experiments.e.split.shadow_models = 4: allowed is 0: under the pool"),
        ({"attacks__steep": {"use": "gradient_norm", "defences": ["prund"]}}, "attacks.steep.defences = 'prund': not defined"),
        ({"frontier": ["baseline", "prund"]}, "frontier = 'prund': not defined; did you mean 'pruned'?"),
        ({"frontier": ["baseline", "pruned"]}, "frontier = 'pruned': its constraint 'admm' prunes; allowed are dense defences"),
        ({"frontier": ["baseline"]}, "frontier = ['baseline']: one point is no frontier"),
        (
            {"attacks__both": {"use": "lira_joint", "attackers": ["dense_shadows"]}},
            "attacks.both.attackers = ['dense_shadows']: lira_joint sees the dense and the pruned release",
        ),
        ({"probes": {"noisy": {"use": "noisy", "deviations": [0]}}}, "probes.noisy.deviations = [0]: allowed is Sequence[float]"),
        ({"probes": {"noisy": {"use": "nosy"}}}, "probes.noisy.use = 'nosy': no such probe; did you mean 'noisy'?"),
        ({"attacks__lira": {"use": "lira_offline", "attackers": ["known_members"]}}, "attacks.lira.attackers: known_members has"),
        ({"attacks__lira": {"use": "lira_offline", "variance": "all"}}, "attacks.lira.variance = 'all': allowed is one of pool"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_setting_that_cannot_work_is_refused_by_its_key(changes, message):
    assert message in refusal(**changes)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"training": {"epochs": 0}}, "objectives.erm.training.epochs = 0: allowed is >= 1"),
        ({"training": 3}, "objectives.erm.training = 3: allowed is object"),
        ({"training": {"epohcs": 3}}, "objectives.erm.training.epohcs: unknown key; did you mean"),
        ({"training": {"use": "x"}}, "objectives.erm.training.use: unknown key"),
        (
            {"training": {"models_per_job": 2}},
            "objectives.erm.training.models_per_job: it is the experiment's alone",
        ),
        ({"model": {"hiden": 3}}, "objectives.erm.model.hiden: unknown key; did you mean"),
        ({"weight": 2}, "objectives.erm.weight: unknown key"),
    ],
)
def test_what_an_objective_lays_over_an_experiment_is_refused_by_its_own_key(own, message):
    assert message in refusal(objectives__erm={"use": "erm", **own})


def test_an_experiment_has_no_objectives_of_its_own():
    assert "experiments.e.objectives: unknown key" in refusal(
        experiments__e__objectives={"erm": {}}
    )


@pytest.mark.parametrize(
    ("overlay", "message"),
    [
        (
            {"admn": {}},
            "experiments.e.constraints.admn = 'admn': not defined; did you mean 'admm'?",
        ),
        ({"admm": {"use": 3}}, "experiments.e.constraints.admm.use = 3: allowed is string"),
        ({"admm": {"weight": 2}}, "experiments.e.constraints.admm.weight: unknown key"),
        (
            {"admm": {"rho": [0]}},
            "experiments.e.constraints.admm.rho = [0]: allowed is Sequence[float] > 0",
        ),
        (
            {"admm": {"retrain_epochs": -1}},
            "experiments.e.constraints.admm.retrain_epochs = -1: allowed is >= 0",
        ),
        (
            {"admm": {"solver": "adm"}},
            "experiments.e.constraints.admm.solver = 'adm': no such solver",
        ),
        ({"none": {"retrain_epochs": 2}}, "experiments.e.constraints.none: the baseline is dense"),
    ],
)
def test_an_overlay_that_cannot_work_is_refused_by_its_own_key(overlay, message):
    assert message in refusal(experiments__e__constraints=overlay)


def with_overlay(overlay):
    return Study(complete(changed(experiments__e__constraints=overlay)))


def test_an_overlay_changes_what_it_names_and_nothing_else():
    plain, found = Study(complete(changed())), with_overlay({"admm": {"compression": 5}})
    assert found.training("e", "erm") == plain.training("e", "erm")
    assert found.model("e", "erm") == plain.model("e", "erm")
    assert found.constraint("e", "admm") == {**plain.constraint("e", "admm"), "compression": 5}
    assert found["constraints"] == plain["constraints"]


def test_an_objectives_training_and_model_are_laid_over_the_experiments():
    plain = Study(complete(changed()))
    erm = {"use": "erm", "training": {"epochs": 3}, "model": {"hidden": 9}}
    found = Study(complete(changed(objectives__erm=erm)))
    assert found.training("e", "erm") == {**plain.training("e", "erm"), "epochs": 3}
    assert found.model("e", "erm") == {**plain.model("e", "erm"), "hidden": 9}
    assert found.objective("erm") == plain.objective("erm")


def test_an_overlay_that_uses_another_solver_starts_from_its_defaults():
    constraint = with_overlay({"admm": {"solver": "magnitude"}}).constraint("e", "admm")
    own = {"use", "solver", "retrain_epochs"}
    assert constraint.keys() == own | {"compression", "keep", "allocation"}
    assert constraint["compression"] == 10


def test_the_plug_ins_of_an_experiment_are_those_of_its_overlays():
    found = with_overlay({"admm": {"solver": "magnitude"}})
    names = [plug_in.name for plug_in in found.plug_ins("constraints", "admm", "e")]
    assert names == ["cardinality", "magnitude"]
    assert [plug_in.name for plug_in in found.plug_ins("constraints", "admm")] == [
        "cardinality",
        "admm",
    ]


def test_overlays_are_completed_once_and_for_all():
    once = with_overlay({"admm": {"compression": 5}}).settings
    assert json.loads(json.dumps(complete(once))) == json.loads(json.dumps(once))


@pytest.mark.parametrize("order", [("a", "b"), ("b", "a")])
def test_an_objectives_model_means_the_same_whatever_other_experiments_use(order):
    """Another model's overlay takes that model's defaults; it does not spoil the overlay of an experiment that has the model."""
    settings = changed(objectives__small={"use": "erm", "model": {"use": "lenet5", "hidden": 5}})
    one = settings["experiments"].pop("e")
    experiments = {"a": one, "b": {**one, "model": {"use": "vgg16", "form": "cifar"}}}
    settings["experiments"] = {name: experiments[name] for name in order}
    found = Study(complete(settings))
    assert (found.model("a", "small")["channels"], found.model("a", "small")["hidden"]) == (
        [6, 12],
        5,
    )
    assert found.model("b", "small")["hidden"] == 5
    assert found.model("b", "small")["channels"] != [6, 12]
    assert found.model("b", "erm")["use"] == "vgg16"


def test_everything_that_is_wrong_is_listed_at_once():
    message = refusal(
        attacks__correctness__targets_per_group=3,
        constraints__admm__rho=[0],
        defences__pruned__constraint="x",
    )
    assert message.count("\n  - ") == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb:\n  c: 1\n  d: 2\n  c: 3\n", r"study.yaml, line 3: the name 'c' stands twice"),
        ("a: [1", "study.yaml: not valid YAML"),
        ("- a\n", "study.yaml: a study is a mapping of keys, this is list"),
        ("", "study.yaml: a study is a mapping of keys"),
    ],
)
def test_a_file_that_is_no_study_is_refused_by_its_path(tmp_path, text, message):
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(StudyError, match=message):
        read_yaml(tmp_path / "study.yaml")


def test_a_missing_file_is_refused_by_its_path(tmp_path):
    with pytest.raises(StudyError, match=r"study.yaml: there is no such file"):
        read_yaml(tmp_path / "study.yaml")


@pytest.fixture
def unchecked(monkeypatch):
    """load_study without building networks."""
    monkeypatch.setattr(loading, "check_networks", lambda study, cache: None)


@pytest.mark.usefixtures("unchecked")
def test_a_configuration_without_a_study_is_laid_over_the_default(tmp_path):
    over = {"seeds": [5], "experiments": {"lenet5_fashion": {"training": {"epochs": 2}}}}
    found, default = load_study(over, [], tmp_path, default=DEFAULT), complete(read_yaml(DEFAULT))
    assert found["seeds"] == [5]
    assert found["experiments"]["lenet5_fashion"]["training"] == {
        **default["experiments"]["lenet5_fashion"]["training"],
        "epochs": 2,
    }
    assert found["defences"] == default["defences"]


@pytest.mark.usefixtures("unchecked")
def test_a_configuration_that_names_a_study_replaces_the_default(tmp_path):
    found = load_study(changed(), [], tmp_path, default=DEFAULT)
    assert found.name == "small"
    assert found.settings == complete(changed())


@pytest.mark.usefixtures("unchecked")
def test_a_key_that_stands_twice_in_a_file_is_refused_though_snakemake_lost_it(tmp_path):
    (tmp_path / "twice.yaml").write_text("study: a\nstudy: small\n")
    with pytest.raises(StudyError, match="'study' stands twice"):
        load_study(changed(), [tmp_path / "twice.yaml"], tmp_path, default=DEFAULT)


def test_the_strongest_attack_is_chosen_from_those_that_every_defence_is_tried_with():
    attacks = {
        "attacks__some": {"use": "loss", "defences": ["pruned"]},
        "attacks__all": {"use": "loss", "defences": ["pruned", "baseline"]},
        "attacks__both": {"use": "lira_joint"},
    }
    found = Study(complete(changed(experiments__e__split__models=6, **attacks)))
    assert found.eligible_attacks() == ["shadow_network", "correctness", "all"]


def with_traces(**attack):
    """The study with an attack that needs losses, and two defences that retrain."""
    changes = {
        "constraints__admm__retrain_epochs": 2,
        "constraints__snip": {
            "use": "cardinality",
            "solver": "snip",
            "compression": 10,
            "retrain_epochs": 2,
        },
        "defences__from_scratch": {"objective": "erm", "constraint": "snip"},
        "attacks__traced": {"use": "loss_trace_spread", **attack},
    }
    return Study(complete(changed(**changes)))


def test_losses_are_recorded_where_an_attack_needs_them():
    """Only the last phase of the defences attacked, and the training of their dense shadows."""
    phases = {"dense": None, "admm": "admm", "snip": "snip"}
    recorded = {
        ("baseline", "adaptive"): {"dense"},
        ("pruned", "adaptive"): {"admm"},
        ("from_scratch", "adaptive"): {"snip"},
        ("from_scratch", "dense_shadows"): {"dense", "snip"},
        ("from_scratch", "known_members"): {"snip"},
    }
    for (defence, attacker), wanted in recorded.items():
        study = with_traces(defences=[defence], attackers=[attacker])
        assert study.has_traces
        epochs = {name: study.trace_epochs("e", "erm", phase) for name, phase in phases.items()}
        assert epochs == {name: 10 * (name in wanted) for name in phases}, (defence, attacker)


def test_nothing_is_recorded_without_an_attack_that_asks():
    study = Study(complete(changed(probes={"loss_trace": {"use": "loss_trace"}})))
    assert not study.has_traces
    assert study.trace_epochs("e", "erm") == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"constraints__admm__retrain_epochs": 1},
            "constraint admm ends with 1 of training or retraining in experiments.e; allowed are",
        ),
        (
            {"experiments__e__training__epochs": 1, "constraints__admm__retrain_epochs": 2},
            "attacks.traced: needs losses of at least 2 epochs, but objective erm with constraint none",
        ),
    ],
)
def test_losses_of_a_single_epoch_are_refused(changes, message):
    traced = {"use": "loss_trace_spread"}
    assert message in refusal(attacks__traced=traced, **changes)


def test_a_defence_that_the_attack_leaves_out_may_have_few_epochs():
    traced = {"use": "loss_trace_spread", "defences": ["baseline"]}
    settings = changed(attacks__traced=traced, constraints__admm__retrain_epochs=0)
    assert Study(complete(settings)).has_traces


def test_recorded_losses_have_one_name():
    probes = {"augmented": {"use": "loss_trace"}}
    message = refusal(attacks__labels={"use": "label_only"}, probes=probes)
    assert "probes.augmented.use = 'loss_trace': it is recorded under its own name only" in message
    assert "allowed is the name loss_trace" in message


def test_shadow_models_on_generated_examples_have_no_losses_to_compare():
    split = {**changed()["experiments"]["e"]["split"], "reference": 200}
    experiment = {"experiments__e__split": split}
    traced = {
        "use": "loss_trace_spread",
        "attackers": ["generated_shadows"],
        "defences": ["baseline"],
    }
    message = refusal(attacks__traced=traced, **experiment)
    assert "attacks.traced.attackers: loss_trace_spread needs losses that are recorded" in message
    by_others = {
        "attacks__traced": {**traced, "attackers": ["adaptive"]},
        "attacks__loss": {"use": "loss", "attackers": ["generated_shadows"]},
    }
    study = Study(complete(changed(**by_others, **experiment)))
    assert study.trace_epochs("e", "erm") > 0
    assert study.trace_epochs("e.generated", "erm") == 0


def test_a_study_knows_its_attackers_and_dense_constraints():
    found = Study(complete(changed(constraints__continued={"use": "none", "retrain_epochs": 3})))
    assert found.attackers("correctness", next(iter(found["experiments"])), "baseline") == [
        "adaptive"
    ]
    assert found.attackers("correctness", next(iter(found["experiments"])), "pruned") == [
        "adaptive",
        "dense_shadows",
    ]
    assert [name for name in found["constraints"] if found.is_dense("e", name)] == ["none"]
    assert found.defence_of("erm", "admm") == "pruned"


@pytest.fixture
def asked(monkeypatch):
    """Stands for the process that builds the networks: `answer` holds its problems; the questions it got are returned."""
    questions = []

    def run(command, input, **options):
        questions.append(json.loads(input))
        return SimpleNamespace(returncode=0, stdout=json.dumps(run.answer), stderr="")

    run.answer = []
    monkeypatch.setattr(networks, "subprocess", SimpleNamespace(run=run))
    return run, questions


def test_networks_are_asked_for_every_experiment_and_used_constraint_once(asked, tmp_path):
    _, questions = asked
    for _ in range(2):
        check_networks(Study(complete(changed())), tmp_path)
    assert len(questions) == 1
    assert sorted(question["constraint"] for question in questions[0]) == ["admm", "none"]
    assert questions[0][0]["image_shape"] == [28, 28, 1]
    assert questions[0][0]["n_classes"] == 10
    check_networks(Study(complete(changed(constraints__admm__compression=5))), tmp_path)
    assert len(questions) == 2


def test_networks_that_do_not_fit_are_refused_and_asked_for_again(asked, tmp_path):
    run, questions = asked
    run.answer = [["experiments.e.model", "too small", ""]]
    for _ in range(2):
        with pytest.raises(StudyError, match="too small"):
            check_networks(Study(complete(changed())), tmp_path)
    assert len(questions) == 2


def test_objectives_that_cannot_be_met_are_refused_before_the_first_job(tmp_path):
    """The whole way from the file to the refusal, the process that builds the networks included."""
    training = {"training": {"precision": "float32", "batch_size": 50}}
    objectives = {
        "erm": {"use": "erm"},
        "rough": {"use": "dp_sgd", "noise": 1.0, "training": {"precision": "bfloat16"}},
        "loose": {"use": "dp_sgd", "noise": 1.0, "delta": 0.005, **training},
        "strict": {"use": "dp_sgd", "epsilon": 0.001, "epochs": 3, **training},
        "large": {"use": "dp_sgd", "noise": 1.0, "training": {"batch_size": 201}},
        "private": {"use": "dp_sgd", "epsilon": 3.0, "epochs": 3, "accountant": "rdp", **training},
    }
    defences = {
        name: {"objective": name, "constraint": "none"} for name in objectives if name != "erm"
    }
    settings = changed(
        objectives=objectives,
        defences={"baseline": {"objective": "erm", "constraint": "none"}, **defences},
    )
    with pytest.raises(StudyError) as refused:
        load_study(settings, [], tmp_path, default=DEFAULT)
    message = str(refused.value)
    assert (
        "objectives.rough.training.precision = 'bfloat16': gradients are clipped in float32"
        in message
    )
    assert "objectives.loose.delta = 0.005: allowed is less than 1 / members = 0.005" in message
    assert "objectives.strict.epsilon = 0.001: no noise reaches it in 3 epochs" in message
    assert "objectives.large.batch_size = 201: allowed is at most the 200 members" in message
    assert "objectives.private" not in message


def test_the_smoke_study_has_every_objective_solver_and_kind_of_attacker():
    smoke = complete(read_yaml(ROOT / "studies" / "smoke.yaml"))
    pairs = smoke["defences"].values()
    assert {smoke["objectives"][pair["objective"]]["use"] for pair in pairs} == set(
        registry.catalogue("objective")
    )
    solvers = {smoke["constraints"][pair["constraint"]]["solver"] for pair in pairs}
    assert solvers >= set(registry.catalogue("solver")) - {"random"}
    attackers = {
        name
        for attack in smoke["attacks"]
        for name in Study(smoke).attackers(attack, "lenet5_fashion", "mia_pruning")
    }
    assert {"adaptive", "known_members"} <= attackers
    claimed = {"baseline", "mia_pruning", "min_max", "mia_pruning_min_max", "dp_sgd"}
    assert claimed <= set(smoke["defences"])


def test_a_job_refuses_a_study_that_was_changed_since_its_run_began(monkeypatch):
    monkeypatch.delenv(loading.HELD, raising=False)
    mine, changed = Study({"study": "s", "seeds": [0]}), Study({"study": "s", "seeds": [1]})
    loading.hold(changed, begins=False)  # outside of any run
    loading.hold(mine, begins=True)
    loading.hold(mine, begins=False)
    with pytest.raises(StudyError, match="was changed after this run began"):
        loading.hold(changed, begins=False)


OWN_PROBE = """
from mia_pruning.registry import attack, probe

@probe
def mirrored(asked, *, sides: int = 1): ...

@attack(probes=("own_probes.mirrored",))
def top_mirrored(targets, shadows, rng): ...
"""


@pytest.fixture
def own_probes(tmp_path, monkeypatch):
    (tmp_path / "own_probes.py").write_text(OWN_PROBE)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_completed_study_with_a_users_probe_is_a_study(own_probes):
    settings = complete(changed(attacks__mine={"use": "own_probes.top_mirrored"}))
    assert settings["probes"]["own_probes.mirrored"] == {"use": "own_probes.mirrored", "sides": 1}
    assert complete(settings) == settings


def test_options_of_a_users_probe_are_given_under_its_full_name(own_probes):
    probes = {"own_probes.mirrored": {"use": "own_probes.mirrored", "sides": 2}}
    settings = complete(changed(attacks__mine={"use": "own_probes.top_mirrored"}, probes=probes))
    assert settings["probes"] == probes


def test_the_recorded_probe_is_refused_under_its_full_name(tmp_path, monkeypatch):
    full = "mia_pruning.probes.loss_trace.loss_trace"
    text = f"from mia_pruning.registry import attack\n\n@attack(probes=({full!r},))\ndef f(targets, shadows, rng): ...\n"
    (tmp_path / "own_recorded.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert f"probes.{full}.use = {full!r}: it is recorded under its own name only" in refusal(
        attacks__mine={"use": "own_recorded.f"}
    )


@pytest.mark.parametrize(
    "name", ["own_probes.", ".mirrored", "own probes.mirrored", "Own", "a.b/c", "a..b", "a.b\n"]
)
def test_a_probe_under_a_name_that_is_none_is_refused(name):
    message = f"probes.{name!r}: a name is a letter, then letters, digits and _ in lower case, or package.module.function"
    assert message in refusal(probes={name: {"use": "noisy"}})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("return 1 / n", "datasets.images: ZeroDivisionError: division by zero ({file}, line 5)"),
        (
            "return None",
            "datasets.images.use = 'own_data.made': it returns NoneType; allowed is a DatasetSource",
        ),
    ],
)
def test_what_a_users_data_set_does_wrong_is_said_in_a_sentence(
    tmp_path, monkeypatch, body, reason
):
    file = tmp_path / "own_data.py"
    file.write_text(
        f"from mia_pruning.registry import dataset\n\n@dataset\ndef made(*, n: int = 0):\n    {body}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "own_data", raising=False)
    assert reason.format(file=file) in refusal(datasets__images={"use": "own_data.made"})
