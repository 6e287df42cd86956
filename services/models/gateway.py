"""Whichever deployment suits and answers: routed, fitted, recorded, called, in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from core.call import Call
from core.clock import Clock
from core.errors import BudgetSpent, ContextTooLong, DeadlineExceeded
from core.generation import (
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelFinished,
    TextDelta,
)
from core.identifiers import Seconds
from core.ports.model_gateway import GatewayEvent, GenerationOrder, Routed, Switched
from core.ports.state import StoreUnavailable
from core.resilience.failures import ANSWERED, verdict_of
from core.resilience.load import hedge_after
from core.resilience.retries import retry_delay
from core.routing import route
from core.routing.course import Course
from services.models.arriving import Arriving
from services.models.attempts import Attempts
from services.models.boarding import Boarding
from services.models.deployments import Deployments
from services.models.hedging import Flight, first_to_speak
from services.models.holding import Held, Seam
from services.models.journey import Journey, TooDear, unreachable
from services.models.lanes import Lanes, TurnedAway
from services.models.spending import NO_BUDGETS, Budgets
from services.models.trial import Trial, size, storable
from services.models.wanted import Affinity, wanted

_LATE = Seconds(0.05)
"""A call that ended this close to its caller's deadline ended because of it."""


class Gateway:
    """The ModelGateway of a process that hosts its own deployments.

    `lanes` are the process's memory of how each deployment does; without, candidates are asked
    in order, each once.
    """

    def __init__(
        self,
        deployments: Callable[[], Deployments],
        attempts: Attempts,
        clock: Clock,
        lanes: Lanes | None = None,
        budgets: Budgets = NO_BUDGETS,
    ) -> None:
        self._deployments = deployments
        self._attempts = attempts
        self._clock = clock
        self._lanes = lanes or Lanes(clock)
        self._budgets = budgets
        self._boarding = Boarding(attempts, self._lanes, budgets)
        self._affinity = Affinity(lambda: self._lanes.policy.affinity)

    async def generate(
        self, call: Call, order: GenerationOrder
    ) -> AsyncGenerator[GatewayEvent, None]:
        """As the port says: candidates in order, until one answers or has begun to."""
        journey = self._embark(call, order)
        with journey.deployments.in_use():
            if order.explain:
                yield Routed(journey.decision)
            while (trial := await self._next(journey)) is not None:
                journey.trial = trial
                call.facts.model_version = trial.deployment.name
                try:
                    async with aclosing(self._heard(journey, trial)) as events:
                        async for event in events:
                            journey.hear(event)
                            yield event
                except ModelError:
                    if journey.proposed:
                        break
                    continue
                yield self._arrived(journey)
                return
            raise journey.error()

    def _embark(self, call: Call, order: GenerationOrder) -> Journey:
        deployments = self._deployments()
        holder = self._affinity.holder(order, self._clock.monotonic())
        decision = route(
            deployments.catalog,
            wanted(order, holder),
            deployments.policy,
            self._lanes.standings(),
            self._lanes.draw(),
        )
        if not decision.candidates:
            raise unreachable(decision)
        self._lanes.called()
        begun = [order.begun] if order.begun else []
        return Journey(call, order, deployments, decision, Course(decision), text=begun)

    def _arrived(self, journey: Journey) -> GatewayEvent:
        assert journey.trial is not None  # somebody has just answered
        trial = journey.trial
        self._affinity.remember(journey.order, trial.deployment.name, self._clock.monotonic())
        return trial.completed(journey.spent)

    async def _next(self, journey: Journey) -> Trial | None:
        """The next attempt that may be called; None where nobody is left to be asked."""
        most = self._lanes.policy.retry.most_attempts
        while journey.attempts < most:
            suits = journey.may_continue if journey.released else None
            candidate = journey.course.next(suits)
            if candidate is None and journey.released and journey.order.accepts_restart:
                candidate = journey.course.next()
            if candidate is None:
                if not await self._rest(journey):
                    return None
                continue
            try:
                return await self._boarding.board(journey, candidate)
            except (ContextTooLong, ModelError, TurnedAway, TooDear, BudgetSpent) as trouble:
                journey.fail(candidate, trouble)
        return None

    async def _rest(self, journey: Journey) -> bool:
        """Wait before those who may answer later are asked again; False where none are.

        Where nobody had room, they are asked again at once, to wait in line there.
        """
        called = any(failed.attempt for failed in journey.failures)
        if (not called and journey.round > 1) or not journey.may_go_on:
            return False
        journey.round += 1
        delay = Seconds(0.0)
        if called:
            policy, advice = self._lanes.policy.retry, journey.advice
            wait = retry_delay(journey.round, policy, advice, self._lanes.draw())
            left = journey.order.deadline - self._clock.monotonic()
            if wait is None or wait >= left or not self._lanes.may_retry():
                return False
            delay = wait
        journey.course.next_round()
        await asyncio.sleep(delay)
        return True

    def _heard(self, journey: Journey, trial: Trial) -> AsyncGenerator[GatewayEvent, None]:
        """What this candidate says, or the one that is asked because it is silent."""
        opening = journey.opening(trial)
        trial.whole = _may_come_whole(journey, trial)
        after = hedge_after(self._lanes.of(trial.deployment).load, self._lanes.policy.hedge)
        if after is None or journey.released or not journey.course.others_wait:
            return self._stream(journey, trial, opening)
        return self._hedged(journey, trial, opening, after)

    async def _hedged(
        self, journey: Journey, first: Trial, opening: Sequence[GatewayEvent], after: Seconds
    ) -> AsyncGenerator[GatewayEvent, None]:
        """The first to say something is heard; the other is stopped, and booked."""
        early = Flight(self._stream(journey, first, ()))
        flights = {early: first}
        try:
            await asyncio.sleep(0)  # it has begun, so it ends on record, also if we are left now
            for event in opening:
                yield event
            winner = await first_to_speak([early], after)
            if winner is None and not early.failed:
                if (second := await self._second(journey, first)) is not None:
                    flights[Flight(self._stream(journey, second, ()))] = second
                winner = await first_to_speak(list(flights), None)
            winner = winner or early
            for loser in [flight for flight in flights if flight is not winner]:
                flights[loser].passage.overtaken(self._clock.monotonic())
                await loser.close()
            if (chosen := flights[winner]) is not first:
                for event in self._taken_over(journey, first, chosen):
                    yield event
            async with aclosing(winner.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            for flight in flights:
                await flight.close()

    def _taken_over(self, journey: Journey, slow: Trial, chosen: Trial) -> Sequence[GatewayEvent]:
        journey.trial = chosen
        journey.call.facts.model_version = chosen.deployment.name
        names = slow.deployment.name, chosen.deployment.name
        return Switched(*names, slow.attempt.number, "slow"), chosen.selected()

    async def _second(self, journey: Journey, first: Trial) -> Trial | None:
        """Another attempt beside one that is silent, if that is allowed and somebody has room.

        Its words must count for as much: a lesser tier is always quicker.
        """
        if not self._lanes.may_hedge():
            return None
        tier = first.deployment.tier
        candidate = journey.course.next(lambda each: each.deployment.tier >= tier)
        if candidate is None:
            return None
        try:
            return await self._boarding.board(journey, candidate)
        except (ContextTooLong, ModelError, TurnedAway, TooDear, BudgetSpent) as trouble:
            journey.fail(candidate, trouble)
            return None

    async def _stream(
        self, journey: Journey, trial: Trial, opening: Sequence[GatewayEvent]
    ) -> AsyncGenerator[GatewayEvent, None]:
        """Stream one attempt; it is ended on record however, and wherever, it ends here."""
        held, seam = self._held(journey, trial)
        try:
            for event in opening:
                yield event
            left = self._time_left(journey, trial)
            trial.called = True
            request = _request(journey.order, trial)
            async with aclosing(Arriving(trial.model.stream(request, timeout=left))) as pieces:
                await self._first(pieces, trial)
                async for piece in pieces:
                    passes = held.is_open and seam.is_closed  # as nearly every piece
                    if passes and type(piece) is TextDelta and piece.text.isascii():
                        trial.output += len(piece.text)
                        yield piece
                        continue
                    if isinstance(piece, ModelFinished):
                        trial.finished = piece
                        continue
                    said = storable(piece)
                    trial.output += size(said)
                    for out in held.put(seam.join(said), self._clock.monotonic()):
                        yield out
            if trial.finished is None:
                raise ModelError(ModelErrorKind.MALFORMED_STREAM, "the stream had no end")
            trial.verdict = ANSWERED
            for out in held.rest():
                yield out
        except ModelError as error:
            self._failed(journey, trial, error)
            raise
        finally:
            await self._end(journey, trial)

    def _time_left(self, journey: Journey, trial: Trial) -> Seconds:
        left = journey.order.deadline - self._clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("no time was left for the model")
        most = trial.deployment.limits.total
        return Seconds(left if most is None else min(left, most))

    async def _first(self, pieces: Arriving, trial: Trial) -> None:
        """Wait for the first piece, within what the deployment has for it."""
        most = trial.deployment.limits.first_token
        try:
            async with asyncio.timeout(most):
                await pieces.arrived()
        except TimeoutError:
            raise ModelError(
                ModelErrorKind.TIMEOUT, f"the first token did not come within {most:g} s"
            ) from None
        if not trial.whole:
            trial.passage.first_piece(self._clock.monotonic())

    def _held(self, journey: Journey, trial: Trial) -> tuple[Held, Seam]:
        """What stands between this attempt and the readers."""
        if trial.goes_on:
            return Held(Seconds(0.0)), Seam("".join(journey.text))
        return Held(self._lanes.policy.hold_first), Seam("")

    def _failed(self, journey: Journey, trial: Trial, error: ModelError) -> None:
        trial.failure = error.message
        trial.finished = None
        out_of_time = self._clock.monotonic() >= journey.order.deadline - _LATE
        begun = trial.passage.heard or trial.whole
        by_caller = error.kind is ModelErrorKind.TIMEOUT and out_of_time and begun
        trial.verdict = None if by_caller else verdict_of(error, self._lanes.policy.cooldown)
        journey.fail(trial.candidate, error, trial.attempt.number)

    async def _end(self, journey: Journey, trial: Trial) -> None:
        """Write the attempt's end, also when this call is being cancelled.

        While the store is away a turn goes on without: its settlement books what is open, by
        what its log says.
        """
        ended = trial.end()
        trial.passage.leave(trial.verdict, trial.tokens)
        if trial.reservation is not None:
            self._budgets.settle(trial.reservation, trial.spent.cost)
        journey.book(trial)
        unit = journey.order.unit
        ending = asyncio.ensure_future(self._attempts.end(ended, unit, trial.deployment))
        try:
            await asyncio.shield(ending)
        except asyncio.CancelledError:
            await asyncio.wait({ending})
            ending.exception()
            raise
        except StoreUnavailable:
            if unit.epoch is None:
                raise


def _may_come_whole(journey: Journey, trial: Trial) -> bool:
    """Nobody reads it before its end, and nobody else could be asked if it were silent so far.

    A stream costs several times as much, and shows early that an attempt hangs.
    """
    patient = trial.deployment.limits.first_token is None
    return journey.order.whole and patient and not journey.course.others_wait


def _request(order: GenerationOrder, trial: Trial) -> GenerationRequest:
    return GenerationRequest(
        messages=trial.prompt.messages,
        options=trial.options,
        question=order.question,
        context=trial.prompt.passages(order.context),
        whole=trial.whole,
    )
