"""A context for a prompt: passages that fit into a budget, fenced and numbered for citation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from core.call import Call
from core.checking import QUIET
from core.knowledge import Passage
from core.messages import Message, Role
from core.ports.retriever import Retriever, SearchRequest
from core.ports.token_counter import TokenCounter
from core.prompting.fencing import fenced_passage, nonce_for, passage_text


@checked(frozen=True, slots=True, config=QUIET)
class ContextRequest:
    """What is searched for, and how many tokens its text may have, by which model's counter."""

    search: SearchRequest
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] = 1500
    model: Annotated[str, Field(max_length=200)] = ""


@dataclass(frozen=True, slots=True)
class BuiltContext:
    """The text with its passages in order; `dropped` were found and did not fit."""

    text: str
    tokens: int
    used: tuple[Passage, ...]
    dropped: tuple[Passage, ...]
    degraded: bool


class ContextBuilder:
    """Searches, then fits what was found."""

    def __init__(self, retriever: Retriever, counter: TokenCounter) -> None:
        self._retriever = retriever
        self._counter = counter

    async def build(self, call: Call, request: ContextRequest) -> BuiltContext:
        """The context. Raises what the search raises, and NotFound for an unknown model."""
        found = await self._retriever.search(call, request.search)
        text, tokens, used = "", 0, 0
        fewest, most = 0, len(found.passages)
        while fewest < most:  # the largest number of passages, best first, that fits
            middle = (fewest + most + 1) // 2
            candidate = _text(found.passages[:middle])
            count = await self._counter.count([Message.of(Role.USER, candidate)], request.model)
            if count <= request.max_tokens:
                fewest, text, tokens, used = middle, candidate, count, middle
            else:
                most = middle - 1
        return BuiltContext(
            text, tokens, found.passages[:used], found.passages[used:], bool(found.missing)
        )


def _text(passages: Sequence[Passage]) -> str:
    nonce = nonce_for([passage_text(passage) for passage in passages])
    numbered = enumerate(passages, start=1)
    return "\n\n".join(fenced_passage(passage, number, nonce) for number, passage in numbered)
