import hashlib
import os
import sys

import pytest

from mia_pruning import modules, provenance
from mia_pruning.modules import module_file
from mia_pruning.provenance import code_digest, file_digest, fingerprint, git_state, record

START = '''"""Doc."""
import numpy
from fake.middle import value


class Held:
    """Doc."""

    text = "a"


async def later():
    """Doc."""


def run():
    """Doc."""
    return value + 1
'''
SOURCES = {
    "__init__.py": "",
    "start.py": START,
    "middle.py": "from fake import deep\n\nvalue = deep.number\n",
    "deep.py": "import fake.start\n\nnumber = 1\n",  # back to the start: a cycle
    "unrelated.py": "number = 1\n",
    "sub/__init__.py": "",
    "sub/leaf.py": "leaf = 1\n",
}


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """The digest of start.py in a fresh fake package, of which some files are replaced."""

    def of(changed=None):
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / "fake"
        monkeypatch.setattr(modules, "LIBRARY", folder)
        monkeypatch.setattr(modules, "PACKAGE", "fake")
        for name, text in {**SOURCES, **(changed or {})}.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text, encoding="utf-8")
        return code_digest(folder / "start.py")

    return of


def test_the_same_code_has_the_same_digest_in_another_folder(digest):
    assert digest() == digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Doc.", "Other words.\n\n    And more."),
        ('"""Doc."""\nimport', "import"),
        ('    """Doc."""\n    return', "    return"),
        ("return value + 1", "return (value+1)  # why"),
        ("import numpy", "# header\n\nimport numpy\n\n"),
    ],
    ids=["docstrings", "no module docstring", "no function docstring", "comment", "layout"],
)
def test_words_and_layout_change_nothing(digest, old, new):
    assert old in START
    assert digest({"start.py": START.replace(old, new)}) == digest()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("value + 1", "value + 2"),
        ('text = "a"', 'text = "b"'),
        ("import numpy", "import scipy"),
        ("run", "walk"),
    ],
)
def test_a_changed_line_changes_the_digest(digest, old, new):
    assert digest({"start.py": START.replace(old, new)}) != digest()


def test_a_rewritten_file_is_read_again(tmp_path):
    path = tmp_path / "script.py"
    path.write_text("x = 1\n")
    before = code_digest(path)
    path.write_text("x = 2\n")
    later = (
        path.stat().st_mtime_ns + 1
    )  # two writes can fall into one tick of the file system's clock
    os.utime(path, ns=(later, later))
    assert code_digest(path) != before


@pytest.mark.parametrize("name", ["middle.py", "deep.py"])
def test_a_change_in_a_module_imported_directly_or_not_changes_the_digest(digest, name):
    assert digest({name: SOURCES[name] + "more = 1\n"}) != digest()


@pytest.mark.parametrize("name", ["unrelated.py", "sub/leaf.py"])
def test_a_change_in_a_module_not_imported_changes_nothing(digest, name):
    assert digest({name: SOURCES[name] + "more = 1\n"}) == digest()


@pytest.mark.parametrize(
    "line",
    [
        "import fake.sub.leaf",
        "from fake.sub import leaf",
        "from fake.sub.leaf import leaf",
        "import numpy, fake.sub.leaf as other",
        "def late():\n    from fake.sub.leaf import leaf",
        "if True:\n    import fake.sub.leaf",
    ],
)
def test_every_form_of_absolute_import_is_followed(digest, line):
    start = {"start.py": f"{START}\n{line}\n"}
    assert digest({**start, "sub/leaf.py": "leaf = 2\n"}) != digest(start)


def test_relative_imports_are_followed(digest):
    start = {"start.py": f"{START}\nfrom . import unrelated\n"}
    assert digest({**start, "unrelated.py": "number = 2\n"}) != digest(start)


def test_a_package_that_an_import_runs_counts(digest):
    start = {"start.py": f"{START}\nimport fake.sub.leaf\n"}
    assert digest({**start, "sub/__init__.py": "side_effect = 1\n"}) != digest(start)


PLUG_INS = {
    "beside.py": "import helper\n",
    "helper.py": "from deeper import constants\n",
    "deeper/__init__.py": "",
    "deeper/constants.py": "k = 1\n",
    "package/__init__.py": "",
    "package/absolute.py": "def late():\n    from package.parts import a\n",
    "package/relative.py": "from . import parts\nfrom .parts import b\nfrom ..deeper import constants\n",
    "package/parts/__init__.py": "",
    "package/parts/a.py": "a = 1\n",
    "package/parts/b.py": "b = 1\n",
    "namespace/plug_in.py": "import namespace.neighbour\n",
    "namespace/neighbour.py": "n = 1\n",
}


@pytest.fixture
def plug_in_digest(tmp_path, monkeypatch):
    """The digest of a user's plug-in in a fresh folder on Python's path, after one of its files is changed."""

    def of(plug_in, changed=None, search="."):
        folder = tmp_path / str(len(list(tmp_path.iterdir()))) / search
        for name, text in PLUG_INS.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text + "more = 1\n" * (name == changed), encoding="utf-8")
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            return code_digest(folder / plug_in)

    return of


@pytest.mark.parametrize(
    ("plug_in", "imported"),
    [
        ("beside.py", "helper.py"),
        ("beside.py", "deeper/constants.py"),
        ("package/absolute.py", "package/parts/a.py"),
        ("package/absolute.py", "package/__init__.py"),
        ("package/relative.py", "package/parts/__init__.py"),
        ("package/relative.py", "package/parts/b.py"),
        ("package/relative.py", "deeper/constants.py"),
        ("namespace/plug_in.py", "namespace/neighbour.py"),
    ],
)
def test_a_change_in_a_module_that_a_users_plug_in_imports_changes_its_digest(
    plug_in_digest, plug_in, imported
):
    assert plug_in_digest(plug_in) == plug_in_digest(plug_in)
    assert plug_in_digest(plug_in, imported) != plug_in_digest(plug_in)


@pytest.mark.parametrize("other", ["beside.py", "package/parts/b.py"])
def test_a_change_in_a_neighbour_that_a_users_plug_in_does_not_import_changes_nothing(
    plug_in_digest, other
):
    assert plug_in_digest("package/absolute.py", other) == plug_in_digest("package/absolute.py")


def test_of_installed_packages_the_plug_ins_own_alone_is_followed(plug_in_digest):
    installed = {"search": "site-packages"}
    assert plug_in_digest("beside.py", "helper.py", **installed) == plug_in_digest(
        "beside.py", **installed
    )
    absolute = "package/absolute.py"
    assert plug_in_digest(absolute, "package/parts/a.py", **installed) != plug_in_digest(
        absolute, **installed
    )


def test_the_order_of_files_does_not_matter():
    files = [module_file("mia_pruning.seeds"), module_file("mia_pruning.data.pack")]
    assert code_digest(*files) == code_digest(*reversed(files))
    assert code_digest(*files) != code_digest(files[0])


def test_module_files_are_found_without_importing():
    assert module_file("mia_pruning.metrics").name == "__init__.py"
    assert module_file("mia_pruning.metrics.intervals").name == "intervals.py"
    assert module_file("this").name == "this.py"
    assert "this" not in sys.modules


def test_file_digest_is_sha_256(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    assert (
        file_digest(tmp_path / "a")
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    big = bytes(range(256)) * 5000
    (tmp_path / "b").write_bytes(big)
    assert file_digest(tmp_path / "b") == hashlib.sha256(big).hexdigest()


def test_a_fingerprint_depends_on_content_and_not_on_the_order_of_keys():
    assert fingerprint({"a": [1, 2], "b": {"c": 1, "d": 2}}) == fingerprint(
        {"b": {"d": 2, "c": 1}, "a": [1, 2]}
    )
    different = [
        {"a": [1, 2]},
        {"a": [2, 1]},
        {"a": ["1", 2]},
        {"a": [1, 2.5]},
        {"a": None},
        {"b": [1, 2]},
    ]
    assert len(set(map(fingerprint, different))) == len(different)


def test_a_record_holds_rule_parameters_inputs_with_hashes_and_machine(tmp_path):
    (tmp_path / "in").write_bytes(b"abc")
    made = record(
        rule="train",
        inputs=[str(tmp_path / "in"), str(tmp_path)],
        params={"p": 1},
        wildcards={"seed": "0"},
    )
    assert made["inputs"] == {str(tmp_path / "in"): file_digest(tmp_path / "in")}
    assert (made["rule"], made["params"], made["wildcards"]) == ("train", {"p": 1}, {"seed": "0"})
    assert made["packages"]["numpy"]
    assert {"commit", "dirty", "python", "cpu", "cpu_count", "platform", "slurm_job"} <= made.keys()


def test_outside_a_repository_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "LIBRARY", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_state() == {"commit": None, "dirty": None}
