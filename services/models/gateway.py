"""Whichever deployment suits and answers: routed, fitted, recorded, called, in that order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing

from core.call import Call
from core.clock import Clock
from core.errors import BudgetSpent, ContextTooLong
from core.generation import ModelError
from core.identifiers import Seconds
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import GatewayEvent, GenerationOrder, Routed, Switched
from core.resilience.load import hedge_after
from core.resilience.retries import retry_delay
from core.routing import RoutingDecision
from core.routing.course import Course
from core.routing.decision import decide
from services.models.attempts import Attempts
from services.models.boarding import Boarding
from services.models.deployments import Deployments
from services.models.hearing import Heard, Hearing, Listener
from services.models.hedging import Flight, first_to_speak
from services.models.journey import Journey, TooDear, unreachable
from services.models.lanes import Lanes
from services.models.line import TurnedAway
from services.models.spending import NO_BUDGETS, Budgets
from services.models.trial import Trial
from services.models.wanted import Affinity, to_rank, wanted
from services.turns.tick import Tick


class Gateway:
    """The ModelGateway of a process that hosts its own deployments.

    `lanes` are the process's memory of how each deployment does; without, candidates are asked
    in order, each once. `turns_tick` is that of the turns of this process, if it runs any.
    """

    def __init__(
        self,
        deployments: Callable[[], Deployments],
        attempts: Attempts,
        clock: Clock,
        lanes: Lanes | None = None,
        budgets: Budgets = NO_BUDGETS,
        observer: GatewayObserver = QUIET_GATEWAY,
        turns_tick: Tick | None = None,
    ) -> None:
        self._deployments = deployments
        self._clock = clock
        self._lanes = lanes or Lanes(clock)
        self._boarding = Boarding(attempts, self._lanes, budgets)
        self._listener = Listener(attempts, self._lanes, budgets, clock, observer, turns_tick)
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
                heard = self._heard(journey, trial)
                try:
                    async for event in heard:
                        journey.hear(event)
                        yield event
                except ModelError:
                    if journey.proposed:
                        break
                    continue
                finally:
                    await heard.aclose()
                yield self._arrived(journey)
                return
            raise journey.error()

    def _embark(self, call: Call, order: GenerationOrder) -> Journey:
        deployments = self._deployments()
        decision = self._decide(deployments, order)
        if not decision.candidates:
            raise unreachable(decision)
        self._lanes.calls += 1
        begun = [order.begun] if order.begun else []
        course = Course(decision)
        return Journey(call, order, deployments, decision, course, text=begun, fresh=order.fresh)

    def _decide(self, deployments: Deployments, order: GenerationOrder) -> RoutingDecision:
        """Who is to be asked. Where there is no choice, nobody is ranked."""
        lanes, request = self._lanes, wanted(order)
        planned = deployments.planned(request)
        sole = None if order.explain else planned.sole
        if sole is not None and not lanes.rests(sole.candidates[0].deployment.name):
            return sole
        request = to_rank(request, order, self._affinity.holder(order, self._clock.monotonic()))
        bearing = lanes.standing if order.explain else lanes.bearing
        return decide(planned.plan, request, bearing, lanes.draw())

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

    def _heard(self, journey: Journey, trial: Trial) -> Heard:
        """What this candidate says, or the one that is asked because it is silent."""
        opening = journey.opening(trial)
        trial.whole = _may_come_whole(journey, trial)
        after = self._hedge_after(journey, trial)
        if after is None:
            return Hearing(self._listener, journey, trial, opening)
        return self._hedged(journey, trial, opening, after)

    def _hedge_after(self, journey: Journey, trial: Trial) -> Seconds | None:
        """How long its silence is waited out; None where nobody is to be asked besides."""
        policy = self._lanes.policy.hedge
        if not policy.enabled or journey.released or not journey.course.others_wait:
            return None
        return hedge_after(self._lanes.of(trial.deployment).load, policy)

    async def _hedged(
        self, journey: Journey, first: Trial, opening: Sequence[GatewayEvent], after: Seconds
    ) -> AsyncGenerator[GatewayEvent, None]:
        """The first to say something is heard; the other is stopped, and booked."""
        early = Flight(Hearing(self._listener, journey, first))
        flights = {early: first}
        try:
            await asyncio.sleep(0)  # it has begun, so it ends on record, also if we are left now
            for event in opening:
                yield event
            winner = await first_to_speak([early], after)
            if winner is None and not early.failed:
                if (second := await self._second(journey, first)) is not None:
                    flights[Flight(Hearing(self._listener, journey, second))] = second
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


def _may_come_whole(journey: Journey, trial: Trial) -> bool:
    """Nobody reads it before its end, and nobody else could be asked if it were silent so far.

    A stream costs several times as much, and shows early that an attempt hangs.
    """
    patient = trial.deployment.limits.first_token is None
    return journey.order.whole and patient and not journey.course.others_wait
