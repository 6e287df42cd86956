"""JSON schemas of answers and tools, checked before they go out."""

from __future__ import annotations

import json
from collections.abc import Iterable

from core.generation import GenerationRequest, ModelError, ModelErrorKind, ToolDefinition

DEEPEST_SCHEMA = 64
"""Levels of a schema; servers that compile it by recursion must survive it."""


def response_schema(request: GenerationRequest) -> dict[str, object]:
    """The schema that the answer must satisfy, parsed. Raises ModelError (BAD_REQUEST)."""
    return _schema(request.options.response_schema, "the response schema")


def parameters_schema(tool: ToolDefinition) -> dict[str, object]:
    """The schema of a tool's arguments, parsed. Raises ModelError (BAD_REQUEST)."""
    return _schema(tool.parameters, f"the parameters of the tool {tool.name}")


def is_closed(schema: object) -> bool:
    """Whether each object in it names all its members and requires them.

    OpenAI's strict mode takes no others. Where the schema is open, the form is asked for without
    that mode, and whoever asked for it checks the answer.
    """
    level: list[object] = [schema]
    while level:
        for one in level:
            if isinstance(one, dict) and ("properties" in one or one.get("type") == "object"):
                named = one.get("properties")
                required = one.get("required")
                names = set(named) if isinstance(named, dict) else set()
                demanded = set(map(str, required)) if isinstance(required, list) else set()
                if one.get("additionalProperties") is not False or names - demanded:
                    return False
        level = [child for one in level for child in _children(one)]
    return True


def _schema(text: str, what: str) -> dict[str, object]:
    try:
        schema: object = json.loads(text)
    except (ValueError, RecursionError):
        schema = None
    if not isinstance(schema, dict):
        raise ModelError(ModelErrorKind.BAD_REQUEST, f"{what} is not a JSON object")
    if _depth(schema, DEEPEST_SCHEMA) > DEEPEST_SCHEMA:
        raise ModelError(
            ModelErrorKind.BAD_REQUEST,
            f"{what} is nested more than {DEEPEST_SCHEMA} levels deep",
        )
    return schema


def _depth(value: object, limit: int) -> int:
    """Levels of nesting, counted to one beyond the limit at most."""
    depth = 0
    level = [value]
    while level and depth <= limit:
        depth += 1
        level = [child for one in level for child in _children(one)]
    return depth


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
