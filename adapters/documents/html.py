"""HTML, as the tree that a browser would build from it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from selectolax.lexbor import LexborHTMLParser, LexborNode

from adapters.documents.prose import HARD_BREAK, flowing
from adapters.documents.tables import Table
from core.documents import Block, BlockKind, ExtractedDocument

_NOT_TEXT = ", ".join(
    (
        *("head", "script", "style", "noscript", "template", "nav", "svg", "math", "iframe"),
        *("object", "embed", "canvas", "audio", "video", "select", "button", "textarea", "dialog"),
        *("[hidden]", "[aria-hidden=true]", "[role=navigation]", "[role=search]"),
    )
)
_INLINE = frozenset(
    "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark meter output "
    "q rp rt ruby s samp small span strike strong sub sup time tt u var wbr input br img".split()
)
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_LISTS = frozenset({"ul", "ol", "menu"})


def read_html(text: str) -> ExtractedDocument:
    """The page's text without navigation, scripts and what is hidden; of its `main` if it has one.

    The title is the page's own, else its first heading's of the first level.
    """
    tree = LexborHTMLParser(text)
    title = tree.css_first("head > title")
    mains = tree.css("main, [role=main]")
    root = mains[0] if len(mains) == 1 else tree.body
    blocks = _blocks(tree, root)
    return ExtractedDocument(
        flowing(title.text()) if title else _first_title(blocks), tuple(blocks)
    )


def html_blocks(fragment: str) -> list[Block]:
    """The blocks of a piece of HTML within another document."""
    tree = LexborHTMLParser(fragment)
    return _blocks(tree, tree.body)


def _first_title(blocks: list[Block]) -> str:
    titles = (b.text for b in blocks if b.kind is BlockKind.HEADING and b.level == 1)
    return next(titles, "")


def _blocks(tree: LexborHTMLParser, root: LexborNode | None) -> list[Block]:
    if root is None:
        return []
    reading = _Reading(skipped={node.mem_id for node in tree.css(_NOT_TEXT)})
    reading.walk(root)
    reading.flush()
    return reading.blocks


@dataclass(slots=True)
class _List:
    """An open list: the number of its next item, or None if it has bullets."""

    number: int | None


@dataclass(slots=True)
class _Cell:
    """An open table cell: the blocks in it become its text."""

    parts: list[str] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """The blocks so far, and what is open around the node that is read."""

    skipped: set[int]
    blocks: list[Block] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _heading: int = 0
    _preformatted: int = 0
    _lists: list[_List] = field(default_factory=list)
    _mark: str = ""
    _tables: list[Table] = field(default_factory=list)
    _cells: list[_Cell] = field(default_factory=list)

    def walk(self, root: LexborNode) -> None:
        """Every node in reading order, without recursion: pages nest as deep as they like."""
        node: LexborNode | None = root
        while node is not None:
            child = node.child if self._enters(node) else None
            node = child if child is not None else self._next(node, root.mem_id)

    def _next(self, node: LexborNode, root: int) -> LexborNode | None:
        """Leave `node`, and all that end with it; where reading goes on.

        Nodes are told apart by `mem_id`: comparing them would compare all their HTML.
        """
        at: LexborNode | None = node
        while at is not None and at.mem_id != root:
            self._leave(at)
            if at.next is not None:
                return at.next
            at = at.parent
        return None

    def _enters(self, node: LexborNode) -> bool:
        if node.is_text_node:
            self._text.append(node.text_content or "")
            return False
        if not node.is_element_node or node.mem_id in self.skipped:
            return False
        tag = node.tag or ""
        if tag == "br":
            self._text.append("\n" if self._preformatted else HARD_BREAK)
        elif tag == "img":
            self._text.append(node.attributes.get("alt") or "")
        elif tag not in _INLINE:
            self.flush()
            self._open(tag, node)
        return True

    def _open(self, tag: str, node: LexborNode) -> None:
        if tag in _HEADINGS:
            self._heading = _HEADINGS[tag]
        elif tag == "pre":
            self._preformatted += 1
        elif tag in _LISTS:
            self._lists.append(_List(_first_number(node) if tag == "ol" else None))
        elif tag == "li":
            self._mark = self._next_mark()
        elif tag == "table":
            self._tables.append(Table())
        elif tag in {"td", "th"} and self._tables:
            self._cells.append(_Cell())

    def _leave(self, node: LexborNode) -> None:
        tag = node.tag or ""
        if not node.is_element_node or tag in _INLINE or node.mem_id in self.skipped:
            return
        self.flush()
        if tag in _HEADINGS:
            self._heading = 0
        elif tag == "pre":
            self._preformatted -= 1
        elif tag in _LISTS:
            self._lists.pop()
        elif tag == "li":
            self._mark = ""
        elif self._tables:
            self._leave_table_part(tag)

    def _leave_table_part(self, tag: str) -> None:
        table = self._tables[-1]
        if tag in {"td", "th"}:
            table.cells.append(" ".join(self._cells.pop().parts))
            table.is_header = tag == "th" and (table.is_header or len(table.cells) == 1)
        elif tag == "tr":
            self._emit(table.end_row())
        elif tag == "table":
            self._emit(table.end())
            self._tables.pop()

    def _next_mark(self) -> str:
        if not self._lists or self._lists[-1].number is None:
            return "-"
        number = self._lists[-1].number
        self._lists[-1].number = number + 1
        return f"{number}."

    def flush(self) -> None:
        """End the block that the text since the last one makes, if it makes any."""
        if not self._text:
            return
        raw = "".join(self._text)
        self._text.clear()
        if self._preformatted and not self._cells:
            if raw.strip():
                self.blocks.append(Block(BlockKind.CODE, raw))
        elif text := flowing(raw):
            self._emit(iter((self._block(text),)))

    def _block(self, text: str) -> Block:
        if self._heading:
            return Block(BlockKind.HEADING, text, self._heading)
        if self._mark:
            mark, self._mark = self._mark, ""
            shown = text if mark == "-" else f"{mark} {text}"
            return Block(BlockKind.LIST_ITEM, shown, max(len(self._lists), 1))
        return Block(BlockKind.PARAGRAPH, text)

    def _emit(self, blocks: Iterator[Block]) -> None:
        """Into the open cell, if there is one, else into the document."""
        if self._cells:
            self._cells[-1].parts.extend(block.text.replace("\n", " ") for block in blocks)
        else:
            self.blocks.extend(blocks)


def _first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or ""
    return int(start) if start.isdecimal() and len(start) < 10 else 1
