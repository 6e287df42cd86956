"""The events of one order: candidates are asked in order, until one answers or has begun to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from core.clock import Clock
from core.errors import BudgetSpent, ContextTooLong
from core.generation import ModelError
from core.identifiers import Seconds
from core.ports.model_gateway import GatewayEvent, GatewayEvents, Routed, Switched
from core.resilience.load import HedgePolicy, hedge_after
from core.resilience.retries import retry_delay
from services.models.boarding import Boarding
from services.models.hearing import Hearing, Listener
from services.models.hedging import Flight, first_to_speak
from services.models.journey import Journey, TooDear
from services.models.lanes import Lanes
from services.models.line import TurnedAway
from services.models.trial import Trial
from services.models.wanted import Affinity

_TROUBLE = (ContextTooLong, ModelError, TurnedAway, TooDear, BudgetSpent)
"""Why a candidate is not called."""


@dataclass(frozen=True, slots=True)
class Crew:
    """Those who do the work of every generation in a process."""

    clock: Clock
    lanes: Lanes
    boarding: Boarding
    listener: Listener
    affinity: Affinity


class Generation:
    """See GatewayEvents. It sets out when its first event is asked for."""

    __slots__ = ("_crew", "_heard", "_journey", "_over", "_set_out")

    def __init__(self, crew: Crew, set_out: Callable[[], Journey]) -> None:
        self._crew = crew
        self._set_out = set_out
        self._journey: Journey | None = None
        self._heard: GatewayEvents | None = None
        self._over = False

    def __aiter__(self) -> Generation:
        return self

    async def __anext__(self) -> GatewayEvent:
        if self._over:
            raise StopAsyncIteration
        try:
            journey = self._journey
            if journey is None:
                journey = self._journey = self._set_out()
                journey.deployments.users.enter()
                if journey.order.explain:
                    return Routed(journey.decision)
            while True:
                heard = self._heard
                if heard is None:
                    heard = self._heard = await self._next(journey)
                try:
                    return await heard.__anext__()
                except StopAsyncIteration:
                    return self._arrived(journey)
                except ModelError:
                    self._heard = None
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        """See GatewayEvents."""
        if self._over:
            return
        self._over = True
        try:
            if self._heard is not None:
                await self._heard.aclose()
        finally:
            if self._journey is not None:
                self._journey.deployments.users.leave()

    def _arrived(self, journey: Journey) -> GatewayEvent:
        assert journey.trial is not None  # somebody has just answered
        trial, crew = journey.trial, self._crew
        if journey.order.key:
            crew.affinity.remember(journey.order, trial.deployment.name, crew.clock.monotonic())
        self._over = True
        journey.deployments.users.leave()
        return trial.completed(journey.spent)

    async def _next(self, journey: Journey) -> GatewayEvents:
        """What the next candidate says that may be called.

        Where nobody is left to be asked, that is the generation's error.
        """
        most = self._crew.lanes.policy.retry.most_attempts
        proposed = journey.trial is not None and journey.trial.proposed
        while journey.attempts < most and not proposed:
            suits = journey.may_continue if journey.released else None
            candidate = journey.course.next(suits)
            if candidate is None and journey.released and journey.order.accepts_restart:
                candidate = journey.course.next()
            if candidate is None:
                if not await self._rest(journey):
                    break
                continue
            try:
                trial = await self._crew.boarding.board(journey, candidate)
            except _TROUBLE as trouble:
                journey.fail(candidate, trouble)
            else:
                return self._heard_from(journey, trial)
        raise journey.error()

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
            lanes, advice = self._crew.lanes, journey.advice
            wait = retry_delay(journey.round, lanes.policy.retry, advice, lanes.draw())
            left = journey.order.deadline - self._crew.clock.monotonic()
            if wait is None or wait >= left or not lanes.may_retry():
                return False
            delay = wait
        journey.course.next_round()
        await asyncio.sleep(delay)
        return True

    def _heard_from(self, journey: Journey, trial: Trial) -> GatewayEvents:
        """What this candidate says, or the one that is asked because it is silent."""
        journey.call.facts.model_version = trial.deployment.name
        hedge = self._crew.lanes.policy.hedge
        after = self._hedge_after(journey, trial, hedge) if hedge.enabled else None
        opening = journey.turn_to(trial)
        if journey.order.whole:
            trial.whole = _may_come_whole(journey, trial)
        if after is None:
            return Hearing(self._crew.listener, journey, trial, opening)
        return self._hedged(journey, trial, opening, after)

    def _hedge_after(self, journey: Journey, trial: Trial, policy: HedgePolicy) -> Seconds | None:
        """How long its silence is waited out; None where nobody is to be asked besides."""
        if journey.released or not journey.course.others_wait:
            return None
        return hedge_after(self._crew.lanes.of(trial.deployment).load, policy)

    async def _hedged(
        self, journey: Journey, first: Trial, opening: Sequence[GatewayEvent], after: Seconds
    ) -> AsyncGenerator[GatewayEvent, None]:
        """The first to say something is heard; the other is stopped, and booked."""
        early = Flight(Hearing(self._crew.listener, journey, first))
        flights = {early: first}
        try:
            await asyncio.sleep(0)  # it has begun, so it ends on record, also if we are left now
            for event in opening:
                yield event
            winner = await first_to_speak([early], after)
            if winner is None and not early.failed:
                if (second := await self._second(journey, first)) is not None:
                    late = Flight(Hearing(self._crew.listener, journey, second))
                    flights[late] = second
                winner = await first_to_speak(list(flights), None)
            winner = winner or early
            for loser in [flight for flight in flights if flight is not winner]:
                flights[loser].passage.overtaken(self._crew.clock.monotonic())
                await loser.close()
            if (chosen := flights[winner]) is not first:
                for event in _taken_over(journey, first, chosen):
                    yield event
            async with aclosing(winner.pieces()) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            for flight in flights:
                await flight.close()

    async def _second(self, journey: Journey, first: Trial) -> Trial | None:
        """Another attempt beside one that is silent, if that is allowed and somebody has room.

        Its words must count for as much: a lesser tier is always quicker.
        """
        if not self._crew.lanes.may_hedge():
            return None
        tier = first.deployment.tier
        candidate = journey.course.next(lambda each: each.deployment.tier >= tier)
        if candidate is None:
            return None
        try:
            return await self._crew.boarding.board(journey, candidate)
        except _TROUBLE as trouble:
            journey.fail(candidate, trouble)
            return None


def _taken_over(journey: Journey, slow: Trial, chosen: Trial) -> Sequence[GatewayEvent]:
    journey.trial = chosen
    journey.call.facts.model_version = chosen.deployment.name
    names = slow.deployment.name, chosen.deployment.name
    return Switched(*names, slow.attempt.number, "slow"), chosen.selected()


def _may_come_whole(journey: Journey, trial: Trial) -> bool:
    """Nobody reads it before its end, and nobody else could be asked if it were silent so far.

    A stream costs several times as much, and shows early that an attempt hangs.
    """
    return trial.deployment.limits.first_token is None and not journey.course.others_wait
