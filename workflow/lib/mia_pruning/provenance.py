"""Origin of a result: a digest of the code, hashes of the inputs, the machine and the commit.

The code digest enters every rule's parameters, so that Snakemake reruns exactly the jobs whose
code changed. It covers the syntax trees of a file and of all first-party modules that it imports,
without docstrings: a changed comment reruns nothing.
"""

import ast
import hashlib
import json
import os
import platform
import subprocess
from collections.abc import Iterable
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mia_pruning.modules import LIBRARY, imported_files

VERSIONED = (
    "torch",
    "torchvision",
    "opacus",
    "numpy",
    "scipy",
    "pandas",
    "pillow",
    "snakemake",
    "matplotlib",
)


def code_digest(*files: str | Path) -> str:
    """Return a short digest of these source files and the first-party modules behind them.

    The modules are all that a file imports, directly or not.
    """
    pending = [Path(file).resolve() for file in files]
    seen: set[Path] = set()
    while pending:
        path = pending.pop()
        if path not in seen:
            seen.add(path)
            pending.extend(_parsed(path, path.stat().st_mtime_ns)[1])
    digests = sorted(_parsed(path, path.stat().st_mtime_ns)[0] for path in seen)
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]


@cache
def _parsed(path: Path, modified: int) -> tuple[str, tuple[Path, ...]]:
    """Return the digest of one file without docstrings, and the first-party files that it imports.

    modified: only keys the cache.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imports = imported_files(tree, path)
    for node in ast.walk(tree):
        if isinstance(
            node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) and ast.get_docstring(node):
            node.body = node.body[1:]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest(), tuple(sorted(imports))


def file_digest(path: str | Path, algorithm: str = "sha256") -> str:
    """Return the SHA-256, or another digest, of a file in hex."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()


def file_digests(paths: Iterable[str]) -> dict[str, str]:
    """Return the SHA-256 of each of these paths that is a file."""
    return {path: file_digest(path) for path in paths if Path(path).is_file()}


def fingerprint(content: Any) -> str:
    """Return a short digest of JSON-like content.

    >>> fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    True
    """
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[
        :16
    ]


def record(
    *, rule: str, inputs: list[str], params: dict[str, Any], wildcards: dict[str, str]
) -> dict[str, Any]:
    """Return everything that a reader needs to trace one result.

    These are rule, wildcards, parameters, inputs with hashes, code and machine.
    """
    return {
        "rule": rule,
        "wildcards": wildcards,
        "params": params,
        "inputs": file_digests(inputs),
        **environment(),
    }


@cache
def environment() -> dict[str, Any]:
    """Return commit, versions and machine of this process."""
    return {
        **git_state(),
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in VERSIONED},
        "cpu": cpu_model(),
        "cpu_count": os.cpu_count(),
        "platform": platform.platform(),
        "node": os.environ.get("SLURMD_NODENAME") or platform.node(),
        "slurm_job": os.environ.get("SLURM_JOB_ID"),
    }


def git_state() -> dict[str, Any]:
    """Return the commit of this checkout and whether tracked files differ from it.

    Both are None outside a repository.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if commit is None else bool(changes)}


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(LIBRARY), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
