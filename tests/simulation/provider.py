"""The provider of models: it does what its scripts say, and counts what it was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from core.catalog import Capability, Deployment, Tier
from core.generation import (
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.identifiers import DeploymentName, Seconds
from core.messages import Message
from core.prices import Prices
from simulation.loop import Actor, SeededLoop
from simulation.plan import Fail, Hang, Question, Say, Wait

PROMPT_TOKENS = 7


@dataclass(slots=True, eq=False)
class ProviderCall:
    """One call as the provider has it.

    `heard_at`: when the caller took the final count of tokens. `told`: when the provider was
    told to stop, or had said all; `ended`: when it did.
    """

    boot: str
    actor: Actor
    question: int
    deployment: DeploymentName
    began: float
    said: int = 0
    usage: TokenUsage | None = None
    heard_at: float | None = None
    told: float | None = None
    ended: float | None = None
    turn: str = ""
    attempt: int = 0
    epoch: int = 0


class Provider:
    """What all replicas call. `on_call` is told of each call before it is answered."""

    def __init__(self, loop: SeededLoop, questions: Sequence[Question]) -> None:
        self.calls: list[ProviderCall] = []
        self.on_call: Callable[[ProviderCall], None] = lambda _: None
        self.on_end: Callable[[ProviderCall], None] = lambda _: None
        self._loop = loop
        self._questions = questions

    def begin(self, boot: str, deployment: DeploymentName, words: str) -> ProviderCall:
        """Count a call."""
        number = int(words.split(maxsplit=1)[0].removeprefix("q"))
        actor = self._loop.current()
        call = ProviderCall(boot, actor, number, deployment, self._loop.time())
        self.calls.append(call)
        self.on_call(call)
        return call

    def end(self, call: ProviderCall) -> None:
        """The provider is told that nobody listens any more, or has said all."""
        if call.ended is None:
            call.ended = self._loop.time()
            call.told = call.ended if call.told is None else call.told
            self.on_end(call)

    def hang_up(self, boot: str) -> None:
        """All connections of a replica that died are gone."""
        for call in self.calls:
            if call.boot == boot:
                self.end(call)

    def script_of(self, call: ProviderCall) -> Sequence[Say | Wait | Fail | Hang]:
        """What this call gets: the next of its question's scripts."""
        scripts = self._questions[call.question].scripts
        before = sum(each.question == call.question for each in self.calls) - 1
        return scripts[min(before, len(scripts) - 1)]


def a_deployment(name: str, tier: Tier) -> Deployment:
    """An entry of the catalog."""
    return Deployment(
        name=DeploymentName(name),
        model=name,
        provider="simulated",
        tier=tier,
        context_window=8_192,
        max_output_tokens=1_024,
        capabilities=frozenset({Capability.SEED}),
        prices=Prices(input=Decimal(1), output=Decimal(2)),
    )


@dataclass
class SimulatedModel:
    """See core.ports.language_model.LanguageModel: one deployment as one replica reaches it."""

    provider: Provider
    boot: str
    deployment: Deployment
    closed: bool = field(default=False)

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        call = self.provider.begin(self.boot, self.deployment.name, request.question)
        stubborn = 0.0
        try:
            async with asyncio.timeout(timeout):
                for step in self.provider.script_of(call):
                    match step:
                        case Say(text):
                            call.said += 1
                            yield TextDelta(f"{text}{call.said} ")
                        case Wait(seconds):
                            await asyncio.sleep(seconds)
                        case Fail():
                            raise ModelError(ModelErrorKind.OVERLOADED, "busy")
                        case Hang(stubborn):
                            await asyncio.get_running_loop().create_future()
            call.usage = TokenUsage(PROMPT_TOKENS, call.said)
            self.provider.end(call)
            yield ModelFinished(StopCause.STOP, call.usage)
            call.heard_at = asyncio.get_running_loop().time()
        except TimeoutError:
            raise ModelError(ModelErrorKind.TIMEOUT, "too late") from None
        finally:
            try:
                if stubborn and call.ended is None:
                    call.told = asyncio.get_running_loop().time()
                    await asyncio.sleep(stubborn)
            finally:
                self.provider.end(call)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return PROMPT_TOKENS

    async def close(self) -> None:
        self.closed = True
