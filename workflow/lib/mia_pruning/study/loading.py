"""Load a study from its configuration, and hold it unchanged while a run lasts."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mia_pruning.study.completion import complete
from mia_pruning.study.networks import check_networks
from mia_pruning.study.reading import merged, read_yaml, typed
from mia_pruning.study.study import Study
from mia_pruning.types import StudyError

ROOT = Path(__file__).parents[4]
#: Environment variable with the identity of the study that the run began with. Jobs inherit it,
#: on other nodes too.
HELD = "MIA_PRUNING_STUDY"


def load_study(
    config: Mapping[str, Any],
    files: list[Path],
    results: Path,
    overrides: Mapping[str, Any] | None = None,
    default: Path = ROOT / "config.yaml",
) -> Study:
    """Return the checked study of a Snakemake configuration.

    A configuration that names a study is complete in itself. Any other is laid over the study in
    the file `default`.

    files: YAML files that Snakemake read `config` from. They are read again, because a key that
    stands twice is lost on the way.
    results: folder of all studies.
    overrides: entries of Snakemake's --config. `config` has them too, but with every nested
    number as a string.

    Raises:
        StudyError: The configuration cannot work. The message lists all that is wrong with it.
    """
    overrides = overrides or {}
    is_named = "study" in config and "study" not in overrides
    contents = [read_yaml(path) for path in files]
    is_complete = is_named or any("study" in content for content in contents)
    given = merged(config, typed(overrides))
    study = Study(complete(given if is_complete else merged(read_yaml(default), given)))
    check_networks(study, results / "data" / "approved")
    return study


def read_study(file: Path, results: Path = Path("results")) -> Study:
    """Return the checked study of one file."""
    return load_study(read_yaml(file), files=[file], results=results)


def hold(study: Study, begins: bool) -> None:
    """Refuse a study that was changed after its run began.

    Each job reads the study again where it runs. A change would mix two results.

    begins: whether this process begins the run, and is no job of it.
    """
    if begins:
        os.environ[HELD] = study.identity
    elif os.environ.get(HELD, study.identity) != study.identity:
        raise StudyError(
            f"the configuration of study {study.name!r} was changed after this run began, so "
            "this job would make another study's result",
            "put it back, or end the run (Ctrl-C) and start it again",
        )
