"""Citation markers taken out of streamed text: `[1]`, `[2][3]`, `[1, 2]`, `[2-4]`, `【1】`.

A marker is one to three digits in brackets, outside code and not a link (`[1](…)`). Its brackets
and the blanks before it leave the text, so that `long [1].` reads `long.`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_NUMBERS = r"[ \t]?\d{1,3}(?:[ \t]?[,，、;；–-][ \t]?\d{1,3}){0,15}[ \t]?"
_TOKEN = re.compile(
    rf"(?P<marker>[ \t]*(?:\[{_NUMBERS}\]|【{_NUMBERS}】)(?!\())"
    r"|(?P<ticks>`+)|(?P<newline>\n)|(?P<blank>[ \t]+)|(?P<text>[^\[【`\n \t]+|[\[【])"
)
_MAYBE_MARKER = re.compile(r"[ \t]*(?:[\[【][\d \t,，、;；–-]{0,100}[\]】]?)?\Z|`+\Z")
_LINE_OPENING = re.compile(r"[ \t]*(?:[-*+•>]|\d{1,3}[.)]|#{1,6})?[ \t]*")
_PAIR = re.compile(r"(\d+)(?:[ \t]*[–-][ \t]*(\d+))?")
_MAX_RANGE = 20
_FENCE = 3
"""Backticks that open a block of code."""


@dataclass(frozen=True, slots=True)
class Marker:
    """A marker's citation numbers and its place: a character offset into the clean text.

    `leads` when it opens a line, so that it belongs to what follows it there.
    """

    at: int
    numbers: tuple[int, ...]
    leads: bool = False


@dataclass(frozen=True, slots=True)
class MarkerStream:
    """Where the reading stands. `held` may yet become a marker; `length` counts clean text.

    `eaten` are the blanks before the last marker, given back if a word follows it at once;
    `swallow` drops the blanks after a marker that leads its line.
    """

    held: str = ""
    length: int = 0
    line: str = ""
    eaten: str = ""
    swallow: bool = False
    fenced: bool = False
    inline_code: bool = False


@dataclass(frozen=True, slots=True)
class Parsed:
    """Clean text and the markers that stood in it."""

    text: str = ""
    markers: tuple[Marker, ...] = ()


def strip_markers(text: str) -> str:
    """The text without its markers."""
    return parse_markers(text).text


def parse_markers(text: str) -> Parsed:
    """A whole text's clean form and its markers."""
    state, first = feed_markers(MarkerStream(), text)
    last = finish_markers(state)
    return Parsed(first.text + last.text, first.markers + last.markers)


def feed_markers(state: MarkerStream, text: str) -> tuple[MarkerStream, Parsed]:
    """Take in more text. What may still become a marker is held back, at most a few characters."""
    return _read(state, state.held + text, final=False)


def finish_markers(state: MarkerStream) -> Parsed:
    """What was held back."""
    return _read(state, state.held, final=True)[1]


def _read(state: MarkerStream, buffer: str, *, final: bool) -> tuple[MarkerStream, Parsed]:
    clean: list[str] = []
    markers: list[Marker] = []
    at = 0
    while at < len(buffer):
        if not final and _MAYBE_MARKER.match(buffer, at):
            break
        token = _TOKEN.match(buffer, at)
        if token is None:
            raise AssertionError("the alternatives cover every character")
        at = token.end()
        state, text, marker = _take(state, token)
        if text:
            clean.append(text)
            state = replace(state, length=state.length + len(text), line=_line(state.line, text))
        if marker is not None:
            markers.append(marker)
    return replace(state, held=buffer[at:]), Parsed("".join(clean), tuple(markers))


def _take(state: MarkerStream, token: re.Match[str]) -> tuple[MarkerStream, str, Marker | None]:
    """One token's effect: the state after it, the text that stays, the marker that it was."""
    text = token.group()
    if token.lastgroup == "marker" and not (state.fenced or state.inline_code):
        return _take_marker(state, text)
    if token.lastgroup == "newline":
        return replace(state, inline_code=False, swallow=False, eaten=""), text, None
    if token.lastgroup == "blank":
        kept = "" if state.swallow else text
        return replace(state, eaten=""), kept, None
    if token.lastgroup == "ticks":
        state = _toggle_code(state, text)
    restored = state.eaten if text[0].isalnum() else ""
    return replace(state, eaten="", swallow=False), restored + text, None


def _take_marker(state: MarkerStream, text: str) -> tuple[MarkerStream, str, Marker]:
    blanks = text[: len(text) - len(text.lstrip(" \t"))]
    leads = _LINE_OPENING.fullmatch(state.line) is not None
    kept = blanks if leads and not state.swallow else ""
    marker = Marker(state.length + len(kept), _numbers(text), leads)
    if leads:
        return replace(state, swallow=True), kept, marker
    return replace(state, eaten=state.eaten or blanks), "", marker


def _numbers(text: str) -> tuple[int, ...]:
    found: list[int] = []
    for first, last in _PAIR.findall(text):
        low, high = int(first), int(last or first)
        span = range(low, high + 1) if low <= high <= low + _MAX_RANGE else (low, high)
        found.extend(number for number in span if number not in found)
    return tuple(found)


def _toggle_code(state: MarkerStream, ticks: str) -> MarkerStream:
    opens_line = not state.line.strip()
    if len(ticks) >= _FENCE and opens_line:
        return replace(state, fenced=not state.fenced, inline_code=False)
    if state.fenced:
        return state
    return replace(state, inline_code=not state.inline_code)


def _line(line: str, text: str) -> str:
    """The beginning of the current line, as much as is needed to know whether it has begun."""
    _, newline, rest = text.rpartition("\n")
    return rest[:16] if newline else (line + text)[:16]
