"""Who may import what from outside, and what the pure core may not touch.

import-linter checks who imports whom among our own packages; it can't say "nothing else".
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

OURS = {"core", "services", "adapters", "evals", "colonnaded", "colonnade"}
MAY_IMPORT = {
    "core": {"pydantic"},
    "services": {"pydantic"},
    "evals": {"pydantic"},
    "clients/python/colonnade/client": {"grpc", "google"},
}
IMPURE = {
    *("asyncio", "logging", "os", "pathlib", "random", "secrets", "shutil", "socket", "sqlite3"),
    *("subprocess", "tempfile", "threading", "time", "urllib.request", "uuid"),
}
CLOCKS = {"now", "utcnow", "today"}


def modules(room: str) -> Iterator[tuple[Path, ast.Module]]:
    folder = ROOT / room
    for file in [*folder.rglob("*.py"), *folder.parent.glob(f"{folder.name}.py")]:
        yield file.relative_to(ROOT), ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_from_outside_only_what_it_may(room: str) -> None:
    known = sys.stdlib_module_names | OURS | MAY_IMPORT[room]
    foreign = [
        f"{file}: {name}"
        for file, tree in modules(room)
        for name in imported(tree)
        if name.partition(".")[0] not in known
    ]
    assert foreign == []


def test_the_core_touches_no_clock_no_chance_and_no_world() -> None:
    found = [
        f"{file}: {name}"
        for file, tree in modules("core")
        for name in imported(tree)
        if name in IMPURE or name.partition(".")[0] in IMPURE
    ]
    assert found == []


def test_the_core_is_told_the_time() -> None:
    found = [
        f"{file}:{node.lineno}: {node.func.attr}()"
        for file, tree in modules("core")
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in CLOCKS
    ]
    assert found == []
