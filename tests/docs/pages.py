"""The pages of the documentation, as the tests read them."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
EVERY = [ROOT / "README.md", *PAGES]

CODE = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def name_of(page: Path) -> str:
    """The page's path in the repository."""
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page: Path) -> str:
    """All that the page says."""
    return page.read_text(encoding="utf-8")


def prose_of(page: Path) -> str:
    """What it says outside of its fenced blocks."""
    return _FENCE.sub("", text_of(page))


def blocks(page: Path, language: str) -> list[str]:
    """Its fenced blocks of one language."""
    return [body for found, body in _FENCE.findall(text_of(page)) if found == language]


def first_cells(text: str) -> list[str]:
    """The code in the first cell of each row of the tables in a text."""
    rows = re.findall(r"^\| (`[^|]*`) \|", text, re.MULTILINE)
    return [code for row in rows for code in CODE.findall(row)]
