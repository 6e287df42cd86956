"""Untrusted text in a prompt: fenced, so that it can neither end its fence nor give orders.

A fence is a pair of tags whose name holds a nonce that occurs in none of the fenced texts. Text
that looks like a fence, and the control tokens of chat templates, are disarmed by changing one
character of each, so that a model still reads them and a tokenizer doesn't obey them.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from core.knowledge import Passage

FENCE_NAME = "source"
_NONCE_LENGTH = 8

_TAG_NAMES = (
    "s|bos|eos|pad|unk|mask|cls|sep|start_of_turn|end_of_turn|start_of_image|end_of_image|"
    "begin_of_text|end_of_text|endoftext|im_start|im_end|human|user|assistant|system|bot|"
    "think|thinking|tool_calls?|tool_response|tool_results?|function_calls?|function_results?|"
    "instructions?"
)
_ANGLE = re.compile(
    rf"[<＜](?=\s*[|｜])|<<(?=/?SYS>>)|<(?=\s*/?\s*(?:{_TAG_NAMES})\s*>)"
    rf"|<(?=\s*/?\s*{FENCE_NAME}\b)",
    re.IGNORECASE,
)
_BRACKET = re.compile(
    r"\[(?=\s*/?\s*(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|IMG|PREFIX"
    r"|MIDDLE|SUFFIX|gMASK|MASK|CLS|SEP)\s*\])",
    re.IGNORECASE,
)


def disarm(text: str) -> str:
    """`text` without anything that a chat template or a fence could take for its own.

    The first bracket of each such token is replaced (`<` by `‹`, `[` by `⁅`), so that no new
    token can arise. Disarming twice changes nothing more.
    """
    if "<" in text or "＜" in text:
        text = _ANGLE.sub(lambda match: "‹" * len(match.group()), text)
    return _BRACKET.sub("⁅", text) if "[" in text else text


def nonce_for(texts: Iterable[str]) -> str:
    """A short name that occurs in none of `texts`: the same for the same texts."""
    held = tuple(texts)
    if not held:
        return _OF_NOTHING
    digest = hashlib.sha256("\x00".join(held).encode("utf-8", "surrogatepass")).hexdigest()
    while any(digest[:_NONCE_LENGTH] in text for text in held):
        digest = hashlib.sha256(digest.encode()).hexdigest()
    return digest[:_NONCE_LENGTH]


_OF_NOTHING = hashlib.sha256(b"").hexdigest()[:_NONCE_LENGTH]


def fenced(text: str, nonce: str, label: str = "") -> str:
    """`text` between tags that it can't write, with a `label` of ours before them.

    Raises ValueError where the text holds the nonce.
    """
    if nonce in text:
        raise ValueError("the nonce occurs in the text that it is to fence")
    tag = f"{FENCE_NAME}-{nonce}"
    return f"{label}<{tag}>\n{disarm(text)}\n</{tag}>"


def passage_text(passage: Passage) -> str:
    """What a model reads of a passage: its title, its headings, its text. All is untrusted."""
    place = " > ".join(filter(None, (passage.title, *passage.chunk.heading)))
    return f"{place}\n{passage.chunk.text}" if place else passage.chunk.text


def fenced_passage(passage: Passage, number: int, nonce: str) -> str:
    """A passage under its citation number, which stands before the fence where it can't lie."""
    return fenced(passage_text(passage), nonce, f"[{number}] ")
