"""A document's blocks as one text, in which chunks have their places.

The text is plain Markdown: headings keep their `#`, list items their marks, code its fences and
table rows their bars, so that whoever reads a piece of it still sees what it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from core.chunking.policy import ChunkPolicy
from core.documents import Block, BlockKind

Measure = Callable[[str], int]
"""Tokens of a text: 0 for the empty one, no more for a part than for the whole."""

HeadingPath = tuple[str, ...]

_DEEPEST_HEADING = 6
_LONGEST_HEADING_IN_PATH = 160
_NUMBERED = re.compile(r"\d{1,3}[.)]\s")
_FENCE = "```"
_TIGHT = frozenset({BlockKind.LIST_ITEM, BlockKind.TABLE_ROW})


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of the text that begins and ends with something visible."""

    start: int
    end: int
    kind: BlockKind
    path: HeadingPath
    tokens: int


def lay_out(
    blocks: Iterable[Block], policy: ChunkPolicy, measure: Measure
) -> tuple[str, list[Piece]]:
    """The text of all blocks, and each block's place in it.

    Code that does not fit into one chunk is cut between lines into several fenced pieces.
    """
    written: list[str] = []
    pieces: list[Piece] = []
    length = 0
    for block, path in _with_headings(blocks):
        for text in _renderings(block, policy, measure):
            gap = _gap(pieces[-1].kind, block) if pieces else ""
            start = length + len(gap)
            length = start + len(text)
            written += (gap, text)
            pieces.append(Piece(start, length, block.kind, path, measure(text)))
    return "".join(written), pieces


def _with_headings(blocks: Iterable[Block]) -> Iterator[tuple[Block, HeadingPath]]:
    """Each block with the headings that it stands under; a heading stands under itself."""
    path: list[tuple[int, str]] = []
    titles: HeadingPath = ()
    for block in blocks:
        if block.kind is BlockKind.HEADING:
            level = _heading_level(block)
            path = [entry for entry in path if entry[0] < level]
            path.append((level, " ".join(block.text.split())[:_LONGEST_HEADING_IN_PATH]))
            titles = tuple(title for _, title in path if title)
        yield block, titles


def _heading_level(block: Block) -> int:
    return min(max(block.level, 1), _DEEPEST_HEADING)


def _renderings(block: Block, policy: ChunkPolicy, measure: Measure) -> Iterator[str]:
    """What stands in the text for a block: nothing for a blank one, several for long code."""
    if not block.text.strip():
        return
    if block.kind is BlockKind.CODE:
        yield from _fenced(block.text, policy, measure)
    elif block.kind is BlockKind.HEADING:
        yield "#" * _heading_level(block) + " " + " ".join(block.text.split())
    elif block.kind is BlockKind.TABLE_ROW:
        yield "| " + " ".join(block.text.split()) + " |"
    elif block.kind is BlockKind.LIST_ITEM:
        text = block.text.strip()
        yield text if _NUMBERED.match(text) else "- " + text
    else:
        yield block.text.strip()


def _fenced(code: str, policy: ChunkPolicy, measure: Measure) -> Iterator[str]:
    whole = _in_fences(code.strip("\n").rstrip())
    if measure(whole) <= policy.max_tokens:
        yield whole
        return
    room = policy.target_tokens - measure(_in_fences(""))
    group: list[str] = []
    size = 0
    for line in whole.split("\n")[1:-1]:
        tokens = measure(line)
        if group and size + tokens > room:
            yield from _unless_blank(group)
            group, size = [], 0
        group.append(line)
        size += tokens
    yield from _unless_blank(group)


def _unless_blank(lines: list[str]) -> Iterator[str]:
    code = "\n".join(lines).strip("\n")
    if code.strip():
        yield _in_fences(code)


def _in_fences(code: str) -> str:
    return f"{_FENCE}\n{code}\n{_FENCE}"


def _gap(before: BlockKind, block: Block) -> str:
    if before is block.kind and block.kind in _TIGHT:
        nested = block.level - 1 if block.kind is BlockKind.LIST_ITEM else 0
        return "\n" + "  " * min(max(nested, 0), _DEEPEST_HEADING)
    return "\n\n"
