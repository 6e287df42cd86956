"""Tools of a request, and the calls that a model proposes, between contract and domain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from adapters.grpc.violations import below, each_of
from colonnade.v1 import messages_pb2, tools_pb2
from core.errors import FieldViolation, InvalidInput
from core.generation import StopCause, ToolCallDelta, ToolDefinition
from core.message_rules import is_json_object

_MOST_TOOLS, _LONGEST_SCHEMA = 128, 100_000
_NO_SCHEMA = '{"type": "object"}'
_WHOLE = frozenset({StopCause.STOP, StopCause.TOOL_CALLS})


def definitions(
    given: Sequence[tools_pb2.ToolDefinition], field: str = "tools"
) -> tuple[ToolDefinition, ...]:
    """The tools that may be proposed. Raises InvalidInput with all that is wrong in any."""
    if len(given) > _MOST_TOOLS:
        raise InvalidInput.at(field, f"has {len(given)} tools; at most {_MOST_TOOLS} are taken")
    return each_of(_definition, given, field)


def _definition(message: tools_pb2.ToolDefinition, field: str) -> ToolDefinition:
    schema = message.parameters_schema or _NO_SCHEMA
    if len(schema) > _LONGEST_SCHEMA or not is_json_object(schema):
        at = f"{field}.parameters_schema"
        said = f"must be a JSON Schema, an object of at most {_LONGEST_SCHEMA} characters"
        raise InvalidInput([FieldViolation(at, said)])
    with below(field):
        return ToolDefinition(
            name=message.name,  # by name: so a violation's path tells it
            description=message.description,
            parameters=schema,
            strict=message.strict,
        )


@dataclass(slots=True)
class ProposedCalls:
    """The calls of one answer, put together from their pieces."""

    _calls: dict[int, _Proposed] = field(default_factory=dict)

    def hear(self, delta: ToolCallDelta) -> Iterator[tools_pb2.ToolCallPiece]:
        """What the reader is told of this piece: that a call begins, more of its arguments."""
        call = self._calls.get(delta.index)
        if call is None:
            call = self._calls[delta.index] = _Proposed(delta.call_id, delta.tool)
            yield tools_pb2.ToolCallPiece(index=delta.index, begun=call.message(""))
        if delta.arguments:
            call.arguments.append(delta.arguments)
            yield tools_pb2.ToolCallPiece(index=delta.index, arguments=delta.arguments)

    def complete(self, cause: StopCause) -> Iterator[tools_pb2.ToolCallPiece]:
        """Every call that is whole; an answer that was cut may have ended within one."""
        for index, call in sorted(self._calls.items()):
            whole = call.whole()
            if cause in _WHOLE or is_json_object(whole):
                yield tools_pb2.ToolCallPiece(index=index, complete=call.message(whole))

    def part(self, index: int) -> messages_pb2.Part:
        """A call as a part of the answer."""
        call = self._calls[index]
        return messages_pb2.Part(tool_call=call.message(call.whole()))

    def names(self) -> tuple[str, ...]:
        """The tools that are to be called, in order."""
        return tuple(call.tool for _, call in sorted(self._calls.items()))


@dataclass(slots=True)
class _Proposed:
    call_id: str
    tool: str
    arguments: list[str] = field(default_factory=list)

    def whole(self) -> str:
        """The arguments; a model that gives none means an empty object."""
        return "".join(self.arguments) or "{}"

    def message(self, arguments: str) -> messages_pb2.ToolCall:
        return messages_pb2.ToolCall(call_id=self.call_id, tool=self.tool, arguments_json=arguments)
