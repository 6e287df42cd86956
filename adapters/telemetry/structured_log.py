"""The log: one line a call with every field, and one for each bug, through structlog."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from json.encoder import JSONEncoder, encode_basestring
from typing import TextIO, cast

import structlog

from adapters.telemetry.joined_lines import JoinedLines
from core.identifiers import CallId
from core.ports.telemetry import CallLine

_AS_JSON = JSONEncoder(ensure_ascii=False)
_text = encode_basestring
"""A text as JSON."""
_NULL = "null"
_OFFSET = len("+00:00")


@dataclass(frozen=True, slots=True)
class LogOptions:
    """`json` for machines, else lines for people. `level` is a name of the logging module's."""

    json: bool = True
    level: str = "info"


class StructuredLog:
    """Telemetry as log lines on a stream. Content never gets in; an unknown field is null."""

    def __init__(self, options: LogOptions, stream: TextIO | None = None) -> None:
        level = _level(options)
        self._lines = JoinedLines(stream or sys.stderr)
        self._plain = options.json and level <= logging.INFO
        self._log = structlog.wrap_logger(
            structlog.WriteLogger(cast("TextIO", self._lines)),  # it is used for no more than this
            processors=_processors(options),
            wrapper_class=structlog.make_filtering_bound_logger(level),
            cache_logger_on_first_use=True,
        )

    def call_ended(self, line: CallLine) -> None:
        """One line with every field, whatever the call came to.

        Every call pays for it, so the common form takes the short way: what structlog would
        write, without its chain of processors.
        """
        if not self._plain:
            self._log.info("call", **_fields(line))
            return
        now = datetime.now(UTC).isoformat()[:-_OFFSET]
        self._lines.write(
            f'{{{_members(line)}, "event": "call", "level": "info", "timestamp": "{now}Z"}}\n'
        )

    def failed(self, call_id: CallId, error: BaseException) -> None:
        """A bug, with its stack; written before this returns."""
        self._log.error("bug", call_id=call_id, exc_info=error)
        self._lines.write_now()

    def note(self, event: str, **fields: object) -> None:
        """Something about the process itself, such as its start."""
        self._log.info(event, **fields)
        self._lines.write_now()


class _Lasting:
    """Takes whole lines of any thread for a stream, and goes on where the stream has ended."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self._stream.flush()


def log_without_calls(options: LogOptions, stream: TextIO | None = None) -> None:
    """Have lines of adapters that know of no call, such as a mended index, written like the rest.

    For the whole process: they come from loggers of modules, and from any thread.
    """
    lasting = cast("TextIO", _Lasting(stream or sys.stderr))  # it is used for no more than this
    structlog.configure(
        processors=_processors(options),
        wrapper_class=structlog.make_filtering_bound_logger(_level(options)),
        logger_factory=structlog.WriteLoggerFactory(lasting),
        cache_logger_on_first_use=False,
    )


def _processors(options: LogOptions) -> list[structlog.types.Processor]:
    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if options.json
        else structlog.dev.ConsoleRenderer(colors=False),
    ]


def _level(options: LogOptions) -> int:
    return logging.getLevelNamesMapping()[options.level.upper()]


def _fields(line: CallLine) -> dict[str, object]:
    facts = line.facts
    return {
        "method": line.method,
        "call_id": line.call_id,
        "request_id": facts.request_id or None,
        "tenant_id": line.tenant,
        "user_id": line.user,
        "turn_id": facts.turn_id or None,
        "prompt_version": facts.prompt_version or None,
        "model_version": facts.model_version or None,
        "retrieved_doc_ids": facts.retrieved_doc_ids,
        "tool_calls": facts.tool_calls,
        "latency_ms": round(line.latency_ms, 3),
        "first_message_ms": _rounded(line.first_message_ms),
        "messages": line.messages,
        "token_count": facts.token_count,
        "cost": None if facts.cost is None else f"{facts.cost:f}",
        "currency": facts.currency or None,
        "validation_status": facts.validation_status or None,
        "attached": facts.attached,
        "status": line.status,
        "reason": line.reason or None,
    }


def _members(line: CallLine) -> str:
    """The same fields as members of a JSON object: written straight down, in a third of the time.

    A number is a field's own text, since JSON and Python write them alike.
    """
    facts, first = line.facts, line.first_message_ms
    cost = _NULL if facts.cost is None else f'"{facts.cost:f}"'
    documents, tools = facts.retrieved_doc_ids, facts.tool_calls
    return (
        f'"method": {_text(line.method)}, "call_id": {_text(line.call_id)}, '
        f'"request_id": {_text(facts.request_id) if facts.request_id else _NULL}, '
        f'"tenant_id": {_NULL if line.tenant is None else _text(line.tenant)}, '
        f'"user_id": {_NULL if line.user is None else _text(line.user)}, '
        f'"turn_id": {_text(facts.turn_id) if facts.turn_id else _NULL}, '
        f'"prompt_version": {_text(facts.prompt_version) if facts.prompt_version else _NULL}, '
        f'"model_version": {_text(facts.model_version) if facts.model_version else _NULL}, '
        f'"retrieved_doc_ids": {_AS_JSON.encode(documents) if documents else "[]"}, '
        f'"tool_calls": {_AS_JSON.encode(tools) if tools else "[]"}, '
        f'"latency_ms": {round(line.latency_ms, 3)}, '
        f'"first_message_ms": {_NULL if first is None else round(first, 3)}, '
        f'"messages": {line.messages}, '
        f'"token_count": {_NULL if facts.token_count is None else facts.token_count}, '
        f'"cost": {cost}, "currency": {_text(facts.currency) if facts.currency else _NULL}, '
        '"validation_status": '
        f"{_text(facts.validation_status) if facts.validation_status else _NULL}, "
        f'"attached": {"true" if facts.attached else "false"}, '
        f'"status": {_text(line.status)}, "reason": {_text(line.reason) if line.reason else _NULL}'
    )


def _rounded(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else round(milliseconds, 3)
