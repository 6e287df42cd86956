"""Ctrl-C in a blocking stream: a real signal, over a real connection."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue

import grpc
import pytest

from clients.turn_logs import TURN, message, whole_turn
from colonnade.client import Client
from colonnade.v1.chat_pb2 import CancelChatRequest, ChatRequest
from colonnade.v1.chat_pb2_grpc import ChatServiceServicer, add_ChatServiceServicer_to_server
from colonnade.v1.turns_pb2 import Turn, TurnEvents


class InterruptingChat(ChatServiceServicer):
    """Sends one event, presses Ctrl-C once its reader waits for the next, and falls silent."""

    def __init__(self) -> None:
        self.cancelled: SimpleQueue[CancelChatRequest] = SimpleQueue()

    def StreamChat(
        self, request: ChatRequest, context: grpc.ServicerContext
    ) -> Iterator[TurnEvents]:
        yield message(whole_turn()[0])
        os.kill(os.getpid(), signal.SIGINT)
        self.cancelled.get()

    def CancelChat(self, request: CancelChatRequest, context: grpc.ServicerContext) -> Turn:
        self.cancelled.put(request)
        self.cancelled.put(request)
        return Turn()


@pytest.fixture
def at_a_terminal() -> Iterator[None]:
    """Ctrl-C is heard, also where the tests run in a process that was told not to hear it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("at_a_terminal")
def test_ctrl_c_cancels_the_turn_and_is_passed_on() -> None:
    chat = InterruptingChat()  # type: ignore[abstract]  # the other methods are never called
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads)
        add_ChatServiceServicer_to_server(chat, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        with Client(f"127.0.0.1:{port}") as client, pytest.raises(KeyboardInterrupt):
            client.ask("How long?")
        assert chat.cancelled.get().turn_id in (TURN, "")
        server.stop(None).wait()
