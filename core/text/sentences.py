"""Sentences with their exact places, in English, Chinese and Markdown, whole or as they stream.

A rule-based scanner: each possible end is decided from the sentence before it and a fixed window
after it (`WINDOW`), so that a stream decides as soon as the window is there, and as the whole
text would.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import Enum

from core.text.abbreviations import ends_in_abbreviation

WINDOW = 10
"""Characters after a possible end that decide whether it is one."""
WRAP_COLUMN = 45
"""A line shorter than this that ends without a full stop was not wrapped: it stands for itself."""


class SentenceKind(Enum):
    """Where the sentence stands; headings and code are not prose to quote."""

    PROSE = "prose"
    HEADING = "heading"
    LIST_ITEM = "list_item"
    CODE = "code"
    TABLE_ROW = "table_row"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence and its character offsets: `text` is exactly `source[start:end]`.

    White space around it and the marks of lists and headings before it are outside.
    """

    text: str
    start: int
    end: int
    kind: SentenceKind = SentenceKind.PROSE


@dataclass(frozen=True, slots=True)
class SentenceStream:
    """What is not yet a sentence: the text after the last one, and where it stands.

    `offset` is the pending text's place in the whole, `column` its place in its line, `search`
    where in it to look on, `fenced` whether it is inside a code block.
    """

    pending: str = ""
    offset: int = 0
    column: int = 0
    search: int = 0
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing read off the front: up to `end`, with a sentence in it or none."""

    end: int
    sentence: Sentence | None = None
    fenced: bool = False


@dataclass(frozen=True, slots=True)
class _Undecided:
    """More text is needed; look on at `search`."""

    search: int


_BLANK = re.compile(r"\s*")
_FENCE = re.compile(r"(?:```|~~~)")
_MARK = re.compile(r"(?:[-*+•][ \t]|\d{1,3}[.)][ \t]|>[ \t]?)[ \t]*")
_HEADING = re.compile(r"#{1,6}[ \t]+")
_STRUCTURE = re.compile(r"```|~~~|#{1,6}[ \t]|[-*+•][ \t]|\d{1,3}[.)][ \t]|>|\|")
_CANDIDATE = re.compile(r"[.!?…]+|[。！？；]+|\n")
_CLOSERS = re.compile(r"(?:[\"'”’»)\]*_`」』）】》]|\[[^\[\]\n]{1,16}\])*")
_OPEN_BRACKET = re.compile(r"\[[^\[\]\n]{0,16}\Z")
_WORD = re.compile(r"\w")
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]")


def sentences(text: str) -> tuple[Sentence, ...]:
    """The sentences of `text`, in order, never overlapping."""
    state, first = feed_sentences(SentenceStream(), text)
    return first + finish_sentences(state)


def feed_sentences(state: SentenceStream, text: str) -> tuple[SentenceStream, tuple[Sentence, ...]]:
    """Take in more text; the sentences that it completes.

    However a text is split over calls, all the sentences together are those of the whole.
    """
    return _drain(replace(state, pending=state.pending + text), final=False)


def finish_sentences(state: SentenceStream) -> tuple[Sentence, ...]:
    """The sentences that the end of the text completes."""
    return _drain(state, final=True)[1]


def _drain(state: SentenceStream, *, final: bool) -> tuple[SentenceStream, tuple[Sentence, ...]]:
    """Read sentences off the front until one is undecided.

    The pending text is cut once at the end, so that a long one costs no copy a sentence.
    """
    found: list[Sentence] = []
    text, at, column, fenced, search = state.pending, 0, state.column, state.fenced, state.search
    while True:
        step = _step(text, at, column, fenced, max(search, at), final)
        if isinstance(step, _Undecided):
            rest = SentenceStream(
                text[at:], state.offset + at, column, max(step.search - at, 0), fenced
            )
            return rest, tuple(found)
        if step.sentence is not None and _WORD.search(step.sentence.text):
            shift = state.offset
            found.append(
                replace(
                    step.sentence,
                    start=step.sentence.start + shift,
                    end=step.sentence.end + shift,
                )
            )
        newline = text.rfind("\n", at, step.end)
        column = step.end - newline - 1 if newline >= 0 else column + step.end - at
        at, fenced, search = step.end, step.fenced, 0


def _step(
    text: str, at: int, column: int, fenced: bool, search: int, final: bool
) -> _Step | _Undecided:
    start = _skip_blank(text, at)
    if start == len(text):
        return _Undecided(at)
    if column > 0 and "\n" not in text[at:start]:
        return _prose(text, start, at - column, search, SentenceKind.PROSE, final)
    if not _seen(text, start, final):
        return _Undecided(at)
    if _FENCE.match(text, start):
        return _line(text, start, final, None, not fenced)
    if fenced:
        return _line(text, start, final, SentenceKind.CODE, fenced)
    return _structured(text, start, search, final)


def _structured(text: str, start: int, search: int, final: bool) -> _Step | _Undecided:
    """A sentence at the start of a line: a heading, a table row, a list item or plain prose."""
    if heading := _HEADING.match(text, start):
        return _line(text, heading.end(), final, SentenceKind.HEADING, False)
    if text[start] == "|":
        return _line(text, start, final, SentenceKind.TABLE_ROW, False)
    if mark := _MARK.match(text, start):
        inside = mark.end()
        if inside == len(text) and not final:
            return _Undecided(start)
        return _prose(text, inside, start, search, SentenceKind.LIST_ITEM, final)
    return _prose(text, start, start, search, SentenceKind.PROSE, final)


def _line(
    text: str, start: int, final: bool, kind: SentenceKind | None, fenced: bool
) -> _Step | _Undecided:
    """All up to the end of the line; a sentence unless `kind` is None."""
    newline = text.find("\n", start)
    if newline < 0 and not final:
        return _Undecided(start)
    end = newline if newline >= 0 else len(text)
    if kind is None:
        return _Step(end, None, fenced)
    return _Step(end, _sentence(text, start, end, kind), fenced)


def _prose(
    text: str, start: int, line: int, search: int, kind: SentenceKind, final: bool
) -> _Step | _Undecided:
    """The sentence from `start` on; its line began at `line`, maybe before this text."""
    for candidate in _CANDIDATE.finditer(text, max(search, start)):
        verdict = _ends(text, start, line, candidate, final)
        if verdict is None:
            return _Undecided(candidate.start())
        if verdict >= 0:
            return _Step(verdict, _sentence(text, start, verdict, kind))
    if not final:
        return _Undecided(len(text))
    return _Step(len(text), _sentence(text, start, len(text), kind))


def _ends(text: str, start: int, line: int, candidate: re.Match[str], final: bool) -> int | None:
    """Where the sentence ends if it ends at this candidate, -1 if it goes on, None if unknown."""
    if candidate.group() == "\n":
        return _ends_at_newline(text, start, line, candidate.start(), final)
    closers = _CLOSERS.match(text, candidate.end())
    end = closers.end() if closers else candidate.end()
    if not final and (end == len(text) or _OPEN_BRACKET.match(text, end)):
        return None
    if candidate.group()[0] in "。！？；" or end == len(text):
        return end
    if not text[end].isspace():
        shouted = candidate.group()[-1] in "!?" and _CJK.match(text, end)
        return end if shouted else -1
    return _ends_before_blank(text, start, candidate, end, final)


def _ends_before_blank(
    text: str, start: int, candidate: re.Match[str], end: int, final: bool
) -> int | None:
    following = _skip_blank(text, end)
    if following == len(text):
        return end if final else None
    if not _seen(text, following, final):
        return None
    if "\n" in text[end:following]:
        return end if not ends_in_abbreviation(text[start:end], "") else -1
    return end if _starts_anew(text, start, candidate, following) else -1


def _starts_anew(text: str, start: int, candidate: re.Match[str], following: int) -> bool:
    """Whether what follows a full stop and a space is a new sentence."""
    window = text[following : following + WINDOW]
    if window[0].islower():
        return False
    if candidate.group() != ".":
        return True
    return not ends_in_abbreviation(text[start : candidate.end()], window)


def _ends_at_newline(text: str, start: int, line: int, newline: int, final: bool) -> int | None:
    following = _skip_blank(text, newline)
    if following == len(text):
        return newline if final else None
    if not _seen(text, following, final):
        return None
    if text.count("\n", newline, following) > 1:
        return newline
    if _STRUCTURE.match(text[following : following + WINDOW]):
        return newline
    last_break = text.rfind("\n", start, newline)
    before = start - line if last_break < 0 else 0
    wrapped = text[max(last_break + 1, start) : newline].rstrip()
    if wrapped.endswith((":", "：", "。", "！", "？")):
        return newline
    return -1 if before + _columns(wrapped) >= WRAP_COLUMN else newline


def _columns(text: str) -> int:
    return len(text) + len(_CJK.findall(text))


def _sentence(text: str, start: int, end: int, kind: SentenceKind) -> Sentence:
    trimmed = text[start:end].rstrip()
    return Sentence(trimmed, start, start + len(trimmed), kind)


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return match.end() if match else at


def _seen(text: str, at: int, final: bool) -> bool:
    """Whether the window from `at` on is all there."""
    return final or len(text) - at >= WINDOW
