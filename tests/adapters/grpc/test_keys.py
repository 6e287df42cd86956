"""Who gets in, and what each key may do; and that no key ever shows in the log or an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dependency_injector import providers
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import code_pb2
from grpc import StatusCode, aio

from adapters.grpc import binding
from adapters.grpc.binding import scope_of
from colonnade.v1 import conversations_pb2
from colonnaded.container import SERVICES, Container
from core.clock import Clock
from core.identifiers import Seconds, TenantId
from fakes.rich_errors import refused
from fakes.served_node import Metadata, ServedNode, ask, bearer, secret_of, served_node
from services.authentication import Authenticator

METHODS = [method for service in SERVICES for method in service.methods]
SECRET = "ck_" + "5ec2e7" * 10


def listed(node: ServedNode, key: Metadata | None) -> Any:
    request = conversations_pb2.ListConversationsRequest()
    return node.stubs.conversations.ListConversations(request, metadata=key)


def call(channel: aio.Channel, method: MethodDescriptor, key: Metadata | None) -> Any:
    """The method with an empty request; what it answers is of no interest."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    empty = GetMessageClass(method.input_type)()
    kind = ("stream" if method.client_streaming else "unary") + (
        "_stream" if method.server_streaming else "_unary"
    )
    send = getattr(channel, kind)(path, request_serializer=lambda m: m.SerializeToString())
    return send(iter([empty]) if method.client_streaming else empty, metadata=key)


async def test_a_call_without_a_key_is_told_how_to_bring_one(node: ServedNode) -> None:
    for method in METHODS:
        refusal = await refused(call(node.channel, method, None))
        assert refusal.code is StatusCode.UNAUTHENTICATED, method.full_name
        assert (refusal.reason, refusal.metadata) == ("CREDENTIALS_MISSING", {})


async def test_a_key_that_opens_nothing_is_never_told_why(node: ServedNode) -> None:
    past = datetime.now(UTC) - timedelta(seconds=1)
    keys = {
        "unknown": bearer("ck_nobody"),
        "revoked": await node.add_key("ck_revoked", "*", revoked_at=past),
        "expired": await node.add_key("ck_expired", "*", expires_at=past),
        "secret with blanks": bearer("ck_a b"),
    }
    told = set()
    for name, key in keys.items():
        refusal = await refused(listed(node, key))
        assert refusal.code is StatusCode.UNAUTHENTICATED, name
        assert (refusal.reason, refusal.metadata) == ("CREDENTIALS_INVALID", {}), name
        told.add(refusal.message)
    assert len(told) == 1


async def test_a_malformed_authorization_is_refused(node: ServedNode) -> None:
    for value in ("", "Bearer", "Bearer  ", "ck_123", "Basic YTpi", "Bearerck_1"):
        refusal = await refused(listed(node, (("authorization", value),)))
        assert refusal.code is StatusCode.UNAUTHENTICATED, value
        assert refusal.reason == "CREDENTIALS_INVALID", value


async def test_the_scheme_is_read_in_any_case(node: ServedNode) -> None:
    secret = secret_of("ann", "acme")
    await listed(node, (("authorization", f"bEARER  {secret} "),))


async def test_a_key_that_lives_opens_until_it_expires(node: ServedNode) -> None:
    later = datetime.now(UTC) + timedelta(minutes=1)
    await listed(node, await node.add_key("ck_living", "*", expires_at=later))


async def test_a_revoked_key_opens_nothing_five_seconds_later() -> None:
    now = [100.0]
    clock = Clock(lambda: datetime.now(UTC), lambda: Seconds(now[0]))

    def on_this_clock(container: Container) -> None:
        own = providers.Singleton(Authenticator, container.state, clock)
        container.authenticator.override(own)

    async with served_node(override=on_this_clock) as node:
        key = await node.add_key("ck_soon", "*")
        await listed(node, key)
        async with node.state.transaction(TenantId("acme")) as tx:
            for stored in await tx.api_keys.list():
                tx.api_keys.revoke(stored.id, tx.now)
        now[0] += 4.9
        await listed(node, key)
        now[0] += 0.2
        refusal = await refused(listed(node, key))
        assert refusal.reason == "CREDENTIALS_INVALID"


async def test_each_method_wants_the_scope_of_its_option(node: ServedNode) -> None:
    """A key with every other scope is refused; one with this scope alone is let through."""
    scopes = sorted({scope_of(method) for method in METHODS})
    for scope in scopes:
        without = await node.add_key(f"ck_no_{scope}", *(s for s in scopes if s != scope))
        alone = await node.add_key(f"ck_{scope}", scope)
        for method in (m for m in METHODS if scope_of(m) == scope):
            refusal = await refused(call(node.channel, method, without))
            assert refusal.code is StatusCode.PERMISSION_DENIED, method.full_name
            assert (refusal.reason, refusal.metadata) == ("SCOPE_MISSING", {"scope": scope})
            assert await ended(call(node.channel, method, alone)) in (
                code_pb2.OK,
                code_pb2.INVALID_ARGUMENT,
                code_pb2.FAILED_PRECONDITION,  # this server has no settings to read again
            ), method.full_name


async def ended(answer: Any) -> int:
    """The number of the status."""
    code: int = (await answer.code()).value[0]
    return code


async def test_a_method_without_a_scope_is_open_to_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binding, "scope_of", lambda method: "")
    async with served_node() as node:
        refusal = await refused(listed(node, node.key()))
        assert refusal.code is StatusCode.PERMISSION_DENIED
        assert (refusal.reason, refusal.metadata) == ("SCOPE_MISSING", {"scope": ""})


async def test_neither_log_nor_errors_ever_hold_a_key() -> None:
    async with served_node() as node:
        key = await node.add_key(SECRET, "chat.write", "models.read")
        told = []
        for wanted in (key, bearer(SECRET + "0"), (("authorization", SECRET),)):
            for method in METHODS:
                answer = call(node.channel, method, wanted)
                told.append(f"{await answer.code()} {await answer.details()}")
                told += [repr(item) for item in await answer.trailing_metadata()]
        await node.stubs.chat.Chat(ask("My secret question"), metadata=key)
        assert len(node.lines()) >= 3 * len(METHODS)
        everything = node.log.getvalue() + "".join(told)
        assert SECRET not in everything
        assert "secret question" not in everything
        assert "Hello" not in everything
