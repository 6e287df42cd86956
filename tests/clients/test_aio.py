"""The asyncio client, over real connections to a server that follows a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import pytest

from clients.scripted_server import Context, ScriptedChat, ScriptedServer, fail, hangs, says
from clients.turn_logs import TURN, finished, found, numbered, started, text, whole_turn
from colonnade.client import (
    AsyncClient,
    AsyncTiming,
    Cancelled,
    InvalidArgument,
    Unavailable,
)
from colonnade.v1.chat_pb2 import ChatRequest, GetTurnRequest, ResumeChatRequest
from colonnade.v1.turns_pb2 import Turn
from core import errors as domain

LOG = whole_turn()
Serve = Callable[[ScriptedChat], Awaitable[AsyncClient]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Serves a script, and opens a client to it that does not wait between its calls."""
    opened: list[tuple[ScriptedServer, AsyncClient]] = []

    async def open_both(chat: ScriptedChat) -> AsyncClient:
        server = ScriptedServer(chat)
        await server.open()
        timing = AsyncTiming(sleep=lambda _: asyncio.sleep(0))
        client = AsyncClient(server.address, "ck_key", timing=timing)
        opened.append((server, client))
        return client

    yield open_both
    for server, client in opened:
        await client.close()
        await server.kill()


async def sequences(client: AsyncClient) -> list[int]:
    async with client.stream("How long?", request_id="r-1") as stream:
        return [event.sequence async for event in stream]


async def test_a_question_is_answered(serve: Serve) -> None:
    chat = ScriptedChat(says(*LOG))
    client = await serve(chat)
    answer = await client.ask("How long is a request id kept?", collections=["default"])
    assert (answer.text, answer.complete) == ("Ids are kept.", True)
    assert chat.keys == ["Bearer ck_key"]
    [request] = chat.asked
    assert isinstance(request, ChatRequest)
    assert request.linger.seconds == 10


async def test_a_broken_stream_is_read_on_without_loss_or_double(serve: Serve) -> None:
    chat = ScriptedChat(
        says(*LOG[:3], then=grpc.StatusCode.UNAVAILABLE),
        says(then=domain.Unavailable("shutting down")),
        says(*LOG[1:5], then=grpc.StatusCode.INTERNAL),
        # Truncated: it ends well, but the turn has not.
        says(LOG[5]),
        says(*LOG[6:]),
    )
    client = await serve(chat)
    assert await sequences(client) == [event.sequence for event in LOG]
    resumed = [r.after_sequence for r in chat.asked if isinstance(r, ResumeChatRequest)]
    assert resumed == [3, 3, 5, 6]


async def test_a_cancel_that_is_not_ours_is_read_over(serve: Serve) -> None:
    chat = ScriptedChat(says(*LOG[:3], then=grpc.StatusCode.CANCELLED), says(*LOG[3:]))
    assert await sequences(await serve(chat)) == [event.sequence for event in LOG]


async def test_a_turn_that_was_abandoned_is_told(serve: Serve) -> None:
    class Abandoned(domain.TurnEnded):
        reason = domain.Reason.TURN_ABANDONED

    chat = ScriptedChat(says(LOG[0], then=Abandoned("all left", turn_id=TURN, rerunnable="false")))
    client = await serve(chat)
    with pytest.raises(Cancelled) as caught:
        await client.ask("How long?")
    assert caught.value.reason == "TURN_ABANDONED"


async def test_another_run_begins_the_answer_anew(serve: Serve) -> None:
    first = numbered([started(), found()])
    log = [*first, *numbered([started(run=2), text("Yes."), finished()], first=3)]
    died = domain.TurnEnded("the process died", turn_id=TURN, rerunnable="true")
    chat = ScriptedChat(says(*first, then=died), says(*log))
    client = await serve(chat)
    runs = []
    async with client.stream("How long?") as stream:
        async for event in stream:
            if event.HasField("started"):
                runs.append(event.started.run)
    assert runs == [1, 2]
    assert stream.answer.text == "Yes."
    assert chat.asked[0] == chat.asked[1]


async def test_a_server_that_restarts_in_mid_stream_is_come_back_to() -> None:
    chat = ScriptedChat(hangs(*LOG[:4]), says(*LOG[4:]))
    server = ScriptedServer(chat)
    await server.open()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        # The first call finds nobody; the server is back before the second.
        pauses.append(seconds)
        if len(pauses) == 2:
            await server.open()
        await asyncio.sleep(0.05)

    async with AsyncClient(server.address, timing=AsyncTiming(sleep=pause)) as client:
        seen = []
        async with client.stream("How long?") as stream:
            async for event in stream:
                seen.append(event.sequence)
                if event.sequence == 4:
                    await server.kill()
        assert seen == [event.sequence for event in LOG]
        assert stream.answer.complete
    await server.kill()
    assert len(pauses) >= 2


async def test_cancelling_the_task_cancels_the_turn(serve: Serve) -> None:
    chat = ScriptedChat(hangs(*LOG[:2]))
    client = await serve(chat)
    asking = asyncio.create_task(client.ask("How long?", request_id="r-1"))
    await chat.reached.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    request = await chat.cancelled.get()
    assert request.turn_id == TURN or request.request_id == "r-1"
    await chat.left.get()


async def test_a_second_cancel_does_not_undo_the_first(serve: Serve) -> None:
    chat = ScriptedChat(hangs(LOG[0]))
    client = await serve(chat)
    reading = asyncio.Event()

    async def read() -> None:
        async with client.stream("How long?") as stream:
            async for _ in stream:
                reading.set()

    task = asyncio.create_task(read())
    await reading.wait()
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # Closing the client lets what is on its way out go first.
    await client.close()
    assert (await chat.cancelled.get()).turn_id == TURN


async def test_leaving_early_keeps_the_callers_own_error(serve: Serve) -> None:
    chat = ScriptedChat(hangs(*LOG[:2]))
    client = await serve(chat)

    async def fail_in_the_middle() -> None:
        async with client.stream("How long?") as stream:
            async for _ in stream:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail_in_the_middle()
    assert (await chat.cancelled.get()).turn_id == TURN


async def test_errors_of_unary_calls_are_typed(serve: Serve) -> None:
    class Refusing(ScriptedChat):
        async def GetTurn(self, request: GetTurnRequest, context: Context) -> Turn:
            await fail(context, domain.InvalidInput.at("turn_id", "is too long"))
            return Turn()

    client = await serve(Refusing())
    with pytest.raises(InvalidArgument) as caught:
        await client.turn("x" * 100)
    assert caught.value.violations[0].field == "turn_id"
    assert caught.value.call_id == "call-7"


async def test_a_server_that_is_not_there_is_reported() -> None:
    server = ScriptedServer(ScriptedChat())
    await server.open()
    await server.kill()
    timing = AsyncTiming(sleep=lambda _: asyncio.sleep(0))
    async with AsyncClient(server.address, timing=timing) as client:
        with pytest.raises(Unavailable) as caught:
            await client.ask("How long?")
    assert caught.value.reason == ""
