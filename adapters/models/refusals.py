"""Requests that a deployment cannot serve are refused by the name of what it lacks."""

from __future__ import annotations

from core.catalog import Capability, Deployment
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ToolChoice,
)
from core.routing import needed_capabilities


def refuse_unsupported(
    request: GenerationRequest, deployment: Deployment, possible: frozenset[Capability]
) -> None:
    """Raises ModelError (UNSUPPORTED) unless the deployment can do all that the request needs.

    `possible` is what the adapter can do at all: the catalog may say less of a deployment, and
    what it says beyond that is not believed. Raises ModelError (BAD_REQUEST) where the request
    demands the call of a tool that it does not define.
    """
    needed = needed_capabilities(request.options, request.messages)
    missing = sorted(one.value for one in needed - (deployment.capabilities & possible))
    if missing:
        raise ModelError(
            ModelErrorKind.UNSUPPORTED,
            f"the deployment {deployment.name} does not support {', '.join(missing)}",
        )
    _check_choice(request.options)


def _check_choice(options: GenerationOptions) -> None:
    """Raises ModelError (BAD_REQUEST) where a tool must be called that is not there."""
    names = {tool.name for tool in options.tools}
    choice = options.tool_choice
    if choice is ToolChoice.REQUIRED and not names:
        raise ModelError(ModelErrorKind.BAD_REQUEST, "a tool must be called, and none is defined")
    if choice is ToolChoice.ONE and options.chosen_tool not in names:
        raise ModelError(
            ModelErrorKind.BAD_REQUEST, "the tool that must be called is not among those defined"
        )
