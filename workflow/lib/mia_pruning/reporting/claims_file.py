"""The file of claims, checked before the first job.

Its keys are checked by workflow/claims.schema.yaml, its names by what there is.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

from mia_pruning.metrics.names import ESTIMATED_METRICS, METRICS, PRIVACY_METRICS
from mia_pruning.metrics.stand_ins import MATCHED
from mia_pruning.options import suggest
from mia_pruning.registry import catalogue
from mia_pruning.study.reading import read_yaml
from mia_pruning.study.schema import TYPES
from mia_pruning.types import ConfigurationError, StudyError

CLAIMS_SCHEMA = Path(__file__).parents[3] / "claims.schema.yaml"


def read_claims(path: str | Path) -> dict[str, Any]:
    """Return the claims of a file.

    Raises:
        StudyError: lists everything that is wrong with them, each with its place and what is
            allowed.
    """
    claims = read_yaml(path)
    problems = list(_schema_problems(claims)) or list(_name_problems(claims))
    if problems:
        raise ConfigurationError(problems, path)
    return claims


def _schema_problems(claims: Mapping[str, Any]) -> Iterator[StudyError]:
    schema = yaml.safe_load(CLAIMS_SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=TYPES)(
        schema
    )
    for error in validator.iter_errors(claims):
        yield from _explain(error, claims)


def _explain(error: jsonschema.ValidationError, claims: Mapping[str, Any]) -> Iterator[StudyError]:
    """Yield one error per problem: place, value, what is allowed."""
    place = _place(error.absolute_path, claims)
    if error.validator == "required":
        missing = [key for key in error.validator_value if key not in error.instance]
        allowed = f"allowed is {error.schema['allowed']}"
        yield from (StudyError(place, f"{key} is missing", allowed) for key in missing)
    elif error.validator == "additionalProperties":
        known = error.schema["properties"]
        for key in error.instance:
            if key not in known:
                yield StudyError(place, f"unknown key {key}", suggest(str(key), known))
    else:
        allowed = f"allowed is {error.schema['allowed']}"
        yield StudyError(f"{place} = {error.instance!r}", allowed=allowed)


def _place(path: Iterable[str | int], claims: Mapping[str, Any]) -> str:
    """Return the place of a problem in words: claims by their ids, conditions counted from 1.

    >>> _place(["claims", 0, "conditions", 1, "metric"], {"claims": [{"id": "C7"}]})
    'claim C7, condition 2, metric'
    """
    section, *below = [*path] or ["the file"]
    if section != "claims" or not below:
        return ", ".join(map(str, [section, *below]))
    number, *keys = below
    claim = claims["claims"][number]
    words = [f"claim {claim.get('id', number + 1) if isinstance(claim, Mapping) else number + 1}"]
    if keys[:1] == ["conditions"] and len(keys) > 1:
        words.append(f"condition {keys[1] + 1}")
        keys = keys[2:]
    return ", ".join([*words, *map(str, keys)])


def _name_problems(claims: Mapping[str, Any]) -> Iterator[StudyError]:
    """Yield an error for each name that is nowhere in the project, whatever the study."""
    for kind, section in (("model", "models"), ("dataset", "datasets")):
        yield from _unknown(claims["paper"][section], catalogue(kind), f"paper, {section}")
    counts = Counter(claim["id"] for claim in claims["claims"])
    for claim in claims["claims"]:
        place = f"claim {claim['id']}"
        if counts[claim["id"]] > 1:
            yield StudyError(place, "the id is used twice", "each claim needs its own")
        yield from _unknown([claim["shown_in"]], catalogue("figure"), f"{place}, shown_in")
        for number, condition in enumerate(claim["conditions"], 1):
            yield from _condition_problems(
                condition, claim["defences"], f"{place}, condition {number}"
            )


def _condition_problems(
    condition: Mapping[str, Any], defences: list[str], place: str
) -> Iterator[StudyError]:
    minus = condition.get("minus")
    yield from _unknown([condition["metric"]], _measured(minus), f"{place}, metric")
    if minus in defences:
        where = f"{place}, minus = {minus!r}"
        yield StudyError(where, "a defence of the claim itself", "allowed is another defence")


def _measured(minus: str | None) -> tuple[str, ...]:
    """Return the metrics that a condition may have, by what is subtracted."""
    if minus is None:
        return METRICS
    return PRIVACY_METRICS if minus == MATCHED else ESTIMATED_METRICS


def _unknown(names: Iterable[str], known: Iterable[str], place: str) -> Iterator[StudyError]:
    """Yield an error for each name that is not among the known ones."""
    for name in names:
        if name not in known:
            yield StudyError(f"{place} = {name!r}", "there is no such name", suggest(name, known))
