"""A language model that says what it is told, when it is told.

    model = ScriptedModel(
        script("Hello", Wait(0.2), " world"),
        script("Half an", Fail(ModelError(ModelErrorKind.CONNECTION, "cut"))),
        script("Hal", Hang()),
    )

The first call gets the first script, and so on; further calls get the last one again. What each
call asked for, and how it ended, stands in `model.calls`.
"""

from __future__ import annotations

import asyncio
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterator,
    Sequence,
)
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from typing import TypeVar

from adapters.models.refusals import refuse_unsupported
from core.catalog import Capability, Deployment, Tier
from core.generation import (
    AnswerOrigin,
    GenerationRequest,
    LogProbabilities,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    ReasoningDelta,
    ReasoningSealed,
    RefusalDelta,
    SourceCited,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import DeploymentName, Seconds
from core.messages import Message
from core.ports.token_bounds import TokenBounds, TokenCounting

T = TypeVar("T")

TOKENS_A_MESSAGE = 4
PIECES = (TextDelta, ReasoningDelta, RefusalDelta, ToolCallDelta)


@dataclass(frozen=True, slots=True)
class Say:
    """One piece of the answer, which counts as one token."""

    text: str


@dataclass(frozen=True, slots=True)
class Think:
    text: str


@dataclass(frozen=True, slots=True)
class Decline:
    text: str


@dataclass(frozen=True, slots=True)
class Propose:
    """A piece of a proposal to call a tool; id and name come with the first of its number."""

    arguments: str
    index: int = 0
    call_id: str = ""
    tool: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Any other event: who answers, a seal, log-probabilities, a source. It is no token."""

    event: AnswerOrigin | ReasoningSealed | LogProbabilities | SourceCited


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing comes for so long, by the model's own `sleep`."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Meet:
    """Tells a test that the model is here, and goes on when the test lets it."""

    reached: asyncio.Event
    go_on: asyncio.Event


@dataclass(frozen=True, slots=True)
class Fail:
    error: ModelError


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing comes any more: until the reader leaves, the time-out, or close().

    A `stubborn` model goes on for so many seconds after it was told to stop.
    """

    stubborn: float = 0.0


@dataclass(frozen=True, slots=True)
class Finish:
    """The end, with the counts of tokens that really came, or with these."""

    cause: StopCause = StopCause.STOP
    usage: TokenUsage | None = None


Step = Say | Think | Decline | Propose | Tell | Wait | Meet | Fail | Hang | Finish
Script = tuple[Step, ...]


def script(*steps: Step | str) -> Script:
    """Steps in order; a string is said. Without an end of its own, it finishes well."""
    made = tuple(Say(step) if isinstance(step, str) else step for step in steps)
    return made if made and isinstance(made[-1], (Fail, Hang, Finish)) else (*made, Finish())


def words(text: str, *, pause: float = 0.0) -> Script:
    """The text word by word, with a pause before each."""
    pieces = [word + " " for word in text.split(" ")]
    pieces[-1] = pieces[-1].removesuffix(" ")
    if not pause:
        return script(*pieces)
    return script(*(step for piece in pieces for step in (Wait(pause), Say(piece))))


class Outcome(Enum):
    RUNNING = auto()
    FINISHED = auto()
    FAILED = auto()
    STOPPED = auto()  # the reader left


@dataclass(slots=True)
class Call:
    """One call: what was asked, what has come of it so far, how it ended."""

    request: GenerationRequest
    timeout: Seconds
    end: float  # on the event loop's clock
    events: list[ModelEvent] = field(default_factory=list)
    outcome: Outcome = Outcome.RUNNING

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def tokens(self) -> int:
        """One a piece."""
        return sum(isinstance(event, PIECES) for event in self.events)


def a_deployment(name: str = "scripted") -> Deployment:
    """A deployment with plenty of everything; `dataclasses.replace` makes others of it."""
    return Deployment(
        name=DeploymentName(name),
        model=f"{name}-model",
        provider="test",
        tier=Tier.SMALL,
        context_window=8_192,
        max_output_tokens=1_024,
        capabilities=frozenset({Capability.SEED}),
    )


class ScriptedModel:
    """Says what its scripts say.

    `choose` picks the script from the request instead. `slots` limits the calls that run at once;
    further ones wait. `sleep` is what Wait uses: hand in one that returns at once, or moves a
    clock. Set `broken` to let every further call fail with that error, before its first event.
    """

    def __init__(
        self,
        *scripts: Script,
        choose: Callable[[GenerationRequest], Script] | None = None,
        deployment: Deployment | None = None,
        slots: int = 1_000,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._scripts = scripts or (script("Hello."),)
        self._choose = choose
        self._deployment = deployment or a_deployment()
        self._slots = asyncio.Semaphore(slots)
        self._sleep = sleep
        self._scopes: set[asyncio.Timeout] = set()
        self._closed = False
        self.broken: ModelError | None = None
        self.calls: list[Call] = []
        self.most_running = 0
        self.counted: list[tuple[Message, ...]] = []

    @property
    def deployment(self) -> Deployment:
        return self._deployment

    @property
    def running(self) -> int:
        """How many calls are neither finished, failed nor stopped."""
        return sum(call.outcome is Outcome.RUNNING for call in self.calls)

    async def stream(
        self, request: GenerationRequest, *, timeout: Seconds
    ) -> AsyncGenerator[ModelEvent, None]:
        refuse_unsupported(request, self._deployment, frozenset(Capability))
        steps = self._script(request)
        call = Call(request, timeout, asyncio.get_running_loop().time() + timeout)
        self.calls.append(call)
        self.most_running = max(self.most_running, self.running)
        with _recorded(call):
            async with self._slot(call):
                for step in steps:
                    event = await self._within(call, partial(self._perform, step, call))
                    if event is not None:
                        call.events.append(event)
                        yield event
                    if isinstance(event, ModelFinished):
                        return

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        self.counted.append(tuple(messages))
        return prompt_tokens(messages)

    async def count_bounds(self, messages: Sequence[Message]) -> TokenBounds:
        tokens = prompt_tokens(messages)
        return TokenBounds(tokens, tokens, TokenCounting.EXACT)

    async def close(self) -> None:
        self._closed = True
        for scope in self._scopes:
            scope.reschedule(asyncio.get_running_loop().time())

    def _script(self, request: GenerationRequest) -> Script:
        if self._choose is not None:
            return self._choose(request)
        return self._scripts[min(len(self.calls), len(self._scripts) - 1)]

    @asynccontextmanager
    async def _slot(self, call: Call) -> AsyncIterator[None]:
        await self._within(call, self._slots.acquire)
        try:
            if self.broken is not None:
                raise self.broken
            yield
        finally:
            self._slots.release()

    async def _within(self, call: Call, start: Callable[[], Awaitable[T]]) -> T:
        """What is started, unless the time-out or close() comes first."""
        if self._closed:
            raise ModelError(ModelErrorKind.CONNECTION, "the scripted model is closed")
        try:
            async with asyncio.timeout_at(call.end) as scope:
                self._scopes.add(scope)
                try:
                    return await start()
                finally:
                    self._scopes.discard(scope)
        except TimeoutError:
            kind = ModelErrorKind.CONNECTION if self._closed else ModelErrorKind.TIMEOUT
            cause = "was closed" if self._closed else f"had {call.timeout:g} s"
            raise ModelError(kind, f"the scripted model {cause}") from None

    async def _perform(self, step: Step, call: Call) -> ModelEvent | None:
        await asyncio.sleep(0)  # no model answers without letting others run
        limit = call.request.options.max_output_tokens or self._deployment.max_output_tokens
        match step:
            case Say() | Think() | Decline() | Propose() if call.tokens >= limit:
                return _finished(Finish(StopCause.LENGTH), call)
            case Say() | Think() | Decline() | Propose() | Tell():
                return _event(step)
            case Wait(seconds):
                await self._sleep(seconds)
            case Meet(reached, go_on):
                reached.set()
                await go_on.wait()
            case Fail(error):
                raise error
            case Hang(stubborn):
                await _hang(stubborn)
            case Finish():
                return _finished(step, call)
        return None


def _event(step: Say | Think | Decline | Propose | Tell) -> ModelEvent:
    match step:
        case Say(text):
            return TextDelta(text)
        case Think(text):
            return ReasoningDelta(text)
        case Decline(text):
            return RefusalDelta(text)
        case Propose(arguments, index, call_id, tool):
            return ToolCallDelta(index, call_id, tool, arguments)
        case Tell(event):
            return event


def prompt_tokens(messages: Sequence[Message]) -> int:
    """What this model counts and charges: words, and some tokens for each message."""
    return sum(len(message.text.split()) + TOKENS_A_MESSAGE for message in messages)


async def _hang(stubborn: float) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(stubborn)


def _finished(finish: Finish, call: Call) -> ModelFinished:
    reasoning = sum(isinstance(event, ReasoningDelta) for event in call.events)
    real = TokenUsage(prompt_tokens(call.request.messages), call.tokens, 0, reasoning)
    called = any(isinstance(event, ToolCallDelta) for event in call.events)
    stopped = called and finish.cause is StopCause.STOP
    cause = StopCause.TOOL_CALLS if stopped else finish.cause
    return ModelFinished(cause, finish.usage or real)


@contextmanager
def _recorded(call: Call) -> Iterator[None]:
    """Writes down how the call ends."""
    try:
        yield
        call.outcome = Outcome.FINISHED
    except ModelError:
        call.outcome = Outcome.FAILED
        raise
    finally:
        if call.outcome is Outcome.RUNNING:
            whole = bool(call.events) and isinstance(call.events[-1], ModelFinished)
            call.outcome = Outcome.FINISHED if whole else Outcome.STOPPED
