"""What the options of a request add to its prompt."""

from __future__ import annotations

from core.generation import GenerationOptions

_A_TOOL = 32
"""Tokens a tool beyond its texts: how it is wrapped differs between models."""
_TOOLS = 512
"""Tokens that a provider adds where there are tools at all; Anthropic, the most, up to 346."""
_A_SCHEMA = 64


def option_tokens(options: GenerationOptions) -> int:
    """An upper bound of the tokens that tools and a response schema take, whatever the model.

    They are part of the prompt that a provider reads and bills. As for messages, a token stands
    for a byte of UTF-8 at least.
    """
    if not options.tools and not options.response_schema:
        return 0
    tools = sum(
        _A_TOOL + _bytes(tool.name) + _bytes(tool.description) + _bytes(tool.parameters)
        for tool in options.tools
    )
    schema = _A_SCHEMA + _bytes(options.response_schema) if options.response_schema else 0
    return (_TOOLS + tools if tools else 0) + schema


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
