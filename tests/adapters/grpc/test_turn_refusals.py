"""Turns that are refused or fail: the status, the reason, and the details that go with it."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from grpc import StatusCode, aio

from colonnade.client.stubs import AsyncStubs
from colonnade.v1.chat_pb2 import (
    CHAT_MODE_TOOLS,
    CancelChatRequest,
    ChatRequest,
    GetTurnRequest,
    PromptReference,
    ResumeChatRequest,
)
from colonnade.v1.conversations_pb2 import DeleteConversationRequest
from colonnade.v1.messages_pb2 import Image, Message, Part
from colonnade.v1.turns_pb2 import TURN_STATE_FAILED, TURN_STATE_RUNNING, Turn
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.identifiers import Seconds, TenantId, TurnId
from fakes.language_model import Fail, Hang, Meet, Script, ScriptedModel, script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, served_node
from fakes.turn_node import a_model

PICTURE = Image(uri="https://example.org/a.png", media_type="image/png")


async def chat(node: ServedNode, request: ChatRequest) -> Turn:
    turn: Turn = await node.stubs.chat.Chat(request, metadata=node.key())
    return turn


async def turn_of(node: ServedNode, request_id: str) -> Turn:
    request = GetTurnRequest(request_id=request_id)
    turn: Turn = await node.stubs.chat.GetTurn(request, metadata=node.key())
    return turn


def streamed(node: ServedNode, request: ChatRequest) -> Any:
    return node.stubs.chat.StreamChat(request, metadata=node.key())


def resumed(node: ServedNode, turn: str, after: int = 0, **fields: bool) -> Any:
    request = ResumeChatRequest(turn_id=turn, after_sequence=after, **fields)
    return node.stubs.chat.ResumeChat(request, metadata=node.key())


async def test_a_name_that_stands_for_nothing_is_not_found(node: ServedNode) -> None:
    cases = {
        "model": (ask(model="gpt-none"), "gpt-none"),
        "prompt": (ask(prompt=PromptReference(prompt="poem")), "poem"),
    }
    for kind, (request, name) in cases.items():
        refusal = await refused(streamed(node, request))
        assert (refusal.code, refusal.reason) == (StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
        assert refusal.resource == (kind, name)
        assert {"kind": kind, "name": name}.items() <= refusal.metadata.items()


async def test_an_input_that_the_prompt_does_not_take_is_named(node: ServedNode) -> None:
    prompt = PromptReference(prompt="chat", inputs={"colour": "red"})
    refusal = await refused(streamed(node, ask(prompt=prompt)))
    assert (refusal.reason, refusal.fields) == ("INVALID_FIELD", ["prompt.inputs.colour"])


async def test_what_the_server_cannot_do_is_refused_by_name(node: ServedNode) -> None:
    tools = await refused(streamed(node, ask(mode=CHAT_MODE_TOOLS)))
    assert (tools.code, tools.reason) == (StatusCode.FAILED_PRECONDITION, "FEATURE_UNSUPPORTED")
    assert tools.metadata == {"feature": "tools"}
    seen = ChatRequest(message=Message(parts=[Part(text="What is it?"), Part(image=PICTURE)]))
    picture = await refused(streamed(node, seen))
    assert (picture.code, picture.reason) == (tools.code, tools.reason)
    assert picture.metadata["feature"] == "model"


async def test_a_request_id_stands_for_one_content(node: ServedNode) -> None:
    turn = await chat(node, ask("Hi", request_id="r1"))
    for method in (node.stubs.chat.Chat, node.stubs.chat.StreamChat):
        refusal = await refused(method(ask("Ho", request_id="r1"), metadata=node.key()))
        assert (refusal.code, refusal.reason) == (StatusCode.ALREADY_EXISTS, "REQUEST_ID_REUSED")
        assert refusal.metadata["request_id"] == "r1"
    again = await chat(node, ask("Hi", request_id="r1", detach=True))
    assert again == turn


async def test_a_branch_runs_one_turn_at_a_time() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    async with served_node(script(Meet(reached, go_on), "Done.")) as node:
        talk = await node.converse()
        first = asyncio.ensure_future(chat(node, ask(conversation=talk, request_id="r1")))
        await reached.wait()
        running = (await turn_of(node, "r1")).turn_id
        busy = await refused(streamed(node, ask("Me too", conversation=talk)))
        assert (busy.code, busy.reason) == (StatusCode.ABORTED, "BRANCH_BUSY")
        assert busy.metadata == {"turn_id": running}
        delete = node.stubs.conversations.DeleteConversation(
            DeleteConversationRequest(name=talk), metadata=node.key()
        )
        refusal = await refused(delete)
        assert (refusal.code, refusal.reason) == (StatusCode.ABORTED, "BRANCH_BUSY")
        go_on.set()
        assert (await first).answer.parts[0].text == "Done."


async def test_more_turns_than_may_run_are_refused_until_one_ends() -> None:
    reached, go_on = asyncio.Event(), asyncio.Event()
    async with served_node(script(Meet(reached, go_on), "Done."), turns={"max_running": 1}) as node:
        first = asyncio.ensure_future(chat(node, ask(request_id="r1")))
        await reached.wait()
        refusal = await refused(streamed(node, ask("Me too", request_id="r2")))
        assert (refusal.code, refusal.reason) == (
            StatusCode.RESOURCE_EXHAUSTED,
            "TOO_MANY_REQUESTS",
        )
        assert refusal.metadata == {"limit": "turns"}
        assert (refusal.retry_after, refusal.quota) == (1.0, ["turns"])
        attached = asyncio.ensure_future(chat(node, ask(request_id="r1")))  # no limit is asked
        go_on.set()
        assert await attached == await first
        assert (await chat(node, ask("Me too", request_id="r2"))).answer.parts[0].text == "Done."


def failing(name: str, kind: ModelErrorKind, after: Seconds | None = None) -> ScriptedModel:
    return a_model(
        script(Fail(ModelError(kind, "sk-secret is at fault", retry_after=after))), name=name
    )


async def test_every_attempt_that_failed_is_told() -> None:
    models = (
        failing("first", ModelErrorKind.RATE_LIMITED),
        failing("second", ModelErrorKind.CONNECTION),
    )
    async with served_node(*models) as node:
        refusal = await refused(streamed(node, ask(request_id="r1")))
        assert (refusal.code, refusal.reason) == (StatusCode.UNAVAILABLE, "MODELS_UNAVAILABLE")
        own, *attempts = refusal.infos
        assert [(each.reason, dict(each.metadata)) for each in attempts] == [
            ("ATTEMPT_FAILED", {"model": "first", "cause": "rate_limited"}),
            ("ATTEMPT_FAILED", {"model": "second", "cause": "connection"}),
        ]
        turn = await turn_of(node, "r1")
        assert dict(own.metadata) == {"turn_id": turn.turn_id, "rerunnable": "true"}
        assert refusal.retry_after is not None
        assert (turn.state, turn.error.code) == (TURN_STATE_FAILED, StatusCode.UNAVAILABLE.value[0])
        assert "sk-secret" not in f"{refusal}{turn}{node.log.getvalue()}"


async def test_a_prompt_that_does_not_fit_says_by_how_much() -> None:
    async with served_node(a_model(context_window=256, max_output_tokens=64)) as node:
        refusal = await refused(streamed(node, ask("word " * 500)))
        assert (refusal.code, refusal.reason) == (StatusCode.OUT_OF_RANGE, "CONTEXT_TOO_LONG")
        needed, allowed = (refusal.metadata[f"{key}_tokens"] for key in ("needed", "allowed"))
        assert int(needed) > 500 > int(allowed)


async def test_a_turn_that_everybody_left_can_be_asked_for_again() -> None:
    async with served_node(script(Hang()), turns={"linger_seconds": 0}) as node:
        reading = streamed(node, ask(request_id="r1"))
        turn = (await reading.read()).events[0].started.turn_id
        reading.cancel()
        async with asyncio.timeout(5):  # a reader that came before that is noticed would keep it
            while (await turn_of(node, "r1")).state == TURN_STATE_RUNNING:  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        refusal = await refused(resumed(node, turn))
        assert (refusal.code, refusal.reason) == (StatusCode.CANCELLED, "TURN_ABANDONED")
        assert refusal.metadata == {"turn_id": turn, "rerunnable": "true"}


async def test_a_turn_that_the_server_dropped_can_be_asked_for_again() -> None:
    async with AsyncExitStack() as outlives:
        async with served_node(script(Hang()), server={"drain_seconds": 0}) as node:
            channel = await outlives.enter_async_context(aio.insecure_channel(node.address))
            stub = AsyncStubs.of(channel).chat
            reading = stub.StreamChat(ask(), metadata=node.key())
            turn = (await anext(aiter(reading))).events[0].started.turn_id
            told = asyncio.ensure_future(refused(reading))
        refusal = await told
    assert (refusal.code, refusal.reason) == (StatusCode.UNAVAILABLE, "TURN_INTERRUPTED")
    assert refusal.metadata == {"turn_id": turn, "rerunnable": "true"}


async def test_a_log_that_was_cut_or_lost_is_never_read_with_a_gap(node: ServedNode) -> None:
    turn = await chat(node, ask())
    beyond = await refused(resumed(node, turn.turn_id, turn.last_sequence + 1))
    assert (beyond.code, beyond.reason) == (StatusCode.DATA_LOSS, "TURN_LOG_LOST")
    huge = await refused(resumed(node, turn.turn_id, 2**64 - 1))
    assert (huge.code, huge.reason) == (StatusCode.DATA_LOSS, "TURN_LOG_LOST")
    async with node.state.transaction(TenantId("acme")) as tx:
        row = (await tx.turns.lock([TurnId(turn.turn_id)]))[TurnId(turn.turn_id)]
        tx.turns.update(replace(row, log_from=row.next_seq))
    expired = await refused(resumed(node, turn.turn_id))
    assert (expired.code, expired.reason) == (StatusCode.OUT_OF_RANGE, "TURN_LOG_EXPIRED")
    for told in (beyond, huge, expired):
        assert told.metadata["turn_id"] == turn.turn_id
    request = GetTurnRequest(turn_id=turn.turn_id, include_events=True)
    expired = await refused(node.stubs.chat.GetTurn(request, metadata=node.key()))
    assert (expired.code, expired.reason) == (StatusCode.OUT_OF_RANGE, "TURN_LOG_EXPIRED")


async def test_one_who_cannot_take_text_back_reads_no_turn_that_may(node: ServedNode) -> None:
    turn = await chat(node, ask(accept_retractions=True))
    refusal = await refused(resumed(node, turn.turn_id))
    assert (refusal.code, refusal.reason) == (
        StatusCode.FAILED_PRECONDITION,
        "RETRACTIONS_REQUIRED",
    )
    assert refusal.metadata == {"turn_id": turn.turn_id}
    events = [m async for m in resumed(node, turn.turn_id, accept_retractions=True)]
    assert events


async def test_a_bug_tells_the_call_and_nothing_else() -> None:
    def broken(request: GenerationRequest) -> Script:
        raise ZeroDivisionError("the secret of the house")

    async with served_node(ScriptedModel(choose=broken), bugs=1) as node:
        refusal = await refused(streamed(node, ask()))
        assert (refusal.code, refusal.reason) == (StatusCode.INTERNAL, "INTERNAL")
        assert "secret" not in str(refusal)
        (bug,) = node.lines("bug")
        assert bug["call_id"] == refusal.call_id
        assert "ZeroDivisionError" in bug["exception"]


async def test_cancelling_twice_and_cancelling_what_has_ended_change_nothing(
    node: ServedNode,
) -> None:
    turn = await chat(node, ask())
    for _ in range(2):
        request = CancelChatRequest(turn_id=turn.turn_id)
        assert await node.stubs.chat.CancelChat(request, metadata=node.key()) == turn
