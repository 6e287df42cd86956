"""What surrounds every call: room for it, and nothing sent before it has been admitted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from grpc import StatusCode, aio

from colonnade.client.stubs import AsyncStubs
from colonnade.v1.conversations_pb2 import ListConversationsRequest
from fakes.language_model import Meet, script, words
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, served_node
from fakes.state import FakeState

RETRY = {
    "methodConfig": [
        {
            "name": [{"service": "colonnade.v1.ChatService"}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "0.1s",
                "backoffMultiplier": 1,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


async def list_conversations(node: ServedNode) -> None:
    request = ListConversationsRequest()
    await node.stubs.conversations.ListConversations(request, metadata=node.key())


async def test_more_calls_than_there_is_room_for_are_refused_until_one_ends() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    model = script(Meet(reached, go_on), "Done.")
    async with served_node(model, server={"max_concurrent_calls": 1}) as node:
        call = node.stubs.chat.Chat(ask(), metadata=node.key())
        running = asyncio.ensure_future(call.code())
        await reached.wait()
        for key in (node.key(), None):  # before anything is looked up
            request = ListConversationsRequest()
            refusal = await refused(
                node.stubs.conversations.ListConversations(request, metadata=key)
            )
            assert (refusal.code, refusal.reason) == (
                StatusCode.RESOURCE_EXHAUSTED,
                "TOO_MANY_REQUESTS",
            )
            assert refusal.metadata == {"limit": "calls"}
            assert (refusal.retry_after, refusal.quota) == (1.0, ["calls"])
        go_on.set()
        assert await running is StatusCode.OK
        await node.logged(count=3)
        await list_conversations(node)


async def test_a_hundred_at_once_are_served_or_refused_and_none_is_lost() -> None:
    async with served_node(words("a b c", pause=0.02), server={"max_concurrent_calls": 10}) as node:
        calls = [node.stubs.chat.Chat(ask(), metadata=node.key()) for _ in range(100)]
        codes = await asyncio.gather(*(call.code() for call in calls))
        assert codes.count(StatusCode.OK) >= 10
        assert set(codes) == {StatusCode.OK, StatusCode.RESOURCE_EXHAUSTED}
        assert len(await node.logged(count=100)) == 100


async def test_nothing_is_sent_before_a_turn_is_admitted() -> None:
    """Headers included: until then a client's configured retry may still send again."""
    state = FakeState()
    async with served_node(state=state) as node:
        state.faults.hold_commits(touching="idempotency")
        call = node.stubs.chat.StreamChat(ask(), metadata=node.key())
        headers = asyncio.ensure_future(call.initial_metadata())
        await state.faults.wait_until_held()
        await list_conversations(node)  # on the same connection, so what was sent has arrived
        assert not headers.done()
        state.faults.release_commits()
        first = await anext(aiter(call))
        assert first.events[0].HasField("started")
        assert await headers is not None


async def test_a_configured_retry_is_not_spoilt_by_a_refusal() -> None:
    state = FakeState()
    options: Sequence[tuple[str, str | int]] = [
        ("grpc.service_config", json.dumps(RETRY)),
        ("grpc.enable_retries", 1),
    ]
    async with (
        served_node(state=state) as node,
        aio.insecure_channel(node.address, options=options) as channel,
    ):
        state.faults.away = True
        call = AsyncStubs.of(channel).chat.StreamChat(ask(), metadata=node.key())
        (refusal,) = await node.logged()
        state.faults.away = False
        text = "".join([event.delta.text async for m in call for event in m.events])
        assert (refusal["status"], text) == ("UNAVAILABLE", "Hello.")
        assert [line["status"] for line in await node.logged(count=2)][-1] == "OK"


async def test_callers_that_leave_at_any_moment_leave_no_bug_behind(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Cancels race with errors, with writes, and with the end; the log stays free of bugs."""
    async with served_node(words("a b c d", pause=0.001)) as node:
        for delay in range(40):
            calls = [
                node.stubs.chat.StreamChat(ask(), metadata=node.key()),
                node.stubs.chat.StreamChat(ask(""), metadata=node.key()),
                node.stubs.chat.StreamChat(ask(), metadata=None),
            ]
            await asyncio.sleep(delay / 4000)
            for call in calls:
                call.cancel()
        await list_conversations(node)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
