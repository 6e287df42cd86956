"""One answer as it arrives: bytes of a response in, events out, within its deadlines."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import aiohttp

from adapters.models.openai_chunks import AnswerReader, joined
from adapters.models.openai_sse import SseParser
from adapters.models.time_limits import Patience, TimeLimits
from core.generation import ModelError, ModelEvent
from core.identifiers import Seconds

GOODBYE = Seconds(0.2)
"""How long a stream that is done is given to end, so that its connection can be used again."""

_END = b"[DONE]"


class StreamedAnswer:
    """Reads a response's body to the end of its answer."""

    def __init__(self, body: aiohttp.StreamReader, patience: Patience, limits: TimeLimits) -> None:
        self._body = body
        self._patience = patience
        self._limits = limits
        self._parser = SseParser()
        self._reader = AnswerReader()
        self._done = False
        self._failure: ModelError | None = None

    async def next(self) -> list[ModelEvent]:
        """The events that come next, at least one; none after ModelFinished.

        Raises ModelError for a stream that is broken or late, once all that came before has been
        given, and aiohttp.ClientError for a connection that is cut.
        """
        events: list[ModelEvent] = []
        while not events and not self._done:
            if self._failure is not None:
                raise self._failure
            received = await self._patience.wait(self._body.readany())
            events = joined(self._take(received))
        return events

    async def leave(self) -> None:
        """Reads what little follows the end of a whole answer; a broken one is left as it is."""
        if self._done:
            with suppress(TimeoutError, aiohttp.ClientError):
                async with asyncio.timeout(GOODBYE):
                    while not self._body.at_eof():
                        await self._body.readany()

    def _take(self, received: bytes) -> list[ModelEvent]:
        """What these bytes add; none of them are the end of the body."""
        pieces: list[ModelEvent] = []
        ended = not received
        try:
            for event in self._parser.feed(received):
                if event.data.strip() == _END:
                    ended = True
                    break
                pieces += self._reader.read(event.data, is_error=event.type == "error")
            if pieces:
                self._patience.allow(self._limits.between_tokens, "the next token")
            if ended:
                pieces.append(self._reader.finish())
                self._done = True
        except ModelError as error:
            self._failure = error
        return pieces
