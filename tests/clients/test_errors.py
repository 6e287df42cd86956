"""Errors as the server packs them, and what callers see of them."""

from __future__ import annotations

import pickle

import grpc
import pytest

from adapters.grpc.errors import status_of
from colonnade.client import (
    Aborted,
    AlreadyExists,
    ColonnadeError,
    DataLoss,
    DeadlineExceeded,
    FailedAttempt,
    Internal,
    InvalidArgument,
    NotFound,
    OutOfRange,
    PermissionDenied,
    ResourceExhausted,
    Unauthenticated,
    Unavailable,
    Unimplemented,
    Violation,
)
from colonnade.client.errors import Failure, error_of
from colonnade.client.statuses import failure_of
from core import errors as domain
from core.identifiers import CallId, Seconds


def received(error: BaseException) -> ColonnadeError:
    """What a client makes of the status that the server makes of an error."""
    status = status_of(error, CallId("call-7"))
    return error_of(failure_of(_ended(status.code, status.message, status.details)))


def _ended(
    code: grpc.StatusCode, message: str, trailing: tuple[tuple[str, bytes], ...] = ()
) -> grpc.RpcError:
    return grpc.aio.AioRpcError(code, grpc.aio.Metadata(), grpc.aio.Metadata(*trailing), message)


def test_an_invalid_request_names_its_fields() -> None:
    error = received(domain.InvalidInput.at("message.parts.0.text", "must not be blank"))
    assert isinstance(error, InvalidArgument)
    assert error.violations == (Violation("message.parts.0.text", "must not be blank"),)
    assert (error.reason, error.call_id) == ("INVALID_FIELD", "call-7")


def test_a_server_that_is_busy_says_when_to_come_back() -> None:
    busy = domain.Exhausted("too many calls", retry_after=Seconds(1.5))
    error = received(busy)
    assert isinstance(error, ResourceExhausted)
    assert (error.reason, error.retry_after) == ("TOO_MANY_REQUESTS", 1.5)
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_what_is_not_found_is_named() -> None:
    error = received(domain.NotFound("conversation", "conversations/x"))
    assert isinstance(error, NotFound)
    assert error.metadata == {"kind": "conversation", "name": "conversations/x"}


def test_a_bug_tells_nothing_but_its_call() -> None:
    error = received(ZeroDivisionError("secret"))
    assert isinstance(error, Internal)
    assert (error.reason, error.call_id) == ("INTERNAL", "call-7")
    assert "secret" not in str(error)
    assert "call-7" in str(error)


def test_each_attempt_that_failed_is_told() -> None:
    down = domain.ModelsUnavailable((("big", "overloaded"), ("small", "timeout")))
    error = received(down)
    assert isinstance(error, Unavailable)
    assert error.reason == "MODELS_UNAVAILABLE"
    assert error.attempts == (FailedAttempt("big", "overloaded"), FailedAttempt("small", "timeout"))


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.ALREADY_EXISTS, AlreadyExists),
        (grpc.StatusCode.ABORTED, Aborted),
        (grpc.StatusCode.PERMISSION_DENIED, PermissionDenied),
        (grpc.StatusCode.UNAUTHENTICATED, Unauthenticated),
        (grpc.StatusCode.UNAVAILABLE, Unavailable),
        (grpc.StatusCode.DEADLINE_EXCEEDED, DeadlineExceeded),
        (grpc.StatusCode.OUT_OF_RANGE, OutOfRange),
        (grpc.StatusCode.DATA_LOSS, DataLoss),
        (grpc.StatusCode.UNIMPLEMENTED, Unimplemented),
        (grpc.StatusCode.UNKNOWN, Internal),
    ],
)
def test_an_error_of_the_connection_has_a_class_and_no_reason(
    code: grpc.StatusCode, kind: type[ColonnadeError]
) -> None:
    error = error_of(failure_of(_ended(code, "it broke")))
    assert type(error) is kind
    assert (error.message, error.reason, error.call_id) == ("it broke", "", "")
    assert error.retry_after is None


def test_details_that_are_damaged_leave_the_plain_status() -> None:
    trailing = (("grpc-status-details-bin", b"\xff\xff"),)
    error = error_of(failure_of(_ended(grpc.StatusCode.NOT_FOUND, "gone", trailing)))
    assert isinstance(error, NotFound)
    assert error.message == "gone"


def test_an_error_survives_pickling() -> None:
    error = error_of(Failure(grpc.StatusCode.NOT_FOUND, "gone", "RESOURCE_NOT_FOUND"))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is NotFound
    assert str(copy) == str(error) == "gone (RESOURCE_NOT_FOUND)"
