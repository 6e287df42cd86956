"""The blocking client on a fake channel with a fake clock: the test plays the server."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from threading import Event, Thread
from typing import Any, TypeVar

import grpc
import grpc_testing  # type: ignore[import-untyped]  # it has no stubs
from google.protobuf.descriptor import MethodDescriptor

from adapters.grpc.errors import status_of
from colonnade.client import Client, RetryPolicy, Timing
from colonnade.v1.chat_pb2 import (
    DESCRIPTOR,
    CancelChatRequest,
    ChatRequest,
    ResumeChatRequest,
)
from colonnade.v1.turns_pb2 import Turn, TurnEvent
from core.identifiers import CallId

Result = TypeVar("Result")
METHODS = DESCRIPTOR.services_by_name["ChatService"].methods_by_name


PATIENCE = 20.0
"""Seconds after which a call that never comes fails the test."""


def in_thread(work: Callable[[], Result]) -> Future[Result]:
    """Run it in a thread that doesn't keep the process alive if it hangs."""
    future: Future[Result] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001  # Ctrl-C too belongs to the caller
            future.set_exception(error)

    Thread(target=run, daemon=True).start()
    return future


class Sent:
    """A `TurnEvents` that tells when it has been taken.

    The fake channel loses messages that are still waiting when a call ends with an error.
    """

    def __init__(self, events: tuple[TurnEvent, ...]) -> None:
        self.taken = Event()
        self._events = events

    @property
    def events(self) -> tuple[TurnEvent, ...]:
        self.taken.set()
        return self._events


class Stream:
    """One call of the client, from the server's side."""

    def __init__(self, rpc: grpc_testing.UnaryStreamChannelRpc) -> None:
        self._rpc = rpc

    def send(self, *events: TurnEvent) -> None:
        """One message; returns once the client has it."""
        message = Sent(events)
        self._rpc.send_response(message)
        assert message.taken.wait(PATIENCE), "the client never took it"

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK) -> None:
        """End it with a status that comes from the connection."""
        self._rpc.terminate((), code, "the connection broke")

    def fail(self, error: Exception) -> None:
        """End it with an error of the server."""
        status = status_of(error, CallId("call-7"))
        self._rpc.terminate(status.details, status.code, status.message)

    def was_cancelled(self) -> None:
        """Return once the client has given the call up."""
        self._rpc.cancelled()


class FakeServer:
    """Takes the client's calls one by one, on a clock that only sleeping moves."""

    def __init__(self) -> None:
        self.time = grpc_testing.strict_fake_time(0.0)
        self.slept: list[float] = []
        self._channel = grpc_testing.channel((), self.time)
        self.client = Client(
            "fake",
            "ck_key",
            channel=self._channel,
            policy=RetryPolicy(),
            timing=Timing(clock=self.time.time, sleep=self._sleep, draw=lambda: 0.5),
        )

    def run(self, work: Callable[[Client], Result]) -> Future[Result]:
        """Let the client work, in a thread of its own."""
        return in_thread(lambda: work(self.client))

    def asked(self) -> tuple[ChatRequest, Stream]:
        """The next StreamChat."""
        request: tuple[ChatRequest, Stream] = self._stream("StreamChat")
        return request

    def resumed(self) -> tuple[ResumeChatRequest, Stream]:
        """The next ResumeChat."""
        request: tuple[ResumeChatRequest, Stream] = self._stream("ResumeChat")
        return request

    def cancels(self, code: grpc.StatusCode = grpc.StatusCode.OK) -> CancelChatRequest:
        """Answer the next CancelChat, and return what it asked."""
        taken = in_thread(lambda: self._channel.take_unary_unary(METHODS["CancelChat"]))
        _, request, rpc = taken.result(PATIENCE)
        rpc.terminate(Turn(), (), code, "")
        assert isinstance(request, CancelChatRequest)
        return request

    def key(self, method: MethodDescriptor) -> str:
        """The key that the next call of this method carries."""
        taken = in_thread(lambda: self._channel.take_unary_unary(method))
        metadata, _, rpc = taken.result(PATIENCE)
        rpc.terminate(Turn(), (), grpc.StatusCode.OK, "")
        return str(dict(metadata)["authorization"])

    def _stream(self, name: str) -> tuple[Any, Stream]:
        taken = in_thread(lambda: self._channel.take_unary_stream(METHODS[name]))
        _, request, rpc = taken.result(PATIENCE)
        return request, Stream(rpc)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time.sleep_for(seconds)
