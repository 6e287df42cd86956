"""The log line of a call: written by hand, and to the letter what structlog would write."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from decimal import Decimal

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.telemetry.structured_log import LogOptions, StructuredLog, log_without_calls
from core.call import CallFacts
from core.identifiers import CallId, RequestId, TenantId, TurnId, UserId
from core.ports.telemetry import CallLine

_TEXTS = st.text(max_size=8)
_TIMES = st.floats(0, 1e7)
_FACTS = st.builds(
    CallFacts,
    request_id=_TEXTS.map(RequestId),
    turn_id=_TEXTS.map(TurnId),
    prompt_version=_TEXTS,
    model_version=_TEXTS,
    retrieved_doc_ids=st.lists(_TEXTS, max_size=3).map(tuple),
    tool_calls=st.lists(_TEXTS, max_size=2).map(tuple),
    token_count=st.none() | st.integers(0, 10**7),
    cost=st.none() | st.decimals(0, 1000, places=9) | st.just(Decimal("1E-9")),
    currency=_TEXTS,
    validation_status=_TEXTS,
    attached=st.booleans(),
)
_LINES = st.builds(
    CallLine,
    method=_TEXTS,
    call_id=_TEXTS.map(CallId),
    tenant=st.none() | _TEXTS.map(TenantId),
    user=st.none() | _TEXTS.map(UserId),
    status=_TEXTS,
    reason=_TEXTS,
    latency_ms=_TIMES,
    first_message_ms=st.none() | _TIMES,
    messages=st.integers(0, 1000),
    facts=_FACTS,
)


def _written(line: CallLine, *, by_hand: bool) -> str:
    stream = io.StringIO()
    log = StructuredLog(LogOptions(), stream)
    log._plain = by_hand
    log.call_ended(line)
    text, _, time = stream.getvalue().rpartition('"timestamp"')
    assert time.startswith(': "20')
    assert time.endswith('Z"}\n')
    return text


@settings(max_examples=40)
@given(_LINES)
def test_it_is_what_structlog_would_write(line: CallLine) -> None:
    assert _written(line, by_hand=True) == _written(line, by_hand=False)


class Gone(io.StringIO):
    """A stream whose reader has gone."""

    def write(self, text: str, /) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


@pytest.fixture
def configured() -> Iterator[None]:
    """What a test sets for the process is not left behind."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.usefixtures("configured")
def test_adapters_that_know_of_no_call_log_as_the_rest_does() -> None:
    stream = io.StringIO()
    log_without_calls(LogOptions(), stream)
    structlog.get_logger("index").warning("torn", lost_bytes=3)
    structlog.get_logger("index").debug("not wanted at this level")
    (line,) = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["event"], line["level"], line["lost_bytes"]) == ("torn", "warning", 3)


@pytest.mark.usefixtures("configured")
def test_a_log_that_nobody_reads_fails_nothing() -> None:
    log_without_calls(LogOptions(), Gone())
    structlog.get_logger("index").warning("torn")
    log = StructuredLog(LogOptions(), Gone())
    log.note("serving")
    log.failed(CallId("call_1"), ValueError("a bug"))
