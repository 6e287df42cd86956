"""Markdown, as CommonMark with tables reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markdown_it import MarkdownIt
from markdown_it.token import Token

from adapters.documents.html import html_blocks
from adapters.documents.prose import HARD_BREAK, flowing
from adapters.documents.tables import Table
from core.documents import Block, BlockKind, ExtractedDocument

_FRONT_MATTER = re.compile(
    r"\A(?:---[ \t]*\n(?P<yaml>(?:(?!---|\.\.\.).*\n){0,500}?)(?:---|\.\.\.)[ \t]*(?:\n|\Z)"
    r"|\+\+\+[ \t]*\n(?P<toml>(?:(?!\+\+\+).*\n){0,500}?)\+\+\+[ \t]*(?:\n|\Z))"
)
_METADATA = re.compile(r"\s*(?:#.*|[\w\"'.-]+\s*[:=].*)?\n?\Z", re.MULTILINE)
_TITLE = re.compile(r"^[\"']?title[\"']?[ \t]*[:=][ \t]*(?P<title>.*?)[ \t]*$", re.M | re.I)
_MARKED = re.compile(r"[\\`*_\[\]<&!~]|  \n")
_LINE_BREAK_TAG = re.compile(r"<br\b", re.IGNORECASE)
_LONGEST_INLINE = 32_768
_DEEPEST = 100
"""Nesting of blocks; deeper ones are left out rather than recursed into."""


def read_markdown(text: str) -> ExtractedDocument:
    """Headings, paragraphs, items, code and table rows; the marks of inline text are gone.

    Links keep their text, images their description, code its characters. The title is the front
    matter's, else the first heading's of the first level.
    """
    title, body = _without_front_matter(text)
    references: dict[str, object] = {}
    by_block = _parser()
    by_block.core.ruler.disable(["inline", "text_join"])  # done where a text has marks at all
    reading = _Reading(_Inline(_parser(), references))
    for token in by_block.parse(body, references):
        reading.take(token)
    return ExtractedDocument(title or reading.first_title, tuple(reading.blocks))


def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"maxNesting": _DEEPEST}).enable(["table", "strikethrough"])


def _without_front_matter(text: str) -> tuple[str, str]:
    """The title that the front matter gives, or "", and what follows it."""
    found = _FRONT_MATTER.match(text)
    if not found:
        return "", text
    metadata = found["yaml"] or found["toml"] or ""
    first_line = metadata.lstrip().partition("\n")[0]
    if not _METADATA.match(first_line):
        return "", text
    title = _TITLE.search(metadata)
    return (title["title"].strip("\"'") if title else ""), text[found.end() :]


@dataclass(frozen=True, slots=True)
class _Inline:
    """Reads the text within blocks; `references` are the link targets that the document defines."""

    parser: MarkdownIt
    references: dict[str, object]

    def text(self, source: str) -> str:
        """What a reader sees of `source`."""
        return flowing("".join(self._part(part) for part in _parts(source)))

    def _part(self, source: str) -> str:
        if not _MARKED.search(source):
            return source
        parsed = self.parser.parseInline(source, self.references)
        return "".join(_visible(parsed[0].children or []))


@dataclass(slots=True)
class _Item:
    """An open list item: its mark, until the first text in it has taken it."""

    mark: str


@dataclass(slots=True)
class _Reading:
    """The blocks so far, and what is open around the next token."""

    inline: _Inline
    blocks: list[Block] = field(default_factory=list)
    first_title: str = ""
    _items: list[_Item] = field(default_factory=list)
    _table: Table | None = None
    _heading: int = 0

    def take(self, token: Token) -> None:
        """Read one block token."""
        match token.type:
            case "inline":
                self._take_text(self.inline.text(token.content))
            case "fence" | "code_block":
                self.blocks.append(Block(BlockKind.CODE, token.content))
            case "html_block":
                self.blocks.extend(html_blocks(token.content))
            case "heading_open":
                self._heading = int(token.tag[1:])
            case "heading_close":
                self._heading = 0
            case "list_item_open":
                mark = f"{token.info}{token.markup}" if token.info else "-"
                self._items.append(_Item(mark))
            case "list_item_close":
                self._items.pop()
            case _:
                self._take_table_part(token)

    def _take_table_part(self, token: Token) -> None:
        if token.type == "table_open":
            self._table = Table()
        elif self._table is None:
            return
        elif token.type == "tr_close":
            self.blocks.extend(self._table.end_row())
        elif token.type == "table_close":
            self.blocks.extend(self._table.end())
            self._table = None
        elif token.type == "th_open":
            self._table.is_header = True

    def _take_text(self, text: str) -> None:
        if self._table is not None:
            self._table.cells.append(text.replace("\n", " "))
        elif self._heading:
            if self._heading == 1 and not self.first_title:
                self.first_title = text
            self.blocks.append(Block(BlockKind.HEADING, text, self._heading))
        elif self._items and self._items[-1].mark:
            mark, self._items[-1].mark = self._items[-1].mark, ""
            shown = text if mark == "-" else f"{mark} {text}"
            self.blocks.append(Block(BlockKind.LIST_ITEM, shown, len(self._items)))
        else:
            self.blocks.append(Block(BlockKind.PARAGRAPH, text))


def _parts(source: str) -> Iterator[str]:
    """The text itself, but a very long one in parts, whose marks the parser can pair in time."""
    at = 0
    while len(source) - at > _LONGEST_INLINE:
        newline = source.rfind("\n", at, at + _LONGEST_INLINE)
        cut = newline if newline > at else at + _LONGEST_INLINE
        yield source[at:cut]
        at = cut
    yield source[at:]


def _visible(tokens: Sequence[Token]) -> Iterator[str]:
    """What a reader sees of inline tokens."""
    for token in tokens:
        if token.type == "softbreak":
            yield "\n"
        elif token.type == "hardbreak" or (
            token.type == "html_inline" and _LINE_BREAK_TAG.match(token.content)
        ):
            yield HARD_BREAK
        elif token.type == "image":
            yield "".join(_visible(token.children or []))
        elif token.type != "html_inline":
            yield token.content
