"""Reads the rich status that the server packs into its errors."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TypeVar

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status

from colonnade.client.errors import ColonnadeError, FailedAttempt, Failure, Violation, error_of
from colonnade.v1.turns_pb2 import TURN_STATE_FAILED, Turn

Detail = TypeVar("Detail", bound=Message)

_DOMAIN = "colonnade"
_DETAILS = "grpc-status-details-bin"
_ATTEMPT = "ATTEMPT_FAILED"


def failure_of(error: grpc.RpcError) -> Failure:
    """What an ended call tells: the server's rich status, or what the connection said."""
    plain = Failure(error.code(), error.details() or "no details")
    for key, value in _trailing(error):
        if key == _DETAILS and isinstance(value, bytes):
            try:
                status = Status.FromString(value)
            except DecodeError:
                return plain
            return _with_details(replace(plain, message=status.message or plain.message), status)
    return plain


def turn_error(turn: Turn) -> ColonnadeError | None:
    """The error that a FAILED turn ended with; None for a turn in any other state."""
    if turn.state != TURN_STATE_FAILED:
        return None
    return error_of(failure_in(turn.error))


def failure_in(status: Status) -> Failure:
    """The failure in a status that came as a message."""
    return _with_details(Failure(_code(status.code), status.message), status)


def _trailing(error: grpc.RpcError) -> Iterable[tuple[str, str | bytes]]:
    return error.trailing_metadata() or ()  # type: ignore[return-value]  # they are pairs


def _with_details(failure: Failure, status: Status) -> Failure:
    infos = [info for info in _each(status.details, ErrorInfo) if info.domain == _DOMAIN]
    own = next((info for info in infos if info.reason != _ATTEMPT), None)
    retry = next(iter(_each(status.details, RetryInfo)), None)
    call = next(iter(_each(status.details, RequestInfo)), None)
    return replace(
        failure,
        reason=own.reason if own else "",
        metadata=dict(own.metadata) if own else {},
        retry_after=retry.retry_delay.ToNanoseconds() / 1e9 if retry else None,
        call_id=call.request_id if call else "",
        violations=tuple(
            Violation(violation.field, violation.description)
            for bad in _each(status.details, BadRequest)
            for violation in bad.field_violations
        ),
        attempts=tuple(
            FailedAttempt(
                info.metadata["model"], info.metadata["cause"], info.metadata.get("detail", "")
            )
            for info in infos
            if info.reason == _ATTEMPT
        ),
    )


def _each(details: Iterable[Packed], kind: type[Detail]) -> list[Detail]:
    found = []
    for packed in details:
        detail = kind()
        if packed.Unpack(detail):
            found.append(detail)
    return found


def _code(number: int) -> grpc.StatusCode:
    for code in grpc.StatusCode:
        if code.value[0] == number:
            return code
    return grpc.StatusCode.UNKNOWN
