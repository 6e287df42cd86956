"""The ModelGateway that another process hosts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

import grpc

from adapters.grpc.clients.failures import ConnectionLost, Misconfigured, domain_error
from adapters.grpc.clients.heard import Heard
from adapters.grpc.clients.metadata import metadata_of
from adapters.grpc.gateway_events import event_from
from adapters.grpc.gateway_orders import order_message, part_message
from colonnade.v1 import gateway_pb2
from colonnade.v1.gateway_pb2_grpc import ModelGatewayServiceStub
from core.call import Call
from core.catalog import Deployment
from core.clock import Clock
from core.errors import ColonnadeError, DeadlineExceeded, ModelsUnavailable, Reason
from core.identifiers import ApiKeyId, CallId, DeploymentName, Seconds, TenantId, UserId
from core.messages import Message
from core.ports.model_gateway import GatewayEvent, GenerationOrder, Selected
from core.principal import Principal
from core.prompting.parts import PromptPart, Provenance, SourceKind, Trust

SERVICE = gateway_pb2.DESCRIPTOR.services_by_name["ModelGatewayService"].full_name
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each further try."""
_LAST_WORDS = Seconds(0.25)
"""What the other process gets beyond the order's deadline, to say itself how it ended."""
_COUNTING = Seconds(10.0)
_PROCESS = Principal(TenantId("mesh"), UserId("mesh"), ApiKeyId("mesh"))
"""Whom a call is made for that is nobody's in particular."""


class GatewayClient:
    """Generates and counts in another process, on behalf of this one's callers.

    A call whose connection broke, or that was turned away by a process that shuts down, is sent
    again, five times at most: each attempt is on record where it was made, so that a second one
    is never hidden. Text that was heard stands, and another process goes on from it where a
    deployment can; else the loss ends the generation as a provider's would.
    """

    def __init__(self, channel: grpc.aio.Channel, key: Callable[[], str], clock: Clock) -> None:
        self._channel = channel
        self._stub = ModelGatewayServiceStub(channel)
        self._key = key
        self._clock = clock
        self._seen: dict[DeploymentName, Deployment] = {}

    async def generate(
        self, call: Call, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        """See ModelGateway."""
        heard, wanted = Heard(), order
        for pause in (*_PAUSES, None):
            try:
                async with aclosing(self._events(call, wanted)) as events:
                    async for event in events:
                        if (switched := heard.switched(event)) is not None:
                            yield switched
                        heard.note(event)
                        self._note(call, event)
                        yield event
                return
            except (ConnectionLost, ColonnadeError) as error:
                told = _told(error, heard)
                following = self._following(error, heard, order, pause)
                if following is None or pause is None:
                    raise told from error
                wanted = following
            await asyncio.sleep(pause)

    async def count(self, messages: Sequence[Message], model: str) -> int:
        """See TokenCounter."""
        request = gateway_pb2.CountPromptRequest(messages=map(_alone, messages), model=model)
        call = Call(_PROCESS, CallId(""), Seconds(self._clock.monotonic() + _COUNTING))
        try:
            answer = await self._stub.CountPrompt(
                request, timeout=_COUNTING, metadata=metadata_of(self._key(), call)
            )
        except grpc.aio.AioRpcError as error:
            raise _told(domain_error(error), Heard()) from error
        return answer.tokens

    def deployment(self, name: DeploymentName) -> Deployment | None:
        """The entry of the other process's catalog, as it was when it was last asked; or None."""
        return self._seen.get(name)

    async def close(self) -> None:
        """Let go of the connections; calls that run end. Idempotent."""
        await self._channel.close()

    async def _events(
        self, call: Call, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        left = Seconds(order.deadline - self._clock.monotonic())
        if left <= 0:
            raise DeadlineExceeded("no time was left for the model")
        stream = self._stub.RunGeneration(
            order_message(order, left),
            timeout=left + _LAST_WORDS,
            metadata=metadata_of(self._key(), call),
        )
        try:
            async for message in stream:
                if (event := event_from(message)) is not None:
                    yield event
        except grpc.aio.AioRpcError as error:
            raise domain_error(error) from error
        finally:
            stream.cancel()

    def _note(self, call: Call, event: GatewayEvent) -> None:
        if isinstance(event, Selected):
            name = event.deployment.name
            self._seen[name] = event.deployment
            call.facts.model_version = name

    def _following(
        self, error: Exception, heard: Heard, order: GenerationOrder, pause: float | None
    ) -> GenerationOrder | None:
        """What is asked of another process, which may still answer in time; None where none can."""
        if pause is None or self._clock.monotonic() + pause >= order.deadline:
            return None
        if isinstance(error, ConnectionLost):
            return heard.rest(order)
        passing = not isinstance(error, Misconfigured) and (
            isinstance(error, ColonnadeError) and error.reason is Reason.SERVICE_UNAVAILABLE
        )
        return heard.rest(order) if passing and (heard.lost or not heard.asked) else None


def _told(error: ColonnadeError | ConnectionLost, heard: Heard) -> ColonnadeError:
    """What the caller is told: a lost process is no other trouble than a lost provider.

    Where nobody could go on from what a lost one said, its loss is the cause.
    """
    gone = heard.lost or (heard.asked if isinstance(error, ConnectionLost) else None)
    if gone is not None:
        return ModelsUnavailable([(gone.deployment.name, "connection")])
    if isinstance(error, ConnectionLost):
        return ModelsUnavailable([("models", "connection")])
    return error


def _alone(message: Message) -> gateway_pb2.GatewayPart:
    source = Provenance(SourceKind.USER)
    return part_message(PromptPart(message.role, message.parts, source, Trust.CALLER, alone=True))
