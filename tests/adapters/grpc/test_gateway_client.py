"""Between two processes: who may speak for whom, which process is asked, what is asked again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc import StatusCode

from adapters.grpc.clients.channel import ClientTls, MeshTarget, open_channel
from adapters.grpc.clients.gateway import SERVICE
from adapters.grpc.clients.targets import target_of
from adapters.grpc.delegation import caller_metadata
from adapters.grpc.gateway_orders import order_message
from adapters.grpc.server import Tls
from colonnade.v1.gateway_pb2 import DelegatedCaller, RunGenerationRequest
from colonnade.v1.gateway_pb2_grpc import ModelGatewayServiceStub
from core.call import Call
from core.errors import ColonnadeError, Internal, ModelsUnavailable, Unavailable
from core.generation import ModelError, ModelErrorKind, TextDelta
from core.identifiers import ApiKeyId, CallId, DeploymentName, Seconds, TenantId, UserId
from core.messages import Message, Role
from core.ports.model_gateway import (
    GatewayEvent,
    GatewayEvents,
    GenerationOrder,
    Restarted,
    Switched,
)
from core.principal import DELEGATE_SCOPE, Principal
from fakes.far_gateway import (
    MESH_SECRET,
    far_gateway,
    gateway_client,
    gateway_server,
    let_in,
)
from fakes.gateway_node import GatewayNode, gateway_node
from fakes.language_model import Fail, Hang, script
from fakes.rich_errors import refused
from fakes.turn_node import a_model

ANN = Principal(TenantId("acme"), UserId("ann"), ApiKeyId("k"), frozenset({"*", DELEGATE_SCOPE}))


class Watching:
    """A gateway that remembers who called, in front of another."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.calls: list[Call] = []

    def generate(self, call: Call, order: GenerationOrder) -> GatewayEvents:
        self.calls.append(call)
        events: GatewayEvents = self.inner.generate(call, order)
        return events


def request_of(node: GatewayNode, **unit: Any) -> RunGenerationRequest:
    order = node.order()
    return order_message(replace(order, unit=replace(order.unit, **unit)), Seconds(5.0))


def metadata(secret: str, caller: Principal | None = ANN) -> tuple[tuple[str, str | bytes], ...]:
    key = ("authorization", f"Bearer {secret}")
    if caller is None:
        return (key,)
    return key, caller_metadata(Call(caller, CallId("call-7"), Seconds(0.0)))


class TestDelegation:
    async def sent(self, node: GatewayNode, gateway: Any, **call: Any) -> Any:
        async with (
            gateway_server(gateway, node.state, node.clock) as (address, _),
            grpc.aio.insecure_channel(address) as channel,
        ):
            stub = ModelGatewayServiceStub(channel)
            return await refused(stub.RunGeneration(**call))

    @pytest.mark.parametrize("scopes", [("*",), ("models.generate", "chat.write"), ("*", "admin")])
    async def test_nobody_without_the_scope_speaks_for_another(
        self, scopes: tuple[str, ...]
    ) -> None:
        node = gateway_node(a_model())
        watching = Watching(node.gateway)
        await let_in(node.state, "ck_user", *scopes)
        refusal = await self.sent(
            node, watching, request=request_of(node), metadata=metadata("ck_user")
        )
        assert (refusal.code, refusal.reason) == (StatusCode.PERMISSION_DENIED, "SCOPE_MISSING")
        assert watching.calls == []

    async def test_whom_it_is_for_must_be_said(self) -> None:
        node = gateway_node(a_model())
        await let_in(node.state)
        nobody = Principal(TenantId(""), UserId(""), ApiKeyId(""))
        for caller in (None, nobody):
            refusal = await self.sent(
                node,
                node.gateway,
                request=request_of(node),
                metadata=metadata(MESH_SECRET, caller),
            )
            assert refusal.code is StatusCode.INVALID_ARGUMENT
            assert refusal.fields == ["colonnade-caller-bin"]

    async def test_a_call_for_one_tenant_spends_nothing_of_anothers(self) -> None:
        node = gateway_node(a_model())
        watching = Watching(node.gateway)
        await let_in(node.state)
        for other in ({"tenant": "rival"}, {"user": "bob"}):
            refusal = await self.sent(
                node, watching, request=request_of(node, **other), metadata=metadata(MESH_SECRET)
            )
            assert refusal.code is StatusCode.PERMISSION_DENIED
        assert watching.calls == []

    async def test_the_other_process_knows_the_caller_and_the_call_and_no_more(self) -> None:
        node = gateway_node(a_model())
        watching = Watching(node.gateway)
        async with far_gateway(watching, node.state, node.clock) as client:
            order = node.order()
            call = Call(ANN, CallId("call-7"), order.deadline)
            async with aclosing(client.generate(call, order)) as events:
                async for _ in events:
                    pass
        [seen] = watching.calls
        assert (seen.principal.tenant, seen.principal.user, seen.principal.key) == (
            "acme",
            "ann",
            "k",
        )
        assert seen.id == "call-7"
        assert not seen.principal.may(DELEGATE_SCOPE)
        assert seen.principal.may("chat.write")
        assert seen.deadline == pytest.approx(order.deadline, abs=0.5)
        assert call.facts.model_version == "strong"

    def test_metadata_never_hold_a_secret(self) -> None:
        _, sent = caller_metadata(Call(ANN, CallId("call-7"), Seconds(0.0)))
        assert DelegatedCaller.FromString(sent).scopes == ["*"]


class TestBalancing:
    async def test_each_call_goes_to_the_next_that_serves(self) -> None:
        nodes = [gateway_node(a_model()) for _ in range(2)]
        watching = [Watching(node.gateway) for node in nodes]
        async with AsyncExitStack() as stack:
            servers = []
            for node, each in zip(nodes, watching, strict=True):
                await let_in(node.state)
                opened = gateway_server(each, node.state, node.clock)
                servers.append(await stack.enter_async_context(opened))
            dead = "127.0.0.1:1"
            addresses = [dead, *(address for address, _ in servers)]
            client = await stack.enter_async_context(
                gateway_client(*addresses, clock=nodes[0].clock)
            )
            away = replace(nodes[0], gateway=client)
            await away.hear()
            await connected(away, watching)
            for each in watching:
                each.calls.clear()
            for _ in range(10):
                assert (await away.hear()).error is None
            assert [len(each.calls) for each in watching] == [5, 5]
            await servers[0][1].drain()  # it says that it does not serve any more
            await asyncio.sleep(0.1)
            watching[0].calls.clear()
            for _ in range(10):
                assert (await away.hear()).error is None
            assert watching[0].calls == []

    @pytest.mark.parametrize(
        ("addresses", "target"),
        [
            (("dns:///models:7600",), "dns:///models:7600"),
            (("models:7600",), "models:7600"),
            (("10.0.0.1:7600", "10.0.0.2:7600"), "ipv4:10.0.0.1:7600,10.0.0.2:7600"),
            (("[::1]:1", "[::2]:2"), "ipv6:[::1]:1,[::2]:2"),
        ],
    )
    def test_addresses_in_grpcs_words(self, addresses: tuple[str, ...], target: str) -> None:
        assert target_of(addresses) == target

    @pytest.mark.parametrize(
        "addresses", [("a:1", "b:2"), ("10.0.0.1:1", "[::1]:1"), ("10.0.0.1", "10.0.0.2:1")]
    )
    def test_what_is_no_list_of_equals_is_refused(self, addresses: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="IP address"):
            target_of(addresses)


async def connected(node: GatewayNode, watching: list[Watching]) -> None:
    """Until both take calls: a connection is made a moment after the first call."""
    async with asyncio.timeout(5):
        while not all(each.calls for each in watching):
            await node.hear()


class TestTrouble:
    async def test_a_process_that_is_away_for_a_moment_is_not_noticed(self) -> None:
        node = gateway_node(a_model())
        await let_in(node.state)
        async with gateway_server(node.gateway, node.state, node.clock) as (address, _):
            pass
        async with gateway_client(address, clock=node.clock) as client:
            hearing = asyncio.create_task(replace(node, gateway=client).hear())
            await asyncio.sleep(0.3)
            async with gateway_server(node.gateway, node.state, node.clock, address):
                assert (await hearing).error is None

    async def test_one_that_stays_away_is_a_failed_model(self) -> None:
        node = gateway_node(a_model())
        async with gateway_client("127.0.0.1:1", clock=node.clock) as client:
            heard = await replace(node, gateway=client).hear(within=0.5)
        assert isinstance(heard.error, ModelsUnavailable)
        assert heard.error.attempts == (("models", "connection"),)

    @pytest.mark.parametrize("takes_prefix", [True, False])
    async def test_another_goes_on_where_one_is_lost_in_mid_stream(
        self, takes_prefix: bool
    ) -> None:
        first = a_model(script("a ", "b ", Hang()), takes_prefix=takes_prefix)
        second = a_model(script("c"), takes_prefix=takes_prefix)
        node, other = gateway_node(first), gateway_node(second)
        for each in (node, other):
            await let_in(each.state)
        async with AsyncExitStack() as stack:
            address, server = await stack.enter_async_context(
                gateway_server(node.gateway, node.state, node.clock)
            )
            client = await stack.enter_async_context(gateway_client(address, clock=node.clock))
            order = replace(node, gateway=client).order(within=3.0)
            call = Call(ANN, CallId("call-7"), order.deadline)
            heard: list[GatewayEvent] = []
            error: ColonnadeError | None = None
            try:
                async for event in client.generate(call, order):
                    heard.append(event)
                    if event == TextDelta("b "):
                        await server.close(Seconds(0.0))
                        lives = gateway_server(other.gateway, other.state, other.clock, address)
                        await stack.enter_async_context(lives)
            except ColonnadeError as raised:
                error = raised
        text = [event.text for event in heard if isinstance(event, TextDelta)]
        if takes_prefix:
            assert (text, error) == (["a ", "b ", "c"], None)
            [switched] = [event for event in heard if isinstance(event, Switched)]
            assert (switched.failed, switched.cause) == ("strong", "connection")
            assert second.calls[0].request.messages[-1].text == "a b"
        else:
            assert text == ["a ", "b "]
            assert isinstance(error, ModelsUnavailable)
            assert error.attempts == (("strong", "connection"),)
            assert second.calls == []

    async def test_what_the_gateway_gave_up_is_not_asked_again(self) -> None:
        model = a_model(script(Fail(ModelError(ModelErrorKind.OVERLOADED, "full"))))
        node = gateway_node(model)
        async with far_gateway(node.gateway, node.state, node.clock) as client:
            heard = await replace(node, gateway=client).hear()
        assert isinstance(heard.error, ModelsUnavailable)
        assert len(model.calls) == 1

    async def test_a_bug_over_there_tells_nothing(self) -> None:
        class Broken:
            async def generate(
                self, call: Call, order: GenerationOrder
            ) -> AsyncGenerator[GatewayEvent, None]:
                if order.question:
                    raise RuntimeError("the password is 1234")
                yield Restarted(DeploymentName("a"), "b")

        node = gateway_node(a_model())
        async with far_gateway(Broken(), node.state, node.clock) as client:
            error = (await replace(node, gateway=client).hear()).error
        assert isinstance(error, Internal)
        assert "1234" not in error.message

    async def test_a_key_that_opens_nothing_is_no_fault_of_the_callers(self) -> None:
        node = gateway_node(a_model())
        async with (
            gateway_server(node.gateway, node.state, node.clock) as (address, _),
            gateway_client(address, clock=node.clock, secret="ck_wrong") as client,
        ):
            heard = await replace(node, gateway=client).hear(within=0.5)
            assert isinstance(heard.error, Unavailable)
            assert "mesh.key" in heard.error.message
            with pytest.raises(ColonnadeError, match=r"mesh\.key"):
                await client.count([Message.of(Role.USER, "a b c")], "")

    async def test_tokens_are_counted_there(self) -> None:
        node = gateway_node(a_model())
        async with far_gateway(node.gateway, node.state, node.clock) as client:
            assert await client.count([Message.of(Role.USER, "a b c")], "") == 3

    async def test_the_entry_that_answered_is_known_here(self) -> None:
        model = a_model(price="7")
        node = gateway_node(model)
        async with far_gateway(node.gateway, node.state, node.clock) as client:
            assert client.deployment(model.deployment.name) is None
            await replace(node, gateway=client).hear()
            assert client.deployment(model.deployment.name) == model.deployment


async def test_a_channel_connects_when_it_is_used() -> None:
    channel = open_channel(MeshTarget(("127.0.0.1:1",), SERVICE))
    await channel.close()


async def test_with_certificates_of_both_nobody_else_gets_in(tmp_path: Path) -> None:
    certificate, key = self_signed(tmp_path)
    node = gateway_node(a_model())
    await let_in(node.state)
    tls = Tls(certificate, key, client_ca=certificate)
    async with gateway_server(node.gateway, node.state, node.clock, tls=tls) as (address, _):
        port = address.rpartition(":")[2]
        ours = ClientTls(certificate, certificate, key)
        async with gateway_client(f"localhost:{port}", clock=node.clock, tls=ours) as client:
            assert (await replace(node, gateway=client).hear()).error is None
        for strangers in (ClientTls(certificate), None):
            async with gateway_client(
                f"localhost:{port}", clock=node.clock, tls=strangers
            ) as client:
                heard = await replace(node, gateway=client).hear(within=0.5)
                assert isinstance(heard.error, ModelsUnavailable)


def self_signed(folder: Path) -> tuple[bytes, bytes]:
    """A certificate that vouches for itself, and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("the program openssl, which makes the certificate, is not here")
    made = [program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    about = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    files = ["-keyout", str(folder / "key"), "-out", str(folder / "cert")]
    subprocess.run([*made, *about, *files], check=True, capture_output=True)
    return (folder / "cert").read_bytes(), (folder / "key").read_bytes()
