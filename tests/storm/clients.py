"""The clients of a storm: each does one errand after another until it is told to stop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence
from contextlib import suppress

import grpc

from colonnade.client import AsyncClient, ColonnadeError
from colonnade.client.connection import channel_options
from colonnade.client.statuses import failure_of
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.chat_pb2 import CancelChatRequest
from colonnade.v1.conversations_pb2 import CreateConversationRequest
from colonnade.v1.turns_pb2 import Turn
from storm.options import StormOptions
from storm.questions import Question
from storm.reader import PlainReader, Wish, open_channels
from storm.witness import Cancelled, Reading, Witness

_CALL_S = 3.0


class StormClient:
    """One caller. Every choice is drawn from a seed of its own."""

    def __init__(
        self, number: int, addresses: Sequence[str], witness: Witness, options: StormOptions
    ) -> None:
        self._number = number
        self._witness = witness
        self._options = options
        self._draw = random.Random(options.seed * 1000 + number)
        self._channels = open_channels(addresses)
        self._replicas = [AsyncStubs.of(channel) for channel in self._channels]
        own = [*channel_options(), ("grpc.use_local_subchannel_pool", 1)]
        everywhere = grpc.aio.insecure_channel(f"ipv4:{','.join(addresses)}", options=own)
        self._client = AsyncClient(channel=everywhere)
        self._asked = 0

    async def run(self, stop: asyncio.Event) -> None:
        """Errands until `stop`; the one that is under way is finished."""
        errands = (
            self._read_plainly, self._read_with_client, self._read_twice, self._cancel,
            self._leave, self._detach, self._converse,
        )  # fmt: skip
        try:
            while not stop.is_set():
                errand = self._draw.choices(errands, [8, 6, 3, 3, 1, 2, 2])[0]
                await errand()
                self._witness.errands += 1
        finally:
            await self._client.close()
            for channel in self._channels:
                await channel.close()

    def _wish(self, **how: object) -> Wish:
        self._asked += 1
        question = Question.drawn(f"q{self._number}-{self._asked}", self._draw)
        timeout = 6.0 if question.then == "hangs" else 25.0
        return Wish(question, **{"timeout": timeout, **how})  # type: ignore[arg-type]

    def _reader(self, wish: Wish, enough: int | None = None) -> PlainReader:
        patience = self._options.patience
        draw = random.Random(self._draw.random())
        return PlainReader(
            self._replicas, self._witness, draw, wish, patience=patience, enough=enough
        )

    async def _read_plainly(self) -> None:
        await self._reader(self._wish()).read()

    async def _read_with_client(self) -> None:
        await self._with_client(self._wish())

    async def _read_twice(self) -> None:
        """The same request, sent twice at once, mostly to two replicas."""
        wish = self._wish()
        await asyncio.gather(self._reader(wish).read(), self._reader(wish).read())

    async def _cancel(self) -> None:
        """Ask, cancel on some replica after a while, and read to the end what became of it."""
        wish = self._wish(detach=self._draw.random() < 0.3)
        reader = self._reader(wish)
        reading = asyncio.create_task(reader.read())
        await reader.some_came.wait()
        await asyncio.sleep(self._draw.random())
        until = time.monotonic() + self._options.patience
        while time.monotonic() < until:
            request = CancelChatRequest(request_id=wish.question.name)
            try:
                turn: Turn = await self._any().chat.CancelChat(request, timeout=_CALL_S)
            except grpc.RpcError as error:
                if failure_of(error).reason == "NOT_FOUND":
                    break  # it was never admitted
                await asyncio.sleep(0.2)
            else:
                self._witness.cancels.append(Cancelled(wish.question, time.time(), turn))
                break
        await reading

    async def _leave(self) -> None:
        """Read a few events and go for good: the turn is to end by itself."""
        await self._reader(self._wish(linger=0.0), self._draw.randrange(1, 4)).read()

    async def _detach(self) -> None:
        """Leave a detached turn, and read the whole of it later from its beginning."""
        wish = self._wish(detach=True)
        await self._reader(wish, enough=2).read()
        await asyncio.sleep(self._draw.random())
        await self._reader(wish).read()

    async def _converse(self) -> None:
        """Two questions in one conversation, one after the other."""
        name = ""
        while not name:
            with suppress(grpc.RpcError):
                request = CreateConversationRequest()
                made = await self._any().conversations.CreateConversation(request, timeout=_CALL_S)
                name = made.name
        for _ in range(2):
            wish = self._wish(conversation=name)
            if self._draw.random() < 0.5:
                await self._reader(wish).read()
            else:
                await self._with_client(wish)

    async def _with_client(self, wish: Wish) -> None:
        """As the Python client reads: it resumes by itself; what it gives up is read plainly."""
        reading = self._witness.reading(wish.question)
        try:
            async with self._client.stream(
                wish.question.text,
                request_id=wish.question.name,
                model="storm",
                conversation=wish.conversation,
                timeout=wish.timeout,
            ) as stream:
                async for event in stream:
                    reading.take([event])
            reading.ended = "finished"
        except ColonnadeError as error:
            _note_end(reading, error)
            self._witness.errors[f"client: {reading.error}"] += 1
            if reading.ended != "failed":
                reading.ended = "left"
                await self._reader(wish).read()

    def _any(self) -> AsyncStubs:
        return self._draw.choice(self._replicas)


def _note_end(reading: Reading, error: ColonnadeError) -> None:
    reading.error = f"{error.code.name} {error.reason}".strip()
    of_turn = ("MODELS_UNAVAILABLE", "TURN_INTERRUPTED", "TURN_ABANDONED", "DEADLINE_EXCEEDED")
    reading.ended = "failed" if error.reason in of_turn else ""
