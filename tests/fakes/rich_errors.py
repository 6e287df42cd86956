"""A refused call as a client in any language sees it: the status and all its details.

refusal = await refused(node.stubs.chat.Chat(request, metadata=node.key()))
assert (refusal.code, refusal.reason, refusal.fields) == (INVALID_ARGUMENT, "INVALID_FIELD", [...])
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

Detail = TypeVar("Detail", bound=Message)

DETAILS_KEY = "grpc-status-details-bin"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the error says. `rich` None: it did not come from our server's own table."""

    code: grpc.StatusCode
    message: str
    rich: status_pb2.Status | None

    @property
    def reason(self) -> str:
        return self.info.reason

    @property
    def metadata(self) -> Mapping[str, str]:
        return dict(self.info.metadata)

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        return self.infos[0]

    @property
    def infos(self) -> list[error_details_pb2.ErrorInfo]:
        """The error's own, then one for each failed attempt."""
        return self.every(error_details_pb2.ErrorInfo)

    @property
    def fields(self) -> list[str]:
        return [violation.field for violation in self.violations]

    @property
    def violations(self) -> list[error_details_pb2.BadRequest.FieldViolation]:
        found = self.every(error_details_pb2.BadRequest)
        return [violation for request in found for violation in request.field_violations]

    @property
    def resource(self) -> tuple[str, str]:
        info = self.one(error_details_pb2.ResourceInfo)
        return info.resource_type, info.resource_name

    @property
    def quota(self) -> list[str]:
        violations = self.one(error_details_pb2.QuotaFailure).violations
        return [violation.subject for violation in violations]

    @property
    def retry_after(self) -> float | None:
        """Seconds; None where the error gives no advice."""
        found = self.every(error_details_pb2.RetryInfo)
        return found[0].retry_delay.ToNanoseconds() / 1e9 if found else None

    @property
    def call_id(self) -> str:
        return self.one(error_details_pb2.RequestInfo).request_id

    def one(self, kind: type[Detail]) -> Detail:
        (found,) = self.every(kind)
        return found

    def every(self, kind: type[Detail]) -> list[Detail]:
        """The details of this kind, in order."""
        assert self.rich is not None, f"no details: {self.code.name} {self.message}"
        found: list[Detail] = []
        for packed in self.rich.details:
            detail = kind()
            if packed.Unpack(detail):
                found.append(detail)
        return found


async def refused(call: Awaitable[object] | AsyncIterable[object]) -> Refusal:
    """How the call ends, which must be with an error; what came before it is dropped."""
    try:
        if isinstance(call, AsyncIterable):
            async for _ in call:
                pass
        else:
            await call
    except grpc.aio.AioRpcError as error:
        return refusal_of(error)
    raise AssertionError("the call was not refused")


def refusal_of(error: grpc.aio.AioRpcError) -> Refusal:
    """What the error says."""
    rich = None
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY:
            assert isinstance(value, bytes)
            rich = status_pb2.Status.FromString(value)
            assert rich.code == error.code().value[0]
            assert rich.message == error.details()
    return Refusal(error.code(), error.details() or "", rich)
