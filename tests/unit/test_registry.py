import subprocess
import sys
from dataclasses import replace

import pytest
import yaml

from mia_pruning import registry
from mia_pruning.declarations import RESERVED, PlugIn
from mia_pruning.options import REQUIRED, Option
from mia_pruning.plug_ins import describe_kind
from mia_pruning.registry import check_options, find, options_of
from mia_pruning.study.schema import SCHEMA
from mia_pruning.traits import AttackTraits, SolverTraits
from mia_pruning.types import StudyError

PLUG_IN = '''
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from mia_pruning import registry
from mia_pruning.registry import attack, solver

print("imported")

@attack
def mine(targets, shadows, rng, *, k: Annotated[int, ">= 1, < 9"], rate: float = 0.5, name: str | None = None) -> int:
    return k

@registry.attack
def dotted_decorator(targets, shadows, rng):
    return 0

@solver(from_initial=True)
@dataclass(frozen=True)
class OneShotByHand:
    """Fields are options."""

    computed = 1 + 1
    steps: Annotated[Sequence[float], "> 0"] = (0.1, 1)
    epochs: int = 3

    def start(self, task, sparsity_set, rng, *, not_an_option: int = 0): ...

def undecorated(*, k: int = 1): ...
'''


@pytest.fixture
def plug_in_file(tmp_path, monkeypatch):
    """Writes a module of a user's own on Python's path."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(module, text):
        (tmp_path / f"{module}.py").write_text(text, encoding="utf-8")
        return module

    return write


def test_traits_are_known_without_running_the_module(plug_in_file, capsys):
    module = plug_in_file("own_traits", PLUG_IN)
    assert find("solver", f"{module}.OneShotByHand", "use").traits == SolverTraits(
        from_initial=True
    )
    assert find("attack", f"{module}.mine", "use").traits == AttackTraits()
    assert capsys.readouterr().out == ""


def test_a_class_has_its_traits_as_attributes(plug_in_file):
    solver = find(
        "solver", f"{plug_in_file('own_attributes', PLUG_IN)}.OneShotByHand", "use"
    ).load()
    assert solver.from_initial
    assert solver.reads_members


IMPORTS = (
    "from dataclasses import dataclass\n"
    "from mia_pruning.registry import "
    "attack, constraint, figure, model, objective, probe, solver\n"
)


ATTACK = "def it(targets, shadows, rng): ..."
OPTION = "@attack\ndef it(targets, shadows, rng, *, k: {} = 3): ..."
WRONG = {
    "swapped": (
        "attack",
        "@attack\ndef it(shadows, targets, rng): ...",
        "(shadows, targets, rng); those of",
    ),
    "one missing": (
        "attack",
        "@attack\ndef it(targets, shadows): ...",
        "must be (targets, shadows, rng)",
    ),
    "of a model": (
        "model",
        "@model\ndef it(n_classes, image_shape): ...",
        "must be (image_shape, n_classes)",
    ),
    "recorded probe": (
        "probe",
        "@probe(recorded=True)\ndef it(n_epochs): ...",
        "recorded is that of loss_trace",
    ),
    "misspelt trait": (
        "attack",
        f"@attack(by_exmaple=True)\n{ATTACK}",
        "no trait by_exmaple. Allowed: title, by_example, ",
    ),
    "trait of another type": (
        "attack",
        f"@attack(by_example=1)\n{ATTACK}",
        "by_example of @attack is 1; allowed is a bool",
    ),
    "number for a trait of yes or no": (
        "attack",
        f"@attack(fewest_shadows=True)\n{ATTACK}",
        "is True; allowed is a int",
    ),
    "trait of another shape": (
        "attack",
        f"@attack(fewest_with_option=('k', 1, 6))\n{ATTACK}",
        "(option, value, number)",
    ),
    "trait with another option": (
        "attack",
        f"@attack(threshold_option='n')\n{ATTACK}",
        "refers to the option n; allowed: none",
    ),
    "trait computed": (
        "attack",
        f"P = ()\n@attack(probes=P)\n{ATTACK}",
        "the trait probes is not written out: P",
    ),
    "title of two lines": (
        "attack",
        f"@attack(title='a\\nb')\n{ATTACK}",
        "at most 60 characters on one line",
    ),
    "section that the page lacks": (
        "figure",
        "@figure(section='thoery')\ndef it(tables, headline): ...",
        "trait section is 'thoery'; allowed is one of verdicts, overview",
    ),
    "trait of a kind without": (
        "model",
        "@model(fast=True)\ndef it(image_shape, n_classes): ...",
        "Allowed: title",
    ),
    "class": (
        "attack",
        "@attack\nclass it: ...",
        "@attack marks a function of (targets, shadows, rng); this is a class",
    ),
    "function": (
        "objective",
        "@objective\ndef it(model): ...",
        "marks a class with the method loss; this is a function",
    ),
    "method": (
        "objective",
        "@objective\nclass it:\n    def loss(self, images, model, labels): ...",
        "(self, model, images,",
    ),
    "missing dataclass": (
        "solver",
        "@solver\nclass it:\n    epochs: int = 3",
        "write @dataclass(frozen=True) below",
    ),
    "value in place of a trait": (
        "attack",
        f"@attack('x')\n{ATTACK}",
        "@attack has the value 'x'; allowed are traits",
    ),
    "malformed range": (
        "attack",
        OPTION.format("Annotated[int, '>=1']"),
        "line 4, it: the range of option k is '>=1'",
    ),
    "type without values": (
        "attack",
        OPTION.format("tuple[int, int]"),
        "line 4, it: the type of option k is",
    ),
    "default out of its range": (
        "attack",
        OPTION.format("Annotated[int, '> 3']"),
        "line 4, it: the default of option k is 3; allowed is int > 3",
    ),
    "annotated trait": (
        "solver",
        "@solver\nclass it:\n    from_initial: bool = True",
        "write @solver(from_initial=...)",
    ),
    "assigned trait": (
        "solver",
        "@solver\nclass it:\n    from_initial = True",
        "is a trait, not an attribute",
    ),
}


@pytest.mark.parametrize(("kind", "text", "reason"), WRONG.values(), ids=WRONG)
def test_a_plug_in_written_wrongly_is_refused_with_what_is_expected(
    plug_in_file, kind, text, reason, request
):
    module = plug_in_file(f"own_{request.node.callspec.id.replace(' ', '_')}", IMPORTS + text)
    with pytest.raises(StudyError) as refusal:
        find(kind, f"{module}.it", f"{kind}s.a.use")
    assert f"{kind}s.a.use = '{module}.it'" in str(refusal.value)
    assert reason in str(refusal.value)


@pytest.mark.parametrize(
    "key", sorted(RESERVED - {"title"})
)  # title is a trait too, and refused as such
@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("attack", "@attack\ndef it(targets, shadows, rng, *, {}: int = 1): ..."),
        ("objective", "@objective\n@dataclass\nclass it:\n    {}: int = 1"),
        ("solver", "@dataclass\nclass Base:\n    {}: int = 1\n\n@solver\nclass it(Base): ..."),
    ],
)
def test_an_option_with_the_name_of_a_key_of_the_pipeline_is_refused(plug_in_file, kind, text, key):
    module = plug_in_file(f"own_{kind}_{key}", IMPORTS + text.format(key))
    with pytest.raises(
        StudyError,
        match=f"the option {key} has the name of a key of the pipeline; allowed is any name but ",
    ):
        find(kind, f"{module}.it", "use")


def test_the_names_that_no_option_may_have_are_the_keys_that_the_schema_gives_to_entries_of_plug_ins():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    entries = [schema["$defs"][kind] for kind in ("objective", "constraint", "plug_in", "dataset")]
    entries += [
        schema["properties"][section]["additionalProperties"] for section in ("attacks", "probes")
    ]
    assert {key for entry in entries for key in entry["properties"]} == RESERVED


FAULTY = """
@attack
def sound(targets, shadows, rng, *, k: int = 1): ...

@attack
def faulty(targets, shadows, rng, *, k: tuple = 1): ...

@attack
def sound_too(targets, shadows, rng): ...
"""


def test_a_faulty_plug_in_is_refused_by_its_name_and_hides_none_of_its_file(plug_in_file):
    module = plug_in_file("own_faulty", IMPORTS + FAULTY)
    assert list(find("attack", f"{module}.sound", "use").options) == ["k"]
    assert find("attack", f"{module}.sound_too", "use").name == "sound_too"
    with pytest.raises(
        StudyError,
        match=r"a.use = 'own_faulty.faulty': .*own_faulty.py cannot be read.*line 8, faulty: the type",
    ):
        find("attack", f"{module}.faulty", "a.use")


@pytest.fixture
def folder_of_attacks(tmp_path, monkeypatch):
    """A folder that holds the built-in attacks."""
    monkeypatch.setattr(registry, "_folder", lambda kind: tmp_path)
    registry._survey.cache_clear()
    yield tmp_path
    registry._survey.cache_clear()


def test_a_faulty_built_in_hides_none_of_its_folder_and_is_listed(folder_of_attacks):
    (folder_of_attacks / "mine.py").write_text(IMPORTS + FAULTY)
    (folder_of_attacks / "unreadable.py").write_text("def broken(:")
    (folder_of_attacks / "other.py").write_text(IMPORTS + ATTACK.replace("def", "@attack\ndef"))
    assert set(registry.catalogue("attack")) == {"sound", "sound_too", "it"}
    assert set(registry.faults("attack")) == {"faulty", "unreadable"}
    for name in ("faulty", "unreadable"):
        with pytest.raises(
            StudyError, match=rf"use = '{name}': .*\.py cannot be read as a plug-in: "
        ):
            find("attack", name, "use")
    with pytest.raises(
        StudyError, match=r"no such attack; did you mean 'sound'.*unreadable.py cannot be read"
    ):
        find("attack", "sounds", "use")
    with pytest.raises(StudyError, match=r"attack faulty: .*mine.py cannot be read"):
        registry.names_of("attack")
    listed = "\n".join(describe_kind("attack"))
    assert "  sound\n    k: int (default 1)" in listed
    assert "  faulty cannot be used: " in listed
    assert "  unreadable cannot be used: " in listed


def test_two_built_ins_of_one_name_are_refused(folder_of_attacks):
    for name in ("first", "second"):
        (folder_of_attacks / f"{name}.py").write_text(
            IMPORTS + ATTACK.replace("def", "@attack\ndef")
        )
    assert registry.catalogue("attack") == {}
    with pytest.raises(StudyError, match="the name it stands twice in this folder"):
        find("attack", "it", "use")


def test_no_built_in_is_faulty():
    for kind in registry.PACKAGES:
        assert registry.names_of(kind) == list(registry.catalogue(kind))


BASES = """
from dataclasses import dataclass
from typing import ClassVar
from mia_pruning.constraints.one_shot import Magnitude
from mia_pruning.registry import solver

@solver(from_initial=True, reads_members=False)
@dataclass(frozen=True)
class First(Magnitude):
    k: int = 1
    rate: float = 0.5
    fixed: ClassVar[int] = 3
"""
HEIRS = """
from dataclasses import dataclass
from mia_pruning.registry import solver
{imported}

@solver(reads_members=True)
@dataclass(frozen=True)
class Second({base}):
    rate: float = 0.25
    more: int = 2

@solver
class Third(Second): ...
"""


@pytest.mark.parametrize("imported", ["from {} import First", "from {} import First as Base"])
def test_options_and_traits_are_inherited_and_may_be_stated_anew(plug_in_file, imported):
    bases = plug_in_file(f"own_bases_{len(imported)}", BASES)
    text = HEIRS.format(imported=imported.format(bases), base=imported.split()[-1])
    module = plug_in_file(f"own_heirs_{len(imported)}", text)
    for name in ("Second", "Third"):
        plug_in = find("solver", f"{module}.{name}", "use")
        defaults = {option: described.default for option, described in plug_in.options.items()}
        assert defaults == {"k": 1, "rate": 0.25, "more": 2}
        assert plug_in.traits == SolverTraits(from_initial=True, reads_members=True)
        made = plug_in.load()(**defaults)
        assert (made.k, made.rate, made.from_initial, made.reads_members) == (1, 0.25, True, True)


def test_what_a_class_inherits_from_where_no_source_is_found_is_refused(plug_in_file):
    plug_in_file("own_hidden", BASES)
    module = plug_in_file(
        "own_heir_of_hidden", HEIRS.format(imported="import own_hidden", base="own_hidden.First")
    )
    with pytest.raises(
        StudyError,
        match=r"own_heir_of_hidden.py, line \d+: from_initial is inherited from a base class whose",
    ):
        find("solver", f"{module}.Second", "use").load()


@pytest.mark.parametrize(
    ("kind", "text", "method"),
    [
        ("objective", "class it: ...", "loss(self, model, images, labels)"),
        ("constraint", "class it:\n    def budgets(self, shapes): ...", "masks(self, weights)"),
        ("solver", "class it(Solver): ...", "start(self, task, sparsity_set, rng)"),
    ],
)
def test_a_class_without_the_method_of_its_kind_is_refused_with_file_and_line(
    plug_in_file, kind, text, method
):
    header = IMPORTS + "from mia_pruning.constraints.solving import Solver\n"
    module = plug_in_file(f"own_bare_{kind}", f"{header}@{kind}\n{text}")
    with pytest.raises(StudyError) as refusal:
        find(kind, f"{module}.it", "use").load()
    assert f"= '{module}.it': " in str(refusal.value)
    assert f"{module}.py, line 5: it has no method" in str(refusal.value)
    assert method in str(refusal.value)


def test_a_package_that_cannot_be_imported_is_refused_with_its_error(tmp_path, monkeypatch):
    (tmp_path / "own_broken").mkdir()
    (tmp_path / "own_broken" / "__init__.py").write_text("import no_such_module")
    (tmp_path / "own_broken" / "deep.py").write_text(PLUG_IN)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        StudyError,
        match=r"use = .*: the package own_broken cannot be imported: ModuleNotFoundError: No module",
    ):
        find("attack", "own_broken.deep.mine", "use")


def test_options_of_a_constraint_and_its_solver_that_share_a_name_are_refused():
    with pytest.raises(
        StudyError,
        match=r"^w: constraint first and solver second share one entry and both have an option epochs;",
    ):
        check_options({}, [replace(FIRST, options=SECOND.options), SECOND], "w")


def test_a_misspelt_trait_is_refused_when_the_module_is_run():
    with pytest.raises(ValueError, match="has no trait by_exmaple"):
        registry.attack(by_exmaple=True)(lambda targets, shadows, rng: None)


def test_a_dotted_path_finds_a_users_own_plug_in_without_running_it(plug_in_file, capsys):
    plug_in = find("attack", f"{plug_in_file('own_attack', PLUG_IN)}.mine", "attacks.a.use")
    assert capsys.readouterr().out == ""
    assert plug_in.load()(None, None, None, k=4) == 4
    assert capsys.readouterr().out == "imported\n"


def test_a_dotted_path_finds_a_plug_in_inside_a_package(tmp_path, monkeypatch):
    (tmp_path / "own_package").mkdir()
    (tmp_path / "own_package" / "__init__.py").touch()
    (tmp_path / "own_package" / "deep.py").write_text(PLUG_IN, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    assert find("attack", "own_package.deep.mine", "w").load()(0, 0, 0, k=2) == 2


def test_options_ranges_and_defaults_are_read_from_the_source(plug_in_file):
    module = plug_in_file("own_options", PLUG_IN)
    assert list(find("attack", f"{module}.mine", "w").options.values()) == [
        Option("k", "int", ">= 1, < 9", REQUIRED),
        Option("rate", "float", "", 0.5),
        Option("name", "str | None", "", None),
    ]
    assert list(find("solver", f"{module}.OneShotByHand", "w").options.values()) == [
        Option("steps", "Sequence[float]", "> 0", (0.1, 1)),
        Option("epochs", "int", "", 3),
    ]


def test_a_class_is_named_in_snake_case_and_a_qualified_decorator_counts(plug_in_file):
    module = plug_in_file("own_names", PLUG_IN)
    assert find("solver", f"{module}.OneShotByHand", "w").name == "one_shot_by_hand"
    assert find("attack", f"{module}.dotted_decorator", "w").name == "dotted_decorator"


@pytest.mark.parametrize("name", ["undecorated", "absent", "OneShotByHand"])
def test_a_dotted_path_to_anything_but_a_plug_in_of_the_kind_is_refused(plug_in_file, name):
    module = plug_in_file(f"own_wrong_{name}".lower(), PLUG_IN)
    with pytest.raises(
        StudyError,
        match=rf"attacks.a.use = '{module}.{name}'.*no '{name}' with the decorator @attack",
    ):
        find("attack", f"{module}.{name}", "attacks.a.use")


@pytest.mark.parametrize("use", ["no_such_package.attack", "no_such_package.deep.attack", "a..b"])
def test_a_dotted_path_to_no_module_is_refused(use):
    with pytest.raises(StudyError, match=r"attacks.a.use = '.*': there is no module"):
        find("attack", use, "attacks.a.use")


@pytest.mark.parametrize(
    "use", ["math.sqrt", "sys.path", "os.path.join", "numpy.random.mtrand.rand"]
)
def test_a_dotted_path_to_a_module_without_source_is_refused(use):
    with pytest.raises(StudyError, match=r"attacks.a.use = "):
        find("attack", use, "attacks.a.use")


@pytest.mark.parametrize(
    "text",
    [
        "from mia_pruning.registry import attack\n@attack\ndef mine(targets, shadows, rng, *, k=3): ...",
        "from mia_pruning.registry import attack\nK = 3\n@attack\ndef mine(targets, shadows, rng, *, k: int = K): ...",
        "def mine(:",
    ],
    ids=["no annotation", "default that is no literal", "syntax error"],
)
def test_a_plug_in_that_cannot_be_read_is_refused_by_its_config_key(plug_in_file, text, request):
    module = plug_in_file("own_" + request.node.callspec.id.replace(" ", "_"), text)
    with pytest.raises(StudyError, match=r"attacks.a.use = "):
        find("attack", f"{module}.mine", "attacks.a.use")


def test_every_built_in_loads_and_bears_its_kind_and_name():
    for kind in registry.PACKAGES:
        for name, plug_in in registry.catalogue(kind).items():
            loaded = plug_in.load()
            assert (loaded.plug_in_kind, plug_in.kind, plug_in.name) == (kind, kind, name)


def test_the_catalogue_is_not_empty_and_is_read_without_importing_torch():
    code = (
        "import sys; from mia_pruning.registry import PACKAGES, catalogue\n"
        "print(*[len(catalogue(kind)) for kind in PACKAGES])\n"
        "print([name for name in ('torch', 'scipy', 'pandas') if name in sys.modules])"
    )
    environment = {"PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    )
    counts, imported = done.stdout.splitlines()
    assert all(int(count) > 0 for count in counts.split())
    assert imported == "[]"


def test_an_unknown_name_is_answered_with_the_nearest_and_all_allowed():
    with pytest.raises(
        StudyError,
        match=r"attacks.a.use = 'modified_entorpy': no such attack.*'modified_entropy'.*correctness",
    ):
        find("attack", "modified_entorpy", "attacks.a.use")


OPTIONS = {
    option.name: option
    for option in (
        Option("count", "int", ">= 1", REQUIRED),
        Option("rate", "float | None", "> 0, <= 1", None),
        Option("flag", "bool", "", False),
        Option("name", "str", "", "x"),
        Option("rates", "Sequence[float]", "> 0", (0.1,)),
        Option("sizes", "Sequence[int]", "", (1, 2)),
        Option("keep", "dict | None", "", None),
        Option("free", "float", "", 0.0),
        Option("share", "float", "> 0, < 1", 0.1),
        Option("kind", "Literal['pooled', 'own']", "", "own"),
        Option("weight", "Literal['auto'] | float", ">= 0, <= 1", "auto"),
        Option("queries", "Literal[5, 17]", "", 5),
    )
}
FIRST = PlugIn("constraint", "first", "m", "first", OPTIONS)
SECOND = PlugIn("solver", "second", "m", "second", {"epochs": Option("epochs", "int", ">= 1", 15)})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", 1), ("rate", 1), ("rate", 0.5), ("rate", None), ("flag", True), ("name", "y"), ("rates", [0.1, 2]),
        ("sizes", [6, 12]), ("keep", {"fc1": 0.5}), ("keep", None), ("free", -1),
        ("share", 0.99), ("share", 1e-9), ("kind", "pooled"),
        ("weight", "auto"), ("weight", 0), ("weight", 0.3), ("weight", 1), ("queries", 17),
    ],
)  # fmt: skip
def test_a_value_of_the_type_and_in_the_range_is_accepted(name, value):
    assert check_options({"count": 3, name: value}, [FIRST], "w")[name] == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("count", True), ("count", 1.0), ("count", "1"), ("count", None), ("count", 0), ("count", [1]),
        ("rate", 0), ("rate", 1.1), ("rate", True), ("rate", float("nan")), ("flag", 1), ("flag", "true"), ("name", 3),
        ("rates", 0.1), ("rates", [0.1, 0]), ("rates", ["a"]), ("keep", [1]), ("free", "1"), ("free", False),
        ("share", 0), ("share", 1), ("share", 1.5), ("kind", "both"), ("kind", 1), ("kind", None),
        ("weight", "automatic"), ("weight", "0.3"), ("weight", 1.1), ("weight", -0.1), ("weight", None),
        ("weight", True), ("weight", float("nan")), ("weight", ["auto"]),
        ("queries", 6), ("queries", "5"), ("queries", True),
    ],
)  # fmt: skip
def test_a_value_of_another_type_or_out_of_range_is_refused_with_what_is_allowed(name, value):
    with pytest.raises(StudyError) as refusal:
        check_options({"count": 3, name: value}, [FIRST], "constraints.c")
    assert (
        str(refusal.value)
        == f"constraints.c.{name} = {value!r}: allowed is {OPTIONS[name].allowed}"
    )


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("count", "int >= 1"),
        ("rate", "float | None > 0, <= 1"),
        ("kind", "one of pooled, own"),
        ("weight", "float >= 0, <= 1, or the word auto"),
        ("queries", "one of 5, 17"),
    ],
)
def test_what_is_allowed_names_types_range_and_words(name, allowed):
    assert OPTIONS[name].allowed == allowed


@pytest.mark.parametrize(
    ("name", "value"), [("sizes", ["a"]), ("sizes", [1.5]), ("rates", [True]), ("rates", [[1]])]
)
def test_the_items_of_a_sequence_must_have_its_type(name, value):
    with pytest.raises(StudyError, match=f"w.{name} = "):
        check_options({"count": 3, name: value}, [FIRST], "w")


@pytest.mark.parametrize(
    ("name", "value"), [("free", float("nan")), ("free", float("inf")), ("rates", [float("inf")])]
)
def test_a_number_must_be_finite(name, value):
    with pytest.raises(StudyError, match=f"w.{name} = "):
        check_options({"count": 3, name: value}, [FIRST], "w")


def test_an_empty_sequence_is_refused():
    with pytest.raises(StudyError, match=r"w.rates = \[\]"):
        check_options({"count": 3, "rates": []}, [FIRST], "w")


def test_an_unknown_key_is_answered_with_the_nearest():
    with pytest.raises(
        StudyError,
        match=r"constraints.c.epoch: unknown key; did you mean 'epochs'\? Allowed: count, epochs, ",
    ):
        check_options({"count": 1, "epoch": 3}, [FIRST, SECOND], "constraints.c")


def test_a_missing_option_is_named():
    with pytest.raises(StudyError, match=r"constraints.c.count: missing; it takes int >= 1"):
        check_options({"rate": 0.5}, [FIRST], "constraints.c")


def test_defaults_fill_in_over_the_union_and_split_again_by_plug_in():
    checked = check_options({"count": 2, "epochs": 4}, [FIRST, SECOND], "w")
    assert checked == {
        **{name: option.default for name, option in OPTIONS.items()},
        "count": 2,
        "epochs": 4,
    }
    assert options_of(SECOND, checked) == {"epochs": 4}
    assert options_of(FIRST, checked).keys() == OPTIONS.keys()


def test_options_given_are_not_modified():
    given = {"count": 2}
    check_options(given, [FIRST, SECOND], "w")
    assert given == {"count": 2}
