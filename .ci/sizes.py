"""Fail when a file or a function that people read has grown too long."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60
READ_BY_PEOPLE = {"", ".md", ".proto", ".py", ".sh", ".toml", ".yaml", ".yml"}
GENERATED = "clients/python/colonnade/v1/"


def main() -> int:
    """Print what is too long; the result is the exit code."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split("\n")
    files = [Path(name) for name in names if name and not name.startswith(GENERATED)]
    found = [
        line
        for file in files
        if file.is_file() and file.suffix in READ_BY_PEOPLE
        for line in too_long(file)
    ]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


def too_long(file: Path) -> Iterator[str]:
    """What is too long in one file."""
    text = file.read_text(encoding="utf-8")
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield f"{file}: {lines} lines, at most {FILE_LINES}"
    if file.suffix == ".py":
        yield from (f"{file}:{found}" for found in long_functions(ast.parse(text)))


def long_functions(tree: ast.Module) -> Iterator[str]:
    """The functions of a module that are too long, each with its line and length."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES:
                yield f"{node.lineno}: {node.name}: {lines} lines, at most {FUNCTION_LINES}"


if __name__ == "__main__":
    sys.exit(main())
