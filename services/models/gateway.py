"""Whichever deployment suits and answers: routed, fitted, recorded, called, in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from core.call import Call
from core.clock import Clock
from core.errors import ContextTooLong, DeadlineExceeded, FeatureUnsupported, ModelsUnavailable
from core.generation import (
    Deployment,
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelFinished,
    StopCause,
    Tier,
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
from core.prompting.assembly import fitting
from core.prompting.parts import PromptPart
from core.prompting.prompt import Prompt, render
from core.routing import Candidate, RoutingRequest, needed_capabilities, route
from core.turns.outcome import bookable_usage, cost_of
from core.turns.rows import Attempt
from services.models.attempts import Attempts
from services.models.deployments import Deployments

_FATAL = frozenset({ModelErrorKind.CONTENT_FILTERED})
"""Another deployment would be asked the same: what is refused for its content stays refused."""


@dataclass(slots=True)
class _Try:
    """One attempt while it runs."""

    attempt: Attempt
    deployment: Deployment
    prompt: Prompt
    output: int = 0
    finished: ModelFinished | None = None
    failures: list[str] = field(default_factory=list)

    @property
    def result(self) -> Attempt:
        """The attempt's row as it ended."""
        used = self.finished.usage if self.finished else None
        error = "" if self.finished else "; ".join(self.failures) or "stopped"
        return replace(self.attempt, used=used, output_bytes=self.output, error=error)


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
        failures: list[tuple[Deployment, Exception]] = []
        for place, candidate in enumerate(candidates):
            model = deployments.models[candidate.deployment.name]
            try:
                trial = await self._begin(order, model)
            except (ContextTooLong, ModelError) as error:
                failures.append((candidate.deployment, error))
                continue
            if failures:
                yield _switched(failures[-1], trial)
            call.facts.model_version = trial.deployment.name
            yield _selected(trial)
            try:
                async with aclosing(self._call(order, model, trial)) as events:
                    async for event in events:
                        yield event
                yield _completed(trial)
                return
            except ModelError as error:
                failures.append((candidate.deployment, error))
                last = place == len(candidates) - 1
                if trial.output or last or error.kind in _FATAL:
                    break
        raise _failed(failures)

    def _candidates(self, deployments: Deployments, order: GenerationOrder) -> Sequence[Candidate]:
        needs = needed_capabilities(order.options, render(order.parts))
        request = RoutingRequest(
            task=order.task,
            model="" if order.only_extractive else order.model,
            constraints=order.constraints,
            capabilities=frozenset() if order.only_extractive else needs,
            output_tokens=order.options.max_output_tokens,
            language=order.language,
            minimum_tier=order.minimum_tier,
            only_quotes=order.only_extractive,
        )
        decision = route(deployments.catalog, request, deployments.policy)
        if not decision.candidates:
            raise FeatureUnsupported(
                f"no deployment can serve this request: {decision.explanation()}"
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
        self, order: GenerationOrder, model: LanguageModel, trial: _Try
    ) -> AsyncGenerator[GatewayEvent, None]:
        """Stream one attempt; it is ended on record however it ends here."""
        request = _request(order, trial)
        try:
            left = Seconds(order.deadline - self._clock.monotonic())
            if left <= 0:
                raise DeadlineExceeded("no time was left for the model")
            async with aclosing(model.stream(request, timeout=left)) as events:
                async for event in events:
                    if isinstance(event, ModelFinished):
                        trial.finished = event
                    else:
                        trial.output += len(event.text.encode())
                        yield event
            if trial.finished is None:
                raise ModelError(ModelErrorKind.MALFORMED_STREAM, "the stream had no end")
        except ModelError as error:
            trial.failures.append(error.message)
            raise
        finally:
            await self._end(order, trial)

    async def _end(self, order: GenerationOrder, trial: _Try) -> None:
        """Write the attempt's end, also when this call is being cancelled."""
        ending = asyncio.ensure_future(
            self._attempts.end(trial.result, order.unit, trial.deployment)
        )
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
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


def _switched(failure: tuple[Deployment, Exception], trial: _Try) -> Switched:
    deployment, error = failure
    return Switched(deployment.name, trial.deployment.name, trial.attempt.number - 1, _cause(error))


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


def _cause(error: Exception) -> str:
    return error.kind.value if isinstance(error, ModelError) else "context_too_long"


def _failed(failures: Sequence[tuple[Deployment, Exception]]) -> Exception:
    """The error that the caller gets: the one cause where all share it, else all of them."""
    errors = [error for _, error in failures]
    if all(isinstance(error, ContextTooLong) for error in errors):
        return errors[0]
    return ModelsUnavailable([(deployment.name, _cause(error)) for deployment, error in failures])
