"""Read YAML files and lay one configuration over another. Nothing here knows what a study is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mia_pruning.types import StudyError


class _UniqueKeys(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""


def _construct_mapping(loader: _UniqueKeys, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        line = f"{node.start_mark.name}, line {node.start_mark.line + 1}"
        raise StudyError(line, f"the name {twice!r} stands twice here", "each may stand once")
    values = [loader.construct_object(value, deep=True) for _, value in node.value]
    return dict(zip(keys, values, strict=True))


_UniqueKeys.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        StudyError: The file is missing, is not YAML, is no mapping, or has a key twice.
    """
    try:
        with Path(path).open(encoding="utf-8") as file:
            content = yaml.load(file, _UniqueKeys)
    except FileNotFoundError as error:
        raise StudyError(path, "there is no such file") from error
    except yaml.YAMLError as error:
        raise StudyError(path, f"not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise StudyError(path, f"a study is a mapping of keys, this is {type(content).__name__}")
    return content


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `over` laid on `base`, mapping by mapping.

    >>> merged({"a": {"x": 1, "y": 2}}, {"a": {"y": 3}})
    {'a': {'x': 1, 'y': 3}}
    """
    result = dict(base)
    for key, value in over.items():
        both_mappings = isinstance(value, Mapping) and isinstance(base.get(key), Mapping)
        result[key] = merged(base[key], value) if both_mappings else value
    return result


def overlaid(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return `over` laid on `base`. An entry that uses another plug-in replaces the base.

    >>> overlaid({"use": "a", "x": 1}, {"x": 2}), overlaid({"use": "a", "x": 1}, {"use": "b"})
    ({'use': 'a', 'x': 2}, {'use': 'b'})
    """
    same_plug_in = over.get("use", base.get("use")) == base.get("use")
    return {**base, **over} if same_plug_in else dict(over)


def typed(value: Any) -> Any:
    """Return strings as YAML reads them, at every depth.

    >>> typed({"seeds": ["0", "1"], "study": "a"})
    {'seeds': [0, 1], 'study': 'a'}
    """
    if isinstance(value, Mapping):
        return {key: typed(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [typed(entry) for entry in value]
    return yaml.safe_load(value) if isinstance(value, str) else value
