"""Source files of modules, found without importing the modules.

The modules of this library are first-party, and so are those next to a user's plug-in.
"""

import ast
import importlib.util
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

LIBRARY = Path(__file__).parent
PACKAGE = LIBRARY.name
#: These folders hold installed packages. Of these, a plug-in's own package alone is first-party.
INSTALLED = ("site-packages", "dist-packages")


def module_file(module: str) -> Path:
    """Return the source file of a module that can be imported from anywhere."""
    if module.split(".")[0] == PACKAGE:
        base = LIBRARY.joinpath(*module.split(".")[1:])
        return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return Path(importlib.util.find_spec(module).origin)


def source_file(module: str, importer: Path, level: int = 0) -> Path | None:
    """Return the file of a first-party module for the file that imports it; else None.

    level: number of dots before the module's name in a relative import.
    """
    folders = [importer.parents[level - 1]] if level else _search_path(importer, module)
    path = module.replace(".", "/")
    names = (f"{path}/__init__.py", f"{path}.py") if module else ("__init__.py",)
    candidates = (folder / name for folder in folders for name in names)
    return next(filter(Path.is_file, candidates), None)


def imported_files(tree: ast.AST, path: Path) -> set[Path]:
    """Return the first-party files that a file imports, and those of packages that this runs."""
    named = {found for node in ast.walk(tree) for found in _imported_names(node)}
    files = {source_file(module, path, level) for module, level in named}
    return {file for file in files if file is not None}


def _search_path(importer: Path, module: str) -> Iterator[Path]:
    """Yield the folders that may hold a first-party module.

    They are the library's, and those of Python's path above the importer.
    """
    top = module.split(".")[0]
    if top == PACKAGE:
        yield LIBRARY.parent
    elif not importer.is_relative_to(LIBRARY):
        for folder in filter(importer.is_relative_to, _python_path(*sys.path)):
            if folder.name not in INSTALLED or importer.relative_to(folder).parts[0] == top:
                yield folder


@cache
def _python_path(*entries: str) -> list[Path]:
    return [Path(entry).resolve() for entry in entries]


def _imported_names(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the modules that an import may name, and the level of the import.

    Each module comes with its parents.
    """
    if isinstance(node, ast.Import):
        names, level = [alias.name for alias in node.names], 0
    elif isinstance(node, ast.ImportFrom):
        base, level = node.module or "", node.level
        names = [base, *(f"{base}.{alias.name}".removeprefix(".") for alias in node.names)]
    else:
        return
    for name in names:
        parts = name.split(".")
        yield from ((".".join(parts[:n]), level) for n in range(1, len(parts) + 1))
