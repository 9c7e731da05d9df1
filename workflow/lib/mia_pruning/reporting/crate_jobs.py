"""The single jobs in a study's crate: files with digests, scripts, steps, and an action a job.

A step is a rule of the workflow, its tool the rule's script. Rules that ran no job have no step.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rocrate.model.contextentity import ContextEntity
from rocrate.rocrate import ROCrate

from mia_pruning.provenance import file_digest

COMPLETED = "http://schema.org/CompletedActionStatus"
BYTES = "application/octet-stream"
FORMATS = {
    ".html": "text/html",
    ".csv": "text/csv",
    ".json": "application/json",
    ".md": "text/markdown",
    ".pdf": "application/pdf",
    ".py": "text/x-python",
    ".svg": "image/svg+xml",
    ".tex": "application/x-tex",
    ".yaml": "application/yaml",
}


class Files:
    """A crate's entities of the files that jobs read or made, by the paths that records have."""

    def __init__(self, crate: ROCrate, folder: Path, records: Iterable[Mapping[str, Any]]) -> None:
        self.crate, self.folder, self.entities = crate, folder, {}
        self.digests = {
            path: digest
            for record in records
            for path, digest in (record["inputs"] | made_by(record)).items()
        }

    def __getitem__(self, path: str | Path) -> Any:
        path = str(path)
        if path not in self.entities:
            self.entities[path] = self.add(path) if self._is_here(path) else self._elsewhere(path)
        return self.entities[path]

    def add(self, path: str, **properties: Any) -> Any:
        """Add a file of the study, with more properties than it has by itself."""
        beneath = str(Path(path).relative_to(self.folder))
        return self.crate.add_file(
            path, dest_path=beneath, properties={**self.known(path), **properties}
        )

    def known(self, path: str) -> dict[str, str]:
        """Return name, format, size and digest of a file of the study."""
        digest = self.digests.get(path) or file_digest(path)
        kind, size = FORMATS.get(Path(path).suffix, BYTES), str(Path(path).stat().st_size)
        return {
            "name": Path(path).name,
            "encodingFormat": kind,
            "contentSize": size,
            "sha256": digest,
        }

    def _is_here(self, path: str) -> bool:
        return Path(path).is_relative_to(self.folder) and Path(path).is_file()

    def _elsewhere(self, path: str) -> ContextEntity:
        """Add a file that lies outside of the study's folder, or is gone."""
        properties = {"@type": "CreativeWork", "name": path, "description": "Not in this crate."}
        if path in self.digests:
            properties["sha256"] = self.digests[path]
        return self.crate.add(
            ContextEntity(self.crate, f"#file-{quote(path)}", properties=properties)
        )


def compact(values: Sequence[Any]) -> Any:
    """Return several values as a list, a single one by itself, as RO-Crate asks.

    >>> compact(["a", "b"]), compact(["a"])
    (['a', 'b'], 'a')
    """
    return values[0] if len(values) == 1 else list(values)


def made_by(record: Mapping[str, Any]) -> dict[str, str]:
    """Return the outputs of a job with their digests.

    An early version of this project did not record them.
    """
    return record.get("outputs", {})


def add_steps(
    crate: ROCrate,
    workflow: Any,
    code: Path,
    scripts: Mapping[str, str],
    records: Sequence[Mapping[str, Any]],
    files: Files,
) -> dict[str, Any]:
    """Add the workflow's steps and return each rule's script as an entity.

    The order is that in which rules first ran.

    code: the copy of the workflow's code; scripts: the file below it that a rule runs.
    """
    rules = dict.fromkeys(record["rule"] for record in sorted(records, key=begin))
    version = {"version": workflow["version"]} if workflow.get("version") else {}
    tools = {
        name: _tool(files, code / name, version)
        for name in dict.fromkeys(scripts[rule] for rule in rules)
    }
    workflow["hasPart"] = compact([*tools.values()])
    steps = [
        _step(crate, workflow, position, rule, tools[scripts[rule]])
        for position, rule in enumerate(rules, 1)
    ]
    workflow["step"] = compact(steps)
    return {rule: tools[scripts[rule]] for rule in rules}


def begin(record: Mapping[str, Any]) -> str:
    """Return when a job began; a record of an early version of this project says nothing of it."""
    return record.get("started", "")


def _tool(files: Files, path: Path, version: Mapping[str, Any]) -> Any:
    about = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[
        0
    ]
    return files.add(
        str(path), **{"@type": ["File", "SoftwareSourceCode"], "description": about}, **version
    )


def _step(crate: ROCrate, workflow: Any, position: int, rule: str, tool: Any) -> ContextEntity:
    properties = {"@type": "HowToStep", "name": rule, "position": position}
    step = crate.add(ContextEntity(crate, f"{workflow.id}#{rule}", properties=properties))
    step["workExample"] = tool
    return step


def add_job(crate: ROCrate, record: Mapping[str, Any], tool: Any, files: Files) -> Any:
    """Add the action of one job; its record says more, beside its log."""
    times = (
        {"startTime": record["started"], "endTime": record["ended"]} if "ended" in record else {}
    )
    return crate.add_action(
        tool,
        f"#job-{quote(record['log'].removesuffix('.log'))}",
        object=compact([files[path] for path in sorted(record["inputs"])]),
        result=compact([files[path] for path in sorted(made_by(record))]),
        properties={
            "name": " ".join([record["rule"], *record["wildcards"].values()]),
            "description": f"On {record['cpu']}. Log: {record['log']}",
            "actionStatus": COMPLETED,
            **times,
        },
    )
