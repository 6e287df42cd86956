"""One attempt while it is heard: what it says, cleaned, counted and held, until it is on record."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from core.call import Call
from core.clock import Clock
from core.errors import DeadlineExceeded
from core.generation import (
    GenerationRequest,
    ModelError,
    ModelErrorKind,
    ModelEvent,
    ModelFinished,
    TextDelta,
)
from core.identifiers import Seconds
from core.ports.gateway_observer import QUIET_GATEWAY, GatewayObserver
from core.ports.model_gateway import GatewayEvent, GenerationOrder, Said
from core.ports.state import StoreUnavailable
from core.resilience.failures import ANSWERED, verdict_of
from services.models.arriving import Arriving
from services.models.attempts import Attempts
from services.models.holding import Held, Seam
from services.models.journey import Journey
from services.models.lanes import Lanes
from services.models.spending import Budgets
from services.models.trial import Trial, size, storable
from services.turns.tick import Tick

_LATE = Seconds(0.05)
"""A call that ended this close to its caller's deadline ended because of it."""

_OPEN, _NO_SEAM = Held(Seconds(0.0)), Seam("")
"""Which hold nothing and remember nothing, and so are the same for all."""


class Listener:
    """Hears attempts, and has each of them end on record."""

    def __init__(
        self,
        attempts: Attempts,
        lanes: Lanes,
        budgets: Budgets,
        clock: Clock,
        observer: GatewayObserver = QUIET_GATEWAY,
        turns_tick: Tick | None = None,
    ) -> None:
        self._attempts = attempts
        self._tick = Tick(lanes.policy.gather)
        self._turns_tick = turns_tick if turns_tick and turns_tick.period > 0 else None
        self._lanes = lanes
        self._budgets = budgets
        self.clock = clock
        self._observer = observer

    def held(self, journey: Journey, trial: Trial) -> tuple[Held, Seam]:
        """What stands between this attempt and the readers."""
        seconds = self._lanes.policy.hold_first
        if trial.goes_on:
            return _OPEN, Seam(journey.before)
        return Held(seconds) if seconds > 0 else _OPEN, _NO_SEAM

    def tick(self, journey: Journey, trial: Trial) -> Tick | None:
        """Until when text may wait for more, if it may: a turn's for the tick of its log."""
        if trial.whole:
            return None
        if journey.order.unit.epoch is not None:
            return self._turns_tick
        if self._tick.period != self._lanes.policy.gather:
            self._tick = Tick(self._lanes.policy.gather)
        return self._tick if self._tick.period > 0 else None

    def failed(self, journey: Journey, trial: Trial, error: ModelError) -> None:
        """It ended in an error, which says something about its deployment, or does not."""
        trial.failure, trial.error = error.message, error.kind.value
        trial.finished = None
        if error.kind is ModelErrorKind.UNSUPPORTED:
            trial.called = False  # its adapter had no words for it, or its provider took it not
        out_of_time = self.clock.monotonic() >= journey.order.deadline - _LATE
        begun = trial.passage.heard or trial.whole
        by_caller = error.kind is ModelErrorKind.TIMEOUT and out_of_time and begun
        trial.verdict = None if by_caller else verdict_of(error, self._lanes.policy.cooldown)
        journey.fail(trial.candidate, error, trial.attempt.number)

    async def end(self, journey: Journey, trial: Trial) -> None:
        """Write the attempt's end, also when this call is being cancelled.

        While the store is away a turn goes on without: its settlement books what is open, by
        what its log says.
        """
        ended = trial.end()
        used = trial.spent.usage
        trial.passage.leave(trial.verdict, (used.prompt or 0) + (used.completion or 0))
        if trial.reservation is not None:
            self._budgets.settle(trial.reservation, trial.spent.cost)
        journey.book(trial)
        if trial.called:
            self._observer.attempt_ended(trial.told(self.clock.monotonic()))
        unit = journey.order.unit
        if self._attempts.end_riding(ended, unit, trial.deployment):
            return
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


class Hearing:
    """The events of one attempt, after those of its `opening`.

    It is ended on record however, and wherever, it ends. Raises ModelError where it fails.
    """

    __slots__ = ("_ended", "_held", "_journey", "_listener", "_out", "_passes", "_pieces", "_seam",
                 "_trial")  # fmt: skip

    def __init__(
        self,
        listener: Listener,
        journey: Journey,
        trial: Trial,
        opening: Sequence[GatewayEvent] = (),
    ) -> None:
        self._listener = listener
        self._journey = journey
        self._trial = trial
        self._held, self._seam = listener.held(journey, trial)
        self._passes = self._held is _OPEN and self._seam is _NO_SEAM
        self._out: deque[GatewayEvent] = deque(opening)
        self._pieces: Arriving | None = None
        self._ended = False

    def __aiter__(self) -> Hearing:
        return self

    async def __anext__(self) -> GatewayEvent:
        trial = self._trial
        while not self._out:
            if self._ended or trial.verdict is ANSWERED:
                await self.aclose()
                raise StopAsyncIteration
            try:
                async for piece in self._pieces or await self._called():
                    if self._passes and type(piece) is TextDelta and piece.text.isascii():
                        trial.said += piece.text  # as nearly every piece
                        trial.output += len(piece.text)
                        return piece
                    self._take(piece)
                    if self._out:
                        return self._out.popleft()
                if trial.finished is None:
                    raise ModelError(ModelErrorKind.MALFORMED_STREAM, "the stream had no end")
            except ModelError as error:
                self._listener.failed(self._journey, trial, error)
                await self.aclose()
                raise
            trial.verdict = ANSWERED
            if not self._passes:
                self._let_out(self._held.rest())
        return self._out.popleft()

    async def aclose(self) -> None:
        """Stop it; returns once it is on record."""
        if self._ended:
            return
        self._ended = True
        try:
            if self._pieces is not None:
                await self._pieces.aclose()
        finally:
            await self._listener.end(self._journey, self._trial)

    async def _called(self) -> Arriving:
        """Call the model, and wait for the first piece within what the deployment has for it."""
        trial, order = self._trial, self._journey.order
        left = self._time_left()
        trial.called = True
        stream = trial.model.stream(_request(self._journey.call, order, trial), timeout=left)
        pieces = Arriving(stream, self._listener.tick(self._journey, trial))
        self._pieces = pieces
        most = trial.deployment.limits.first_token
        if most is None:
            await pieces.arrived()
        else:
            try:
                async with asyncio.timeout(most):
                    await pieces.arrived()
            except TimeoutError:
                late = f"the first token did not come within {most:g} s"
                raise ModelError(ModelErrorKind.TIMEOUT, late) from None
        if not trial.whole:
            trial.passage.first_piece(self._listener.clock.monotonic())
        return pieces

    def _time_left(self) -> Seconds:
        left = self._journey.order.deadline - self._listener.clock.monotonic()
        if left <= 0:
            raise DeadlineExceeded("no time was left for the model")
        most = self._trial.deployment.limits.total
        return Seconds(left if most is None else min(left, most))

    def _take(self, piece: ModelEvent) -> None:
        """Count a piece, and let out what may go."""
        if isinstance(piece, ModelFinished):
            self._trial.finished = piece
            return
        said = storable(piece)
        self._trial.output += size(said)
        now = self._listener.clock.monotonic()
        self._let_out(self._held.put(self._seam.join(said), now))
        self._passes = self._held.is_open and self._seam.is_closed

    def _let_out(self, pieces: Sequence[Said]) -> None:
        for piece in pieces:
            self._trial.let_out(piece)
            self._out.append(piece)


def _request(call: Call, order: GenerationOrder, trial: Trial) -> GenerationRequest:
    return GenerationRequest(
        messages=trial.prompt.messages,
        options=trial.options,
        question=order.question,
        context=trial.prompt.passages(order.context) if order.context else (),
        whole=trial.whole,
        trace=call.trace,
    )
