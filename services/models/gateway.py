"""Whichever deployment suits and answers: routed, fitted, recorded, called, in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from core.call import Call
from core.catalog import Deployment, Tier
from core.clock import Clock
from core.errors import ContextTooLong, DeadlineExceeded, FeatureUnsupported, ModelsUnavailable
from core.generation import (
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
)
from core.identifiers import Seconds
from core.messages import Message
from core.ports.language_model import LanguageModel
from core.ports.model_gateway import (
    Completed,
    GatewayEvent,
    GenerationOrder,
    Selected,
    Switched,
)
from core.ports.state import StoreUnavailable
from core.prices import cost_of
from core.prompting.assembly import fitting
from core.prompting.parts import PromptPart
from core.prompting.prompt import Prompt, render
from core.routing import Candidate, RoutingRequest, needed_capabilities, route
from core.turns.outcome import bookable_usage
from core.turns.rows import Attempt
from services.models.attempts import NOTHING, Attempts
from services.models.deployments import Deployments

Said = TextDelta | ReasoningDelta | RefusalDelta

_FATAL = frozenset({ModelErrorKind.CONTENT_FILTERED})
"""Another deployment would be asked the same: what is refused for its content stays refused."""


@dataclass(slots=True)
class _Try:
    """One attempt while it runs. `output` is in bytes."""

    attempt: Attempt
    deployment: Deployment
    prompt: Prompt
    called: bool = False
    output: int = 0
    finished: ModelFinished | None = None
    failure: str = "stopped"

    @property
    def result(self) -> Attempt:
        """The attempt's row as it ended."""
        if self.finished is not None:
            return replace(self.attempt, used=self.finished.usage, output_bytes=self.output)
        used = None if self.called else NOTHING
        return replace(self.attempt, used=used, output_bytes=self.output, error=self.failure)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A candidate that could not answer. `attempt` is 0 where it was not called at all."""

    deployment: Deployment
    error: ModelError | ContextTooLong
    attempt: int = 0

    @property
    def cause(self) -> str:
        return self.error.kind.value if isinstance(self.error, ModelError) else "context_too_long"


class Gateway:
    """The ModelGateway of a process that hosts its own deployments."""

    def __init__(
        self, deployments: Callable[[], Deployments], attempts: Attempts, clock: Clock
    ) -> None:
        self._deployments = deployments
        self._attempts = attempts
        self._clock = clock

    async def generate(
        self, call: Call, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        """As the port says: candidates in order, until one answers or has begun to."""
        deployments = self._deployments()
        candidates = self._candidates(deployments, order)
        failures: list[_Failed] = []
        told = 0
        for candidate in candidates:
            model = deployments.models[candidate.deployment.name]
            try:
                trial = await self._begin(order, model)
            except (ContextTooLong, ModelError) as error:
                failures.append(_Failed(candidate.deployment, error))
                continue
            call.facts.model_version = trial.deployment.name
            opening: list[GatewayEvent] = [
                *(_switched(failed, trial) for failed in failures[told:]),
                _selected(trial),
            ]
            told = len(failures)
            try:
                async with aclosing(self._call(order, model, trial, opening)) as events:
                    async for event in events:
                        yield event
                yield _completed(trial)
                return
            except ModelError as error:
                failures.append(_Failed(candidate.deployment, error, trial.attempt.number))
                if trial.output or error.kind in _FATAL:
                    break
        raise _error_of(failures)

    def _candidates(self, deployments: Deployments, order: GenerationOrder) -> Sequence[Candidate]:
        decision = route(deployments.catalog, _wanted(order), deployments.policy)
        if not decision.candidates:
            raise FeatureUnsupported(
                f"no deployment can serve this request: {decision.explanation()}", feature="model"
            )
        return decision.candidates

    async def _begin(self, order: GenerationOrder, model: LanguageModel) -> _Try:
        """Fit the prompt to this deployment's window, and put the attempt on record."""
        deployment = model.deployment
        output = _output_room(order.options, deployment)
        prompt = await _fit(order.parts, deployment.context_window - output, model)
        attempt = await self._attempts.begin(order.unit, deployment, prompt.tokens, output)
        return _Try(attempt, deployment, prompt)

    async def _call(
        self,
        order: GenerationOrder,
        model: LanguageModel,
        trial: _Try,
        opening: Sequence[GatewayEvent],
    ) -> AsyncGenerator[GatewayEvent, None]:
        """Stream one attempt; it is ended on record however, and wherever, it ends here."""
        try:
            for event in opening:
                yield event
            left = Seconds(order.deadline - self._clock.monotonic())
            if left <= 0:
                raise DeadlineExceeded("no time was left for the model")
            trial.called = True
            async with aclosing(model.stream(_request(order, trial), timeout=left)) as pieces:
                async for piece in pieces:
                    if isinstance(piece, ModelFinished):
                        trial.finished = piece
                    elif isinstance(piece, Said):
                        said = _storable(piece)
                        trial.output += len(said.text.encode())
                        yield said
            if trial.finished is None:
                raise ModelError(ModelErrorKind.MALFORMED_STREAM, "the stream had no end")
        except ModelError as error:
            trial.failure = error.message
            raise
        finally:
            await self._end(order, trial)

    async def _end(self, order: GenerationOrder, trial: _Try) -> None:
        """Write the attempt's end, also when this call is being cancelled.

        While the store is away a turn goes on without: its settlement books what is open, by
        what its log says.
        """
        ending = asyncio.ensure_future(
            self._attempts.end(trial.result, order.unit, trial.deployment)
        )
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            ending.exception()
            raise
        except StoreUnavailable:
            if order.unit.epoch is None:
                raise


async def _fit(parts: Sequence[PromptPart], budget: int, model: LanguageModel) -> Prompt:
    """The prompt that fits, counted by the model that will read it."""
    steps = fitting(parts, budget)
    messages: Sequence[Message] = next(steps)
    while True:
        tokens = await model.count_tokens(messages)
        try:
            messages = steps.send(tokens)
        except StopIteration as end:
            prompt: Prompt = end.value
            return prompt


def _wanted(order: GenerationOrder) -> RoutingRequest:
    """What is asked of the catalog. Quotations need nothing but a model that quotes."""
    if order.only_extractive:
        constraints = replace(order.constraints, tier=None)
        return RoutingRequest(order.task, constraints=constraints, only_quotes=True)
    return RoutingRequest(
        task=order.task,
        model=order.model,
        constraints=order.constraints,
        capabilities=needed_capabilities(order.options, render(order.parts)),
        output_tokens=order.options.max_output_tokens,
        language=order.language,
        minimum_tier=order.minimum_tier,
    )


def _output_room(options: GenerationOptions, deployment: Deployment) -> int:
    """Tokens kept free for the answer: what is asked for, at most half of a small window."""
    wanted = options.max_output_tokens or deployment.max_output_tokens
    return min(wanted, deployment.max_output_tokens, deployment.context_window // 2)


def _request(order: GenerationOrder, trial: _Try) -> GenerationRequest:
    room = _output_room(order.options, trial.deployment)
    options = replace(order.options, max_output_tokens=room)
    if trial.deployment.tier is Tier.EXTRACTIVE:
        options = GenerationOptions(max_output_tokens=room)
    return GenerationRequest(
        messages=trial.prompt.messages,
        options=options,
        question=order.question,
        context=trial.prompt.passages(order.context),
    )


def _selected(trial: _Try) -> Selected:
    return Selected(
        trial.deployment,
        trial.attempt.number,
        trial.prompt.tokens,
        trial.prompt.dropped_sources(),
    )


def _switched(failed: _Failed, trial: _Try) -> Switched:
    return Switched(failed.deployment.name, trial.deployment.name, failed.attempt, failed.cause)


def _completed(trial: _Try) -> Completed:
    usage, estimated = bookable_usage(trial.result)
    return Completed(
        cause=trial.finished.cause if trial.finished else StopCause.STOP,
        deployment=trial.deployment,
        attempt=trial.attempt.number,
        usage=usage,
        estimated=estimated,
        cost=cost_of(usage, trial.deployment.prices),
        currency=trial.deployment.prices.currency,
    )


def _error_of(failures: Sequence[_Failed]) -> Exception:
    """The error that the caller gets: the one cause where all share it, else all of them."""
    if all(isinstance(failed.error, ContextTooLong) for failed in failures):
        return failures[0].error
    return ModelsUnavailable([(failed.deployment.name, failed.cause) for failed in failures])


def _storable(piece: Said) -> Said:
    """The same, without halves of surrogate pairs, which no encoding of text can hold."""
    if piece.text.isascii():
        return piece
    clean = piece.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return piece if clean == piece.text else replace(piece, text=clean)
