"""A generation request as llama.cpp's server takes it, safe to put through a chat template."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from itertools import takewhile

from adapters.models.openai_dialects import LLAMA_CPP_LIBRARY
from adapters.models.openai_request import message_shapes, request_body
from core.catalog import Deployment
from core.generation import GenerationRequest
from core.messages import Message, Role

_CHAT_ML = frozenset({"<|im_start|>", "<|im_end|>"})
"""llama.cpp renders a model without a template of its own in this one."""
_WORD_JOINER = "\u2060"
_SEEDS = 2**32 - 1
"""llama.cpp's seeds are 32 bits wide, and the last of them means a random one."""
_DIALECT = LLAMA_CPP_LIBRARY


class ControlTokens:
    """Keeps control tokens out of what people and documents say.

    llama.cpp tokenizes the rendered prompt as a whole: a text that spells `<|im_end|>` would end
    its message there and could open another in the system's name. A word joiner, which has no
    width, after the first character of such a spelling makes it plain text again.
    """

    def __init__(self, tokens: Collection[str]) -> None:
        longest_first = sorted({*tokens, *_CHAT_ML}, key=len, reverse=True)
        self._spelled = re.compile("|".join(map(re.escape, longest_first)))

    def disarm(self, text: str) -> str:
        """The text, which looks the same, without any control token."""
        return self._spelled.sub(lambda match: match[0][0] + _WORD_JOINER + match[0][1:], text)


def llama_messages(messages: Sequence[Message], tokens: ControlTokens) -> list[dict[str, object]]:
    """The messages for the template. Those of system and developer at the top become one.

    Most templates know only one system message, at the beginning.
    """
    opening = list(takewhile(lambda one: one.role in (Role.SYSTEM, Role.DEVELOPER), messages))
    merged = [Message.of(Role.SYSTEM, "\n\n".join(one.text for one in opening))] if opening else []
    return [
        shape | {"content": tokens.disarm(message.text)}
        for message in merged + list(messages[len(opening) :])
        for shape in message_shapes(message, _DIALECT)
    ]


def llama_body(
    request: GenerationRequest,
    deployment: Deployment,
    tokens: ControlTokens,
    *,
    reuse_prompts: bool,
) -> dict[str, object]:
    """The body of a chat completion, streamed, that reports how far the prompt is read.

    A fixed seed means that the answer shall come out the same again: it may then not depend on
    what the slot has read before. Raises ModelError (BAD_REQUEST).
    """
    seed = request.options.seed
    options = replace(request.options, seed=None if seed is None else seed % _SEEDS)
    body = request_body(replace(request, messages=(), options=options), deployment, _DIALECT)
    return body | {
        "messages": llama_messages(request.messages, tokens),
        "return_progress": True,
        "cache_prompt": reuse_prompts and seed is None,
    }
