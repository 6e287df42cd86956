"""Thoughts that a server of Chat Completions wants back, put together as it wants them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence

from pydantic import JsonValue

from adapters.models.openai_dialects import Dialect
from core.generation import ModelEvent, ReasoningSealed

_ADDED_UP = ("text", "summary", "data")


class SealedThoughts:
    """Gathers what came since the last seal, and seals it once the answer goes on.

    DeepSeek wants the text itself back, and needs no seal for that; OpenRouter a list of details,
    which come in pieces that belong together by their index.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._thought = False
        self._details: list[dict[str, JsonValue]] = []

    def think(self, text: str, details: Iterable[Mapping[str, JsonValue]] | None) -> None:
        """More thoughts, and more of their details."""
        if not self._dialect.thoughts_back:
            return
        self._thought = self._thought or bool(text)
        for detail in details or ():
            self._add(detail)

    def close(self) -> Sequence[ModelEvent]:
        """The seal, if there is anything to seal."""
        sealed = self._details or self._thought
        if not sealed:
            return ()
        details, self._details, self._thought = self._details, [], False
        seal = json.dumps(details, ensure_ascii=False) if details else ""
        return (ReasoningSealed(seal, self._dialect.name),)

    def _add(self, detail: Mapping[str, JsonValue]) -> None:
        last = self._details[-1] if self._details else None
        same = last is not None and all(
            last.get(name) == detail.get(name) for name in ("index", "type")
        )
        if last is None or not same:
            self._details.append(dict(detail))
            return
        for name, value in detail.items():
            before = last.get(name)
            if name in _ADDED_UP and isinstance(before, str) and isinstance(value, str):
                last[name] = before + value
            elif value is not None:
                last[name] = value
