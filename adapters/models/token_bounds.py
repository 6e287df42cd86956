"""How many tokens messages take at most, where the model's own tokenizer cannot be asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from core.generation import ModelError, ModelErrorKind
from core.messages import (
    ImagePart,
    Message,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from core.ports.token_bounds import TokenBounds, TokenCounting

if TYPE_CHECKING:
    from tokenizers import Tokenizer

MESSAGE_OVERHEAD = 8
"""Tokens a message beyond its text (role, delimiters), and again for each part that is no text."""
REQUEST_OVERHEAD = 64
"""Tokens a prompt: the opening of the answer, and a system prompt that a template brings along."""
LONGEST_TOKEN = 128
"""Bytes of UTF-8 that a token stands for at most, in all vocabularies that we know: the longest
are runs of blanks."""
IMAGE_BOUND = 4_096
"""Tokens an image. No provider that we know of charges more for one."""


def utf8_bound(text: str) -> int:
    """The bytes of the text in UTF-8, which the tokenizers of language models do not exceed.

    A token of a byte-level BPE (GPT, Llama 3, Qwen) stands for at least one byte, and so does one
    of a SentencePiece model with byte fallback (Llama 2, Gemma, Mistral), but for a space that it
    may put in front: that is in MESSAGE_OVERHEAD. English takes about a quarter of the bound,
    Chinese about half: a deployment with a small window should be given its tokenizer.
    """
    return len(text.encode("utf-8", "surrogatepass"))


class TokenizerFile:
    """Counts with a `tokenizer.json` as Hugging Face's tokenizers write it, read on first use."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tokenizer: Tokenizer | None = None

    def __call__(self, text: str) -> int:
        """The tokens of this text, exactly. Raises ModelError (WEIGHTS_MISSING)."""
        if self._tokenizer is None:
            self._tokenizer = self._read()
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def _read(self) -> Tokenizer:
        from tokenizers import Tokenizer

        if not self._file.is_file():
            raise ModelError(
                ModelErrorKind.WEIGHTS_MISSING,
                f"the tokenizer file {self._file.name} is missing on the server; "
                "correct its path in the settings, or leave it out",
            )
        tokenizer = Tokenizer.from_file(str(self._file))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return tokenizer


async def bound_tokens(messages: Sequence[Message], count: Callable[[str], int]) -> int:
    """The upper bound for these messages, where `count` is exact or a bound for plain text."""
    texts = [text for message in messages for text in _texts(message)]
    if count is utf8_bound:
        tokens = sum(map(count, texts))
    else:
        tokens = await asyncio.to_thread(lambda: sum(map(count, texts)))
    others = [
        part for message in messages for part in message.parts if not isinstance(part, TextPart)
    ]
    images = sum(isinstance(part, ImagePart) for part in others)
    overhead = REQUEST_OVERHEAD + MESSAGE_OVERHEAD * (len(messages) + len(others))
    return tokens + overhead + IMAGE_BOUND * images


async def token_bounds(messages: Sequence[Message], count: Callable[[str], int]) -> TokenBounds:
    """The same with the least that it can be: the texts alone, without their outer blanks.

    All else that stands in the messages may be written otherwise, or be left out, by a format.
    """
    most = await bound_tokens(messages, count)
    texts = [text for message in messages if (text := message.text.strip())]
    if count is utf8_bound:
        least = sum(-(-utf8_bound(text) // LONGEST_TOKEN) for text in texts)
        return TokenBounds(least, most, TokenCounting.BYTES)
    least = await asyncio.to_thread(lambda: sum(map(count, texts)))
    return TokenBounds(min(least, most), most, TokenCounting.TOKENIZER)


def _texts(message: Message) -> list[str]:
    """Every text that goes to the provider."""
    texts = [message.text]
    for part in message.parts:
        match part:
            case ToolCallPart(call_id, tool, arguments):
                texts += [call_id, tool, arguments]
            case ToolResultPart(call_id, content):
                texts += [call_id, content]
            case ReasoningPart(text, seal):
                texts += [text, seal]
            case TextPart() | ImagePart():
                pass
    return texts
