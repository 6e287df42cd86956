"""Readers of turns, as clients are: they follow, lag, break off, and keep what they were given."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from adapters.grpc.codec import ProtobufCodec
from core.call import Call
from core.errors import ColonnadeError
from core.identifiers import TurnId
from core.turns.events import Started, TurnEvent
from core.turns.transcript import Transcript
from services.turns.reading import Batch, Batches

_codec = ProtobufCodec()


@dataclass
class Read:
    """What one reader was given: whole batches, and how it ended."""

    batches: list[Batch] = field(default_factory=list)
    error: ColonnadeError | None = None
    call: Call | None = None

    @property
    def encoded(self) -> bytes:
        return b"".join(batch.encoded for batch in self.batches)

    @property
    def numbered(self) -> Sequence[tuple[int, TurnEvent]]:
        return _codec.decode(self.encoded)

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.numbered]

    @property
    def events(self) -> list[TurnEvent]:
        return [event for _, event in self.numbered]

    @property
    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]

    @property
    def transcript(self) -> Transcript:
        return Transcript.of(self.events)

    @property
    def text(self) -> str:
        return self.transcript.text

    @property
    def turn(self) -> TurnId:
        if self.call is not None and self.call.facts.turn_id:
            return self.call.facts.turn_id
        return next(event.turn for event in self.events if isinstance(event, Started))


async def read_all(batches: Batches, call: Call | None = None) -> Read:
    """Read to the end, or to the error."""
    read = Read(call=call)
    try:
        async with aclosing(batches):
            async for batch in batches:
                read.batches.append(batch)
    except ColonnadeError as error:
        read.error = error
    return read


@contextmanager
def reading(batches: Batches, call: Call | None = None) -> Iterator[Reader]:
    """A reader that reads in the background while the block runs; then it leaves."""
    reader = Reader(batches, call)
    try:
        yield reader
    finally:
        reader.leave()


class Reader:
    """Reads in a task of its own. `read` grows; `leave` is the connection that breaks."""

    def __init__(self, batches: Batches, call: Call | None = None) -> None:
        self.read = Read(call=call)
        self._more = asyncio.Event()
        self.task = asyncio.create_task(self._follow(batches))

    async def _follow(self, batches: Batches) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    self.read.batches.append(batch)
                    self._more.set()
        except ColonnadeError as error:
            self.read.error = error

    async def until(self, count: int) -> Read:
        """Wait until so many events have come."""
        while len(self.read.numbers) < count:
            assert not self.task.done(), f"ended with {self.read.kinds} and {self.read.error}"
            self._more.clear()
            more = asyncio.ensure_future(self._more.wait())
            await asyncio.wait({more, self.task}, return_when=asyncio.FIRST_COMPLETED)
            more.cancel()
        return self.read

    async def end(self) -> Read:
        """Wait until the turn has ended."""
        await self.task
        return self.read

    def leave(self) -> None:
        """The connection breaks."""
        self.task.cancel()
