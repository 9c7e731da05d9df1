"""`make plug-ins` prints what can be named in a study."""

import pytest

from mia_pruning import plug_ins
from mia_pruning.registry import PACKAGES, catalogue


def printed(monkeypatch, capsys, *arguments):
    monkeypatch.setattr("sys.argv", ["plug-ins", *arguments])
    plug_ins.main()
    return capsys.readouterr().out


def test_every_plug_in_is_printed_with_every_option(monkeypatch, capsys):
    for kind in PACKAGES:
        blocks = printed(monkeypatch, capsys, kind).rstrip().split("\n\n")[1:]
        options = {
            block.split()[0]: [line.split(":")[0].strip() for line in block.splitlines()[1:]]
            for block in blocks
        }
        assert options == {name: list(plug_in.options) for name, plug_in in catalogue(kind).items()}


def test_a_range_a_default_and_traits_are_printed(monkeypatch, capsys):
    text = printed(monkeypatch, capsys, "attack")
    assert "  trait by_example: compares the target with shadow models on the same example" in text
    assert (
        "  rmia_offline (title='RMIA, offline', by_example=True, population=True)\n    gamma: float > 0 (default 1.0)\n"
        in text
    )


def test_an_unknown_kind_is_refused(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        printed(monkeypatch, capsys, "atack")
    assert "'atack'; allowed are dataset, model" in capsys.readouterr().err
