"""The scripted model of a process in a storm. It writes down what it is asked for and says.

A line is in the kernel before the next word is said, so that it outlasts the process.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from itertools import count
from pathlib import Path

from core.catalog import Deployment, Tier
from core.generation import (
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    TextDelta,
    TokenUsage,
)
from core.identifiers import Seconds
from core.messages import Message
from core.prices import Prices
from fakes.language_model import Script, ScriptedModel, a_deployment, prompt_tokens
from storm.questions import Question, first_call_fails

FIRST, SECOND = "first", "second"
PRICES = Prices(Decimal(1), Decimal(2))


class Notebook:
    """Lines of JSON in a file of this process alone, appended one at a time."""

    def __init__(self, file: Path) -> None:
        self._file = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._numbers = count(1)
        self._life = file.stem

    def next_call(self) -> str:
        """A name for a call that no process has given before."""
        return f"{self._life}/{next(self._numbers)}"

    def note(self, **facts: object) -> None:
        """Append a line."""
        os.write(self._file, json.dumps({"at": time.time(), **facts}).encode() + b"\n")


class RecordedModel:
    """Answers questions of a storm, as one deployment."""

    def __init__(self, name: str, notebook: Notebook) -> None:
        self._notebook = notebook
        self._model = ScriptedModel(choose=_script, deployment=_deployment(name))

    @property
    def deployment(self) -> Deployment:
        return self._model.deployment

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        question, call = Question.in_prompt(request.messages), self._notebook.next_call()
        asked = {"call": call, "name": question.name, "deployment": self.deployment.name}
        self._notebook.note(**asked, prompt=prompt_tokens(request.messages))
        words, usage = 0, None
        try:
            if self.deployment.name == FIRST and first_call_fails(question.name):
                raise ModelError(ModelErrorKind.OVERLOADED, "the storm keeps it busy")
            async with aclosing(self._model.stream(request, timeout=timeout)) as events:
                async for event in events:
                    words += isinstance(event, TextDelta)
                    if isinstance(event, ModelFinished):
                        usage = event.usage
                    yield event
        finally:
            self._notebook.note(**asked, words=words, usage=_counts(usage))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return await self._model.count_tokens(messages)

    async def close(self) -> None:
        await self._model.close()


def _script(request: GenerationRequest) -> Script:
    return Question.in_prompt(request.messages).script()


def _counts(usage: TokenUsage | None) -> Mapping[str, int | None] | None:
    return None if usage is None else {"prompt": usage.prompt, "completion": usage.completion}


def _deployment(name: str) -> Deployment:
    return replace(
        a_deployment(name),
        tier=Tier.STRONG,
        context_window=1_000_000,
        max_output_tokens=8_000,
        prices=PRICES,
    )
