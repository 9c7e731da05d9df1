"""Check a configuration against workflow/config.schema.yaml, and fill in its defaults."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mia_pruning.options import suggest
from mia_pruning.types import StudyError

SCHEMA = Path(__file__).parents[3] / "config.schema.yaml"
NAME = "a letter, then letters, digits and _ in lower case"


def _is_integer(checker: Any, value: Any) -> bool:
    """Return whether a value is a whole number. 4.0 and True are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(checker: Any, value: Any) -> bool:
    """Return whether a value is a finite number."""
    is_one = isinstance(value, int | float) and not isinstance(value, bool)
    return is_one and math.isfinite(value)


TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
    {"integer": _is_integer, "number": _is_number}
)


def _with_defaults(validator: type) -> type:
    """Return a JSON-schema validator that writes defaults into what it checks."""
    check_properties = validator.VALIDATORS["properties"]

    def properties(checker, schemas, instance, schema):
        if isinstance(instance, dict):
            for key, subschema in schemas.items():
                if "default" in subschema:
                    instance.setdefault(key, json.loads(json.dumps(subschema["default"])))
        yield from check_properties(checker, schemas, instance, schema)

    rules = {"properties": properties}
    return jsonschema.validators.extend(validator, rules, type_checker=TYPES)


def schema_problems(
    settings: dict[str, Any], part: str | None = None, above: str | None = None
) -> list[StudyError]:
    """Return what the schema has against settings, which get their defaults on the way.

    part: name of the definition in the schema to check against; None is the schema itself.
    above: key under which the settings stand.
    """
    schema = yaml.safe_load(SCHEMA.read_text(encoding="utf-8"))
    if part is not None:
        schema = {"$defs": schema["$defs"], "$ref": f"#/$defs/{part}"}
    validator = _with_defaults(jsonschema.Draft202012Validator)(schema)
    problems: list[StudyError] = []
    for error in validator.iter_errors(settings):
        problems += _explain(error, above)
    return problems


def _explain(error: jsonschema.ValidationError, above: str | None = None) -> Iterator[StudyError]:
    """Yield one error per problem: key, value, what is allowed."""
    where = ".".join([*filter(None, [above]), *map(str, error.absolute_path)])
    prefix = f"{where}." if where else ""
    if error.validator == "additionalProperties":
        allowed = error.schema["properties"]
        for unknown in (key for key in error.instance if key not in allowed):
            yield StudyError(f"{prefix}{unknown}", "unknown key", suggest(unknown, allowed))
    elif error.validator == "required":
        missing = (key for key in error.validator_value if key not in error.instance)
        yield from (StudyError(f"{prefix}{key}", "missing") for key in missing)
    elif "propertyNames" in error.absolute_schema_path:
        rule = error.schema.get("allowed", NAME)
        yield StudyError(f"{prefix}{error.instance!r}", allowed=f"a name is {rule}")
    else:
        yield StudyError(f"{where} = {error.instance!r}", allowed=_rule(error))


def _rule(error: jsonschema.ValidationError) -> str:
    """Return what is allowed in place of a value."""
    given = error.validator_value
    match error.validator:
        case "pattern":
            stated = error.schema.get("allowed")
            return f"allowed are {stated}" if stated else f"a name is {NAME}"
        case "anyOf":
            return f"allowed is {error.schema['allowed']}"
        case "type":
            return f"allowed is {given}"
        case "enum":
            return f"allowed is one of {', '.join(map(str, given))}"
        case "const":
            return f"allowed is {given}: {error.schema['description']}"
        case "minimum":
            return f"allowed is >= {given}"
        case "exclusiveMinimum":
            return f"allowed is > {given}"
    return error.message
