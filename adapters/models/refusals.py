"""Requests that a deployment cannot serve are refused by the name of what it lacks."""

from __future__ import annotations

from collections.abc import Sequence

from core.catalog import Capability, Deployment
from core.generation import GenerationRequest, ModelError, ModelErrorKind
from core.messages import Message, ToolCallPart, ToolResultPart
from core.routing import needed_capabilities


def refuse_unsupported(
    request: GenerationRequest, deployment: Deployment, possible: frozenset[Capability]
) -> None:
    """Raises ModelError (UNSUPPORTED) unless the deployment can do all that the request needs.

    `possible` is what the adapter can do at all: the catalog may say less of a deployment, and
    what it says beyond that is not believed.
    """
    needed = needed_capabilities(
        request.options, request.messages, tools=_speaks_of_tools(request.messages)
    )
    missing = sorted(one.value for one in needed - (deployment.capabilities & possible))
    if missing:
        raise ModelError(
            ModelErrorKind.UNSUPPORTED,
            f"the deployment {deployment.name} does not support {', '.join(missing)}",
        )


def _speaks_of_tools(messages: Sequence[Message]) -> bool:
    return any(
        isinstance(part, (ToolCallPart, ToolResultPart))
        for message in messages
        for part in message.parts
    )
