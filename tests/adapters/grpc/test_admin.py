"""Operators' calls over real gRPC: what they show, whom they refuse, what they stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import admin_pb2, turns_pb2
from fakes.language_model import Hang, script
from fakes.rich_errors import refused
from fakes.served_node import ServedNode, ask, served_node

UNKNOWN = 99
READ = "admin.read"


@asynccontextmanager
async def one_running() -> AsyncIterator[tuple[ServedNode, str, Any]]:
    """A node, a turn of Ann's of Acme that has said something and goes on, and her stream."""
    async with served_node(script("Half an answer", Hang())) as node:
        stream = node.stubs.chat.StreamChat(ask(request_id="asked"), metadata=node.key())
        turn = ""
        async for message in stream:
            for event in message.events:
                turn = turn or event.started.turn_id
            if any(event.WhichOneof("kind") == "delta" for event in message.events):
                break
        yield node, turn, stream
        stream.cancel()


def listed(node: ServedNode, key: Any = None, **fields: Any) -> Any:
    request = admin_pb2.ListTurnsRequest(**fields)
    return node.stubs.admin.ListTurns(request, metadata=key or node.key())


def status(node: ServedNode, turn: str, key: Any = None) -> Any:
    request = admin_pb2.GetTurnStatusRequest(turn_id=turn)
    return node.stubs.admin.GetTurnStatus(request, metadata=key or node.key())


def cancel(node: ServedNode, turn: str, key: Any = None) -> Any:
    request = admin_pb2.CancelTurnRequest(turn_id=turn)
    return node.stubs.admin.CancelTurn(request, metadata=key or node.key())


async def test_a_running_turn_is_listed_and_shown_to_another_user_of_the_tenant() -> None:
    async with one_running() as (node, turn, _):
        found = (await listed(node, node.key("bob"))).turns
        assert [(row.turn_id, row.tenant, row.user) for row in found] == [(turn, "acme", "ann")]
        shown = await status(node, turn, node.key("bob"))
        assert shown.state == turns_pb2.TURN_STATE_RUNNING
        assert (shown.run, shown.epoch, shown.request_id) == (1, 1, "asked")
        assert shown.owner
        assert shown.released
        assert shown.next_sequence >= 3
        assert shown.lease_left.seconds >= 0
        assert [attempt.attempt for attempt in shown.attempts] == [1]
        assert not shown.attempts[0].HasField("usage")
        assert not shown.HasField("end_time")


async def test_rows_never_hold_content() -> None:
    async with one_running() as (node, turn, _):
        shown = str(await status(node, turn)) + str(await listed(node))
        assert "Half an answer" not in shown


async def test_a_cancel_stops_it_for_its_reader_too() -> None:
    async with one_running() as (node, turn, stream):
        asked = await cancel(node, turn, node.key("bob"))
        assert asked.cancel == turns_pb2.FINISH_REASON_CANCELLED
        async with asyncio.timeout(5):
            last = [event async for message in stream for event in message.events][-1]
        assert last.finished.reason == turns_pb2.FINISH_REASON_CANCELLED
        ended = await status(node, turn)
        assert ended.state == turns_pb2.TURN_STATE_FINISHED
        assert ended.attempts[0].booked
        assert (await cancel(node, turn)).finish_reason == turns_pb2.FINISH_REASON_CANCELLED
        assert (await listed(node)).turns == []
        assert len((await listed(node, states=[turns_pb2.TURN_STATE_FINISHED])).turns) == 1


async def test_the_log_line_names_the_turn() -> None:
    async with one_running() as (node, turn, _):
        await cancel(node, turn, node.key("bob"))
        found = await node.logged(lambda line: line["method"].endswith("CancelTurn"))
        assert (found[0]["turn_id"], found[0]["user_id"]) == (turn, "bob")


async def test_another_tenants_turn_is_told_as_one_that_never_was() -> None:
    async with one_running() as (node, turn, _):
        rival = node.key(tenant="rival")
        assert (await listed(node, rival)).turns == []
        for call in (status, cancel):
            foreign, never = (
                await refused(call(node, turn, rival)),
                await refused(call(node, "turn_never", rival)),
            )
            assert (foreign.code, foreign.reason) == (StatusCode.NOT_FOUND, "RESOURCE_NOT_FOUND")
            assert foreign.message.replace(turn, "") == never.message.replace("turn_never", "")
        shown = await status(node, turn)
        assert not shown.cancel


async def test_all_tenants_need_a_scope_that_the_key_for_everything_does_not_hold() -> None:
    async with one_running() as (node, turn, _):
        told = await refused(listed(node, node.key(tenant="rival"), all_tenants=True))
        assert (told.code, told.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert told.metadata["scope"] == "admin.every-tenant"
        everywhere = await node.add_key("ck_operator", READ, "admin.every-tenant")
        found = (await listed(node, everywhere, all_tenants=True)).turns
        assert [row.turn_id for row in found] == [turn]


@pytest.mark.parametrize("call", [listed, status], ids=["ListTurns", "GetTurnStatus"])
async def test_chat_scopes_do_not_open_it(call: Any, node: ServedNode) -> None:
    key = await node.add_key("ck_chat", "chat.read", "chat.write")
    made = call(node, key) if call is listed else call(node, "turn_1", key)
    told = await refused(made)
    assert (told.code, told.metadata["scope"]) == (StatusCode.PERMISSION_DENIED, READ)


async def test_who_may_read_may_not_cancel(node: ServedNode) -> None:
    told = await refused(cancel(node, "turn_1", await node.add_key("ck_reader", READ)))
    assert (told.code, told.metadata["scope"]) == (StatusCode.PERMISSION_DENIED, "admin.write")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"states": [turns_pb2.TURN_STATE_RUNNING, UNKNOWN]}, ["states[1]"]),
        ({"states": [turns_pb2.TURN_STATE_UNSPECIFIED]}, ["states[0]"]),
        ({"page_size": -1}, ["page_size"]),
        ({"page_token": "%%%"}, ["page_token"]),
        ({"states": [UNKNOWN], "page_size": -1}, ["states[0]", "page_size"]),
    ],
)
async def test_a_list_that_breaks_a_rule(
    node: ServedNode, fields: dict[str, Any], wrong: list[str]
) -> None:
    told = await refused(listed(node, **fields))
    assert (told.code, told.fields) == (StatusCode.INVALID_ARGUMENT, wrong)


@pytest.mark.parametrize("turn", ["", "t" * 65])
@pytest.mark.parametrize("call", [status, cancel], ids=["GetTurnStatus", "CancelTurn"])
async def test_an_id_that_can_be_none(node: ServedNode, call: Any, turn: str) -> None:
    told = await refused(call(node, turn))
    assert (told.code, told.fields) == (StatusCode.INVALID_ARGUMENT, ["turn_id"])
