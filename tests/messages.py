"""Print every message with which the tests were refused something, by the line that raises it.

The tests collect them (`tests/conftest.py`). Lines that no test raises come last.
"""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARY = ROOT / "workflow" / "lib"
COLLECTED = ROOT / ".pytest_cache" / "messages"
ERRORS = ("StudyError", "ConfigurationError")
#: Messages of one line that are printed.
MOST_SHOWN = 3


def collected() -> dict[str, list[str]]:
    """Messages by place, `file:line`."""
    found: dict[str, dict[str, None]] = {}
    for file in sorted(COLLECTED.glob("*.json")):
        for place, message in json.loads(file.read_text(encoding="utf-8")):
            found.setdefault(place, {})[message] = None
    return {place: list(messages) for place, messages in found.items()}


def places() -> Iterator[str]:
    """Every line of the library that makes such an error."""
    for file in sorted(LIBRARY.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ERRORS:
                yield f"{file.relative_to(ROOT)}:{node.lineno}"


def main() -> int:
    messages = collected()
    if not messages:
        print("no messages were collected: run `make test` first", file=sys.stderr)
        return 1
    every = list(places())
    for place in every:
        if place in messages:
            shown = sorted(messages[place], key=len)[:MOST_SHOWN]
            print(place, *(f"    {message}" for message in shown), "", sep="\n")
    silent = [place for place in every if place not in messages]
    print(
        f"{len(every)} lines, of which the last tests raised {len(every) - len(silent)}. Not raised:"
    )
    print(*(f"    {place}" for place in silent), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
