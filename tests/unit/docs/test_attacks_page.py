"""docs/ATTACKS.md names every attack and every kind of attacker, and none that there is not."""

import re
from pathlib import Path

import yaml

from mia_pruning.registry import catalogue, find, options_of
from mia_pruning.study.schema import SCHEMA

PAGE = (Path(__file__).parents[3] / "docs" / "ATTACKS.md").read_text(encoding="utf-8")


def test_every_attack_has_its_row_and_no_other_has():
    table = PAGE.split("| `use` |")[1].split("\n\n")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(catalogue("attack"))


def test_every_kind_of_attacker_has_its_row():
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    table = PAGE.split("| `attackers:` |")[1].split("\n\n")[0]
    named = re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)
    assert named == schema["$defs"]["attacker"]["enum"]


def test_its_examples_are_accepted_as_they_stand():
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, flags=re.DOTALL):
        for section, entries in yaml.safe_load(block).items():
            for name, entry in entries.items():
                plug_in = find(section.removesuffix("s"), entry["use"], name)
                own = {"use", "targets_per_group"}
                given = {key: value for key, value in entry.items() if key not in own}
                assert options_of(plug_in, given) == given
                assert all(plug_in.options[key].accepts(value) for key, value in given.items())
