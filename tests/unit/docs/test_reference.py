"""docs/CONFIGURATION.md has every key of the schema, docs/PLUG_INS.md every plug-in."""

import json
import re
from dataclasses import fields

import pytest
import yaml

from mia_pruning.findings import ROOT
from mia_pruning.reference import BOUNDS, configuration, keys_of
from mia_pruning.registry import PACKAGES, catalogue
from mia_pruning.study.schema import SCHEMA
from mia_pruning.traits import traits_of

TEXT = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
NUMBER = {"type": "number", "description": "A number."}
MAPPING = {"type": "object", "description": "A mapping."}
PLUG_INS = (ROOT / "docs" / "PLUG_INS.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def keys():
    return {key.path: key for section in configuration().values() for key in section}


def described(node):
    """Yield each property of a schema by name, those of conditions excepted."""
    if isinstance(node, dict):
        yield from node.get("properties", {}).items()
        for name, below in node.items():
            if name not in ("if", "then", "else"):
                yield from described(below)


def test_every_key_of_the_schema_has_a_description():
    assert [name for name, entry in described(TEXT) if not entry.get("description")] == []


def test_a_description_is_a_sentence_that_ends(keys):
    wrong = [key.path for key in keys.values() if not re.fullmatch(r"[A-Z].*\.", key.about)]
    assert wrong == []


def test_every_key_of_the_schema_is_on_the_page_and_no_other_is(keys):
    assert {path.split(".")[-1] for path in keys} == {name for name, _ in described(TEXT)}


def test_types_ranges_and_defaults_are_those_of_the_schema(keys):
    seeds, rate = keys["seeds"], keys["experiments.<name>.training.learning_rate"]
    assert seeds.takes == "list of whole number >= 0, not empty, each once"
    assert seeds.default == "[0]"
    assert (rate.takes, rate.default) == ("number > 0", "0.001")
    assert keys["experiments.<name>.dataset"].default == "required"
    assert keys["attacks.<name>.defences"].default == "none"


def test_a_schema_has_no_limit_that_the_page_does_not_show():
    limits = set(re.findall(r'"(\w*(?:[mM]ax|[mM]in|multiple)\w*)": \d', json.dumps(TEXT)))
    assert limits <= {*BOUNDS, "minItems", "minProperties"}


def test_keys_below_names_and_references_are_found():
    schema = {
        "$defs": {"part": {"properties": {"x": {**NUMBER, "maximum": 2}}}},
        "properties": {"a": {**MAPPING, "additionalProperties": {"$ref": "#/$defs/part"}}},
    }
    found = [(key.path, key.takes) for key in keys_of(schema)]
    assert found == [("a", "mapping"), ("a.<name>.x", "number <= 2")]


def test_a_key_without_description_is_an_error():
    with pytest.raises(KeyError, match="description"):
        list(keys_of({"properties": {"a": {"type": "string"}}}))


@pytest.mark.parametrize("kind", PACKAGES)
def test_every_plug_in_is_on_the_page_with_every_option_and_every_trait(kind):
    section = PLUG_INS.split(f"\n## {kind.capitalize()}s\n")[1].split("\n## ")[0]
    table = section.split(f"\n| {kind} |")[1]
    rows = [re.split(r"(?<!\\)\| ", line[2:-2]) for line in table.splitlines()[2:] if line]
    found, options = {}, []
    for row in rows:
        name, option = row[0].strip("` "), row[-3].strip("` ")
        options = found.setdefault(name, []) if name else options
        options += [option] * bool(option)
    assert found == {name: list(plug_in.options) for name, plug_in in catalogue(kind).items()}
    assert all(f"\n| `{trait.name}` |" in section for trait in fields(traits_of(kind)))
