"""Which call of a tool a piece belongs to, however its server numbers them."""

from __future__ import annotations

from dataclasses import dataclass, field

from adapters.models.tool_names import ToolNames, new_call_id
from core.generation import ToolCallDelta


@dataclass(slots=True)
class CallNumbers:
    """Numbers one answer's calls from 0 in the order in which they begin.

    OpenAI's own way is an index with every piece, id and name with the first. Others leave the
    index out, number all calls 0, repeat id or name with every piece, or give no id. A piece
    with an id that its number does not have yet, or with a name where there is neither id nor
    number, begins another call; an id that is missing is made up.
    """

    names: ToolNames
    _ids: list[str] = field(default_factory=list)
    _numbered: dict[int, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._ids)

    def take(
        self, number: int | None, call_id: str, tool: str, arguments: str
    ) -> list[ToolCallDelta]:
        """What this piece adds; nothing where it is empty."""
        at = self._known(number, call_id, tool)
        if at is None:
            return [self._begin(number, call_id, tool, arguments)]
        return [ToolCallDelta(at, arguments=arguments)] if arguments else []

    def _known(self, number: int | None, call_id: str, tool: str) -> int | None:
        """The call that the piece goes on with."""
        if number is not None:
            at = self._numbered.get(number)
            same = at is not None and call_id in ("", self._ids[at])
            return at if same else self._by_id(call_id)
        if call_id:
            return self._by_id(call_id)
        return None if tool or not self._ids else len(self._ids) - 1

    def _by_id(self, call_id: str) -> int | None:
        found = (at for at, given in enumerate(self._ids) if call_id and given == call_id)
        return next(found, None)

    def _begin(self, number: int | None, call_id: str, tool: str, arguments: str) -> ToolCallDelta:
        at = len(self._ids)
        self._ids.append(call_id)
        if number is not None:
            self._numbered[number] = at
        return ToolCallDelta(at, call_id or new_call_id(), self.names.back(tool), arguments)
