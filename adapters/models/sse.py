"""Server-sent events as an incremental parser: bytes in, events out, no I/O.

The format is that of the WHATWG HTML standard, section 9.2.6, without `id` and `retry`, which
mean nothing to a stream that is never reconnected.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.generation import ModelError, ModelErrorKind

LONGEST_EVENT = 8 * 1024 * 1024
"""Bytes of one event. A server that sends more without an event's end is not believed."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_LINE_END = re.compile(rb"\r\n|\n|\r")


@dataclass(frozen=True, slots=True)
class SseEvent:
    """One event: its `data` lines joined by newlines, and its type ("" is the usual one)."""

    data: bytes
    type: str = ""


class SseParser:
    """Feed it what arrives, split anywhere; it gives each event as soon as it is complete.

    An event that the end of the stream cuts off is never given. Characters are not decoded here,
    so that a split inside one does no harm.
    """

    def __init__(self) -> None:
        self._line = bytearray()  # what has come of the line that is not complete
        self._started = False
        self._after_return = False
        self._data: list[bytes] = []
        self._size = 0
        self._type = ""

    def feed(self, received: bytes) -> list[SseEvent]:
        """The events that these bytes complete. Raises ModelError (MALFORMED_STREAM)."""
        if self._is_between_events() and (plain := _plain(received)) is not None:
            self._started = True
            return plain
        events: list[SseEvent] = []
        for line in self._complete_lines(received):
            event = self._read_line(line)
            if event is not None:
                events.append(event)
        if len(self._line) + self._size > LONGEST_EVENT:
            raise ModelError(
                ModelErrorKind.MALFORMED_STREAM, "the provider sent an event without an end"
            )
        return events

    def _is_between_events(self) -> bool:
        return not (self._line or self._data or self._type or self._after_return)

    def _complete_lines(self, received: bytes) -> list[bytes]:
        """Lines end with CR, LF or both; a CR ends its line at once, an LF may follow later."""
        if self._after_return:
            self._after_return = not received
            received = received.removeprefix(b"\n")
        if not _LINE_END.search(received):
            self._line += received
            return []
        self._after_return = received.endswith(b"\r")
        lines = _LINE_END.split(bytes(self._line) + received)
        self._line = bytearray(lines.pop())
        if not self._started:
            self._started = True
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        return lines

    def _read_line(self, line: bytes) -> SseEvent | None:
        """Takes one line in; the empty one ends an event and gives it."""
        if not line:
            return self._take_event()
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
            self._size += len(value) + 1
        elif name == b"event":
            self._type = value.decode(errors="replace")
        return None  # a comment has an empty name; other fields are ignored

    def _take_event(self) -> SseEvent | None:
        event = SseEvent(b"\n".join(self._data), self._type) if self._data else None
        self._data = []
        self._size = 0
        self._type = ""
        return event


def _plain(received: bytes) -> list[SseEvent] | None:
    """Whole events of one line of data each, which is what nearly all that comes is."""
    if not received.endswith(b"\n\n") or b"\r" in received:
        return None
    events = received[:-2].split(b"\n\n")
    if any(not event.startswith(b"data: ") or b"\n" in event for event in events):
        return None
    return [SseEvent(event[6:]) for event in events]
