"""A small typed client of Colonnade: `Client` blocks, `AsyncClient` is for asyncio.

    from colonnade.client import Client

    with Client() as client:
        answer = client.ask("How long is a request id kept?", collections=["default"])
        print(answer.text)
        for source in answer.sources:
            print(source.number, source.title)

It does what every caller would otherwise write: keys, deadlines, request ids, reading on after a
broken connection, typed errors. Everything else can be called through `client.stubs`.
"""

from colonnade.client.aio.client import AsyncClient
from colonnade.client.aio.stream import AsyncAnswerStream
from colonnade.client.answers import Answer, Cost, Source, answer_of
from colonnade.client.blocking.client import Client
from colonnade.client.blocking.stream import AnswerStream
from colonnade.client.chat_requests import ChatFields, GenerationFields
from colonnade.client.connection import DEFAULT_ADDRESS
from colonnade.client.conversation_requests import ExportedConversation
from colonnade.client.errors import (
    Aborted,
    AlreadyExists,
    Cancelled,
    ColonnadeError,
    DataLoss,
    DeadlineExceeded,
    FailedAttempt,
    FailedPrecondition,
    Failure,
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
from colonnade.client.model_requests import GenerateFields, SearchFields
from colonnade.client.retrying import RetryPolicy
from colonnade.client.statuses import turn_error
from colonnade.client.timing import AsyncTiming, Timing
from colonnade.client.tools import tool, tool_calls, tool_results
from colonnade.client.uploads import IngestReport, Upload

__all__ = [
    "DEFAULT_ADDRESS",
    "Aborted",
    "AlreadyExists",
    "Answer",
    "AnswerStream",
    "AsyncAnswerStream",
    "AsyncClient",
    "AsyncTiming",
    "Cancelled",
    "ChatFields",
    "Client",
    "ColonnadeError",
    "Cost",
    "DataLoss",
    "DeadlineExceeded",
    "ExportedConversation",
    "FailedAttempt",
    "FailedPrecondition",
    "Failure",
    "GenerateFields",
    "GenerationFields",
    "IngestReport",
    "Internal",
    "InvalidArgument",
    "NotFound",
    "OutOfRange",
    "PermissionDenied",
    "ResourceExhausted",
    "RetryPolicy",
    "SearchFields",
    "Source",
    "Timing",
    "Unauthenticated",
    "Unavailable",
    "Unimplemented",
    "Upload",
    "Violation",
    "answer_of",
    "tool",
    "tool_calls",
    "tool_results",
    "turn_error",
]
