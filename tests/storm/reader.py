"""A client without our comfort: stubs alone, and another replica whenever one does not answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import grpc
from google.protobuf.duration_pb2 import Duration

from colonnade.client.connection import channel_options
from colonnade.client.errors import Failure
from colonnade.client.statuses import failure_of
from colonnade.client.stubs import AsyncStubs
from colonnade.v1.chat_pb2 import ChatRequest, ResumeChatRequest
from colonnade.v1.messages_pb2 import Message, Part
from colonnade.v1.turns_pb2 import TurnEvents
from storm.questions import Question
from storm.witness import Reading, Witness

_Call = (
    grpc.aio.UnaryStreamCall[ChatRequest, TurnEvents]
    | grpc.aio.UnaryStreamCall[ResumeChatRequest, TurnEvents]
)

_RERUNS = 6
_COME_BACK = frozenset({"SERVICE_UNAVAILABLE", "BRANCH_BUSY", "TOO_MANY_REQUESTS", "STORAGE_FULL"})


def open_channels(addresses: Sequence[str]) -> list[grpc.aio.Channel]:
    """A channel to each replica, with connections that nobody shares."""
    own = [*channel_options(), ("grpc.use_local_subchannel_pool", 1)]
    return [grpc.aio.insecure_channel(address, options=own) for address in addresses]


@dataclass(frozen=True)
class Wish:
    """How a question is asked."""

    question: Question
    conversation: str = ""
    detach: bool = False
    linger: float = 10.0
    timeout: float = 25.0

    def request(self) -> ChatRequest:
        """The same for each try."""
        request = ChatRequest(
            request_id=self.question.name,
            message=Message(parts=[Part(text=self.question.text)]),
            model="storm",
            conversation=self.conversation,
            detach=self.detach,
        )
        if self.detach:
            request.turn_timeout.CopyFrom(Duration(seconds=int(self.timeout)))
        else:
            request.linger.CopyFrom(Duration(seconds=int(self.linger)))
        return request


class PlainReader:
    """Reads one turn to its end. `enough`: leave once so many events have come.

    A stream that says nothing for `quiet` seconds is given up: its replica may stand still.
    """

    def __init__(
        self,
        replicas: Sequence[AsyncStubs],
        witness: Witness,
        draw: random.Random,
        wish: Wish,
        *,
        patience: float,
        enough: int | None = None,
        quiet: float = 4.0,
    ) -> None:
        self._replicas = replicas
        self._witness = witness
        self._draw = draw
        self._wish = wish
        self._patience = patience
        self._enough = enough
        self._quiet = quiet
        self._reruns = 0
        self.reading = witness.reading(wish.question)
        self.some_came = asyncio.Event()

    async def read(self) -> Reading:
        """Until the turn has ended, or this has seen enough, or patience is at its end."""
        loop = asyncio.get_running_loop()
        until, silent_since = loop.time() + self._patience, None
        try:
            while not self.reading.ended:
                had = self.reading.last
                wait = await self._once()
                now = loop.time()
                if self.reading.last > had or self.reading.ended:
                    silent_since = None
                else:
                    silent_since = silent_since or now
                    self._witness.waited(now - silent_since)
                if now > until and not self.reading.ended:
                    self.reading.ended = "patience ended"
                await asyncio.sleep(wait)
        finally:
            self.some_came.set()
        return self.reading

    async def _once(self) -> float:
        """One call on some replica; how long to wait before the next."""
        chat = self._draw.choice(self._replicas).chat
        reading = self.reading
        call: _Call
        if reading.turn:
            resume = ResumeChatRequest(turn_id=reading.turn, after_sequence=reading.last)
            call = chat.ResumeChat(resume, timeout=self._wish.timeout + 20)
        else:
            call = chat.StreamChat(self._wish.request(), timeout=self._wish.timeout)
        try:
            await self._follow(call)
        except TimeoutError:
            return 0.0
        except grpc.RpcError as error:
            return self._judge(failure_of(error))
        finally:
            call.cancel()
        return 0.0

    async def _follow(self, call: _Call) -> None:
        """Raises TimeoutError where the stream stands still."""
        while True:
            message = await asyncio.wait_for(call.read(), self._quiet)
            if not isinstance(message, TurnEvents):
                break
            self.reading.take(message.events)
            self.some_came.set()
            if self._enough is not None and self.reading.last >= self._enough:
                self.reading.ended = "left"
                return
        if self.reading.finished:
            self.reading.ended = "finished"
        else:
            self.reading.faults.append("the stream ended with OK and without finished")
            self.reading.ended = "truncated"

    def _judge(self, failure: Failure) -> float:
        """What an error means; how long to wait before the next call, if there is one."""
        reading = self.reading
        reading.error = f"{failure.code.name} {failure.reason}".strip()
        self._witness.errors[reading.error] += 1
        if failure.reason in _COME_BACK and failure.retry_after is None:
            reading.faults.append(f"{reading.error} does not say when to come back")
        if "rerunnable" in failure.metadata:  # the turn's own end, not this call's
            self._failed(failure)
            return failure.retry_after or 0.0
        if failure.reason in _COME_BACK or (not failure.reason and _of_connection(failure)):
            return max(failure.retry_after or 0.0, 0.1 + 0.3 * self._draw.random())
        reading.ended = f"unexpected: {reading.error}: {failure.message}"
        return 0.0

    def _failed(self, failure: Failure) -> None:
        """The turn has failed: it may be asked for again where it released nothing."""
        self.reading.ended = "failed"
        again = failure.metadata.get("rerunnable") == "true" and self._reruns < _RERUNS
        if again and self._enough is None:
            self._reruns += 1
            self.reading = self._witness.reading(self._wish.question)


def _of_connection(failure: Failure) -> bool:
    return failure.code in (
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.INTERNAL,
    )
