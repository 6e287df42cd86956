"""Names of tools and ids of calls, made what a provider takes, and made ours again."""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable

from core.generation import GenerationRequest
from core.messages import ToolCallPart

_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")


class ToolNames:
    """A name on the wire for each tool of a request.

    Most providers refuse dots and long names. A name that they take stays what it is; another
    becomes one of its own with a piece of its digest, and comes back as what it was.
    """

    def __init__(self, names: Iterable[str], longest: int) -> None:
        self._there = {name: _legal(name, longest) for name in names}
        self._back = {there: name for name, there in self._there.items()}

    @classmethod
    def of(cls, request: GenerationRequest, longest: int = 64) -> ToolNames:
        """The names of the tools that the request defines, chooses or speaks of."""
        options = request.options
        spoken_of = [
            part.tool
            for message in request.messages
            for part in message.parts
            if isinstance(part, ToolCallPart)
        ]
        chosen = [options.chosen_tool] if options.chosen_tool else []
        if not (options.tools or spoken_of or chosen):
            return NO_NAMES
        return cls([*(tool.name for tool in options.tools), *spoken_of, *chosen], longest)

    def there(self, name: str) -> str:
        """The name on the wire."""
        return self._there[name]

    def back(self, name: str) -> str:
        """Our name; a name that nobody gave is the model's own, and stays."""
        return self._back.get(name, name)


NO_NAMES = ToolNames((), 64)
"""Those of a request without tools."""


def _legal(name: str, longest: int) -> str:
    legal = _FORBIDDEN.sub("_", name)
    if legal == name and len(name) <= longest:
        return name
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{legal[: longest - 9]}_{mark}"


def legal_call_id(call_id: str, exactly: int | None = None, longest: int = 64) -> str:
    """The id as a provider takes it; equal ids stay equal, and most stay what they are.

    `exactly`: a provider wants so many letters and digits, no more and no fewer.
    """
    if exactly is not None:
        if len(call_id) == exactly and call_id.isascii() and call_id.isalnum():
            return call_id
        return hashlib.sha256(call_id.encode()).hexdigest()[:exactly]
    if call_id and len(call_id) <= longest and not _FORBIDDEN.search(call_id):
        return call_id
    return "call_" + hashlib.sha256(call_id.encode()).hexdigest()[:24]


def new_call_id() -> str:
    """An id for a call that its provider gave none."""
    return "call_" + uuid.uuid4().hex[:24]
