"""One answer as it arrives: bytes of a response in, events out, within its deadlines."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Protocol

import aiohttp

from adapters.models.sse import SseParser
from adapters.models.time_limits import Patience, TimeLimits
from adapters.models.wire import AnswerReader, joined
from core.generation import AnswerOrigin, ModelError, ModelEvent
from core.identifiers import Seconds

GOODBYE = Seconds(0.2)
"""How long a stream that is done is given to end, so that its connection can be used again."""

LONGEST_WHOLE = 16 * 1024 * 1024
"""Bytes of an answer that comes whole; what is beyond is not read, and then it is malformed."""

_NOBODY = AnswerOrigin()


class ArrivingAnswer(Protocol):
    """An answer that somebody waits for."""

    async def next(self) -> list[ModelEvent]:
        """The events that come next, at least one; none after ModelFinished.

        Raises ModelError for an answer that is broken or late, once all that came before has
        been given, and aiohttp.ClientError for a connection that is cut.
        """

    async def leave(self) -> None:
        """Reads what little follows the end of a whole answer; a broken one is left as it is."""


class StreamedAnswer:
    """Reads a body of server-sent events to the end of its answer."""

    def __init__(
        self,
        body: aiohttp.StreamReader,
        reader: AnswerReader,
        patience: Patience,
        limits: TimeLimits,
    ) -> None:
        self._body = body
        self._patience = patience
        self._limits = limits
        self._parser = SseParser()
        self._reader = reader
        self._introduced = False
        self._done = False
        self._failure: ModelError | None = None

    async def next(self) -> list[ModelEvent]:
        """See ArrivingAnswer."""
        events: list[ModelEvent] = []
        while not events and not self._done:
            if self._failure is not None:
                raise self._failure
            received = await self._patience.read(self._body)
            events = joined(self._take(received))
        if events and not self._introduced:
            self._introduced = True
            events = introduced(self._reader, events)
        return events

    async def leave(self) -> None:
        """See ArrivingAnswer."""
        if self._done and not self._body.at_eof():
            with suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(GOODBYE):
                    while not self._body.at_eof():
                        await self._body.readany()

    def _take(self, received: bytes) -> list[ModelEvent]:
        """What these bytes add; none of them are the end of the body."""
        pieces: list[ModelEvent] = []
        reader = self._reader
        try:
            for event in self._parser.feed(received):
                pieces += reader.read(event.data, event.type)
                if reader.ended:
                    break
            if pieces:
                self._patience.allow(self._limits.between_tokens, "the next token")
            if reader.ended or not received:
                pieces.append(reader.finish())
                self._done = True
        except ModelError as error:
            self._failure = error
        return pieces


class WholeAnswer:
    """Reads a body that is one JSON value: some servers can't stream, or won't."""

    def __init__(
        self, body: aiohttp.StreamReader, reader: AnswerReader, patience: Patience
    ) -> None:
        self._body = body
        self._reader = reader
        self._patience = patience
        self._done = False

    async def next(self) -> list[ModelEvent]:
        """See ArrivingAnswer."""
        if self._done:
            return []
        whole = await self._patience.wait(read_at_most(self._body, LONGEST_WHOLE))
        events = joined(self._reader.read_whole(whole))
        events.append(self._reader.finish())
        self._done = True
        return introduced(self._reader, events)

    async def leave(self) -> None:
        """See ArrivingAnswer."""


def introduced(reader: AnswerReader, events: list[ModelEvent]) -> list[ModelEvent]:
    """The first events of an answer, after who gives it where that is known."""
    return [reader.origin, *events] if reader.origin != _NOBODY else events


async def read_at_most(body: aiohttp.StreamReader, longest: int) -> bytes:
    """The body, or its first bytes where there are more."""
    whole = bytearray()
    while len(whole) < longest and (received := await body.readany()):
        whole += received
    return bytes(whole[:longest])
