"""Carries out a plan: replicas that live, sleep and die, clients, faults, and the checker."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from core.conversations import Conversation
from core.identifiers import ConversationId, Seconds, TurnId
from core.turns.rows import Turn
from services.turns.timings import TurnTimings
from simulation.clients import Client, Heard, Stream
from simulation.codec import TableCodec
from simulation.faults import Faults
from simulation.loop import seeded_loop
from simulation.moment import Moment
from simulation.network import BusWeather, Exchange
from simulation.plan import Action, Ask, Cancel, Decide, Look, Plan, Resume, Setup
from simulation.provider import Provider
from simulation.replica import ANN, Life, Surroundings, new_life, what_is_left
from simulation.store import NOON, Latency, SimulatedStore
from simulation.store_server import Changes, Rows, Unit
from simulation.telling import told_of
from simulation.trouble import Troubles
from simulation.verdict import Verdict
from simulation.watch_calls import CallWatch
from simulation.watch_reads import ReadWatch
from simulation.watch_rows import RowWatch

_DAY_S = 24 * 3_600.0


def timings_of(setup: Setup) -> TurnTimings:
    """The protocol's own times, but for those that would only make a schedule long."""
    return TurnTimings(
        hard=Seconds(3.0),
        hold=Seconds(4.0),
        turn_maximum=Seconds(8.0),
        tail_events=setup.tail_events,
        read_events=setup.read_events,
        id_retention=Seconds(setup.id_retention),
        log_retention=Seconds(2 * _DAY_S),
    )


Choice = TypeVar("Choice")
_TICK = 0.25
_LATE_ASK_S = 5.0
_RESTART_S = 0.5


@dataclass(frozen=True, slots=True)
class Violation:
    """What did not hold, of what, and when."""

    invariant: str
    what: str
    at: float


@dataclass(slots=True)
class Result:
    """What came of one schedule."""

    seed: int
    violations: list[Violation]
    digest: int
    steps: int
    seconds: float
    counts: dict[str, int]
    trace: list[str] = field(default_factory=list)


class World:
    """Everything that a plan needs, made anew for it."""

    def __init__(self, plan: Plan, *, trace: bool = False) -> None:
        self.plan = plan
        self.violations: list[Violation] = []
        self.lines: list[str] = []
        self.tracing = trace
        draw = random.Random(plan.seed)
        self._draw = random.Random(draw.random())
        self.loop = seeded_loop(random.Random(draw.random()))
        self.loop.on_fault = lambda what: self.report("no bug is met", what)
        setup = plan.setup
        latency = Latency(setup.latency / 2, setup.latency, setup.spike, setup.spike_rate)
        store_draw = random.Random(draw.random())
        self.store = SimulatedStore(self.loop, store_draw, serial=setup.serial, latency=latency)
        weather = BusWeather(setup.bus_loss, setup.bus_repeats, setup.bus_delay)
        exchange = Exchange(self.loop, random.Random(draw.random()), weather)
        provider = Provider(self.loop, plan.questions)
        self.around = Surroundings(
            self.loop,
            self.store,
            exchange,
            provider,
            TableCodec(),
            setup,
            plan.questions,
            timings_of(setup),
            self.report,
        )
        self.lives: dict[int, Life] = {}
        self.past: list[Life] = []
        self.troubles = Troubles(self.loop)
        self.streams: list[Stream] = []
        """Streams that clients read now."""
        self.left_at: dict[int, float] = {}
        """When somebody last stopped reading the turn of a question."""
        self._world = self.loop.actor("world")
        self._born: dict[int, int] = {}
        self._clients: list[asyncio.Task[None]] = []
        self._to_come = 0
        self._faults = Faults(self)
        self._digests_matter = any(isinstance(s, Ask) and s.other for s in plan.steps)
        self._watch()

    def run(self) -> Result:
        """Carry out the plan, and judge it."""
        self._world.context.run(self._begin)
        self.loop.run()
        counts = {
            "turns": len(self.store.server.tables["turns"]),
            "commits": self.store.server.commits,
            "calls": len(self.around.provider.calls),
            "takeovers": self.rows.takeovers,
            "reruns": self.rows.reruns,
            "lock_timeouts": self.store.server.lock_timeouts,
        }
        loop = self.loop
        return Result(
            self.plan.seed,
            self.violations,
            loop.digest,
            loop.steps,
            loop.time(),
            counts,
            self.lines,
        )

    def report(self, invariant: str, what: str) -> None:
        """Something that must hold does not: the schedule ends here."""
        if self.loop.is_closed():
            return
        self.violations.append(Violation(invariant, what, self.loop.time()))
        self.trace(f"VIOLATION {invariant}: {what}")
        self.loop.finish()

    def trace(self, what: str) -> None:
        """Write down what happens, where it is asked for."""
        if self.tracing:
            self.lines.append(f"{self.loop.time():9.4f} {what}")

    def later(self, seconds: float, do: Callable[..., object], *args: object) -> None:
        """Something that the world does at a time."""
        self.loop.call_later(seconds, do, *args, context=self._world.context)

    def start(self, number: int) -> None:
        """A replica begins a life."""
        if number in self.lives:
            return
        self._born[number] = self._born.get(number, 0) + 1
        life = new_life(self.around, number, self._born[number])
        self.lives[number] = life
        self.trace(f"{life.boot} starts")
        self.loop.create_task(self._open(life), context=life.actor.context)
        self._faults.born(life, self._born[number])

    def gone(self, life: Life, back_after: float | None) -> None:
        """A life is over."""
        life.serving = False
        life.dead_since = self.loop.time()
        if self.lives.get(life.number) is life:
            del self.lives[life.number]
        self.past.append(life)
        for link in list(life.links):
            link.break_off()
        self.store.server.disconnect(life.boot)
        self.around.provider.hang_up(life.boot)
        self.around.exchange.buses.pop(life.boot, None)
        if back_after is not None:
            self.later(back_after, self.start, life.number)

    def chance(self) -> float:
        """A draw between 0 and 1."""
        return self._draw.random()

    def one_of(self, choices: Sequence[Choice]) -> Choice:
        """One of these, drawn."""
        return self._draw.choice(choices)

    def life_of(self, number: int) -> Life | None:
        """The replica's life that clients can reach now."""
        return self.lives.get(number)

    def _begin(self) -> None:
        talks = {q.branch for q in self.plan.questions if q.branch is not None}
        rows = {
            ConversationId(f"talk{n}"): Conversation(
                ConversationId(f"talk{n}"), ANN, "", NOON, NOON
            )
            for n in sorted(talks)
        }
        self.store.server.tables["conversations"] = rows  # type: ignore[assignment]
        for number in range(self.plan.setup.replicas):
            self.start(number)
        for number, step in enumerate(self.plan.steps):
            if isinstance(step, Ask | Resume | Cancel | Look | Decide):
                self.expect(step.at, number, step)
            else:
                self._faults.plan(step)
        self.later(_TICK, self._verdict.tick)

    def expect(self, seconds: float, number: int, step: Action) -> None:
        """A client comes then."""
        self._to_come += 1
        self.later(seconds, self._client, number, step)

    def expect_jump(self, seconds: float, do: Callable[[], None]) -> None:
        """Something is done then, and nothing is over before."""
        self._to_come += 1

        def jump() -> None:
            self._to_come -= 1
            do()

        self.later(seconds, jump)

    def _client(self, number: int, step: Action) -> None:
        self._to_come -= 1
        actor = self.loop.actor(f"client{number}")
        self.reads.before[step] = self.calls.turn_of(step.question)
        self.trace(f"{actor.name}: {step}")
        client = Client(
            self.loop,
            actor,
            step,
            self.plan.questions,
            self.life_of,
            self._turn_of,
            self._link_delay,
            self._heard,
            self._digests_matter,
        )
        self._clients.append(self.loop.create_task(client.act(), context=actor.context))

    @property
    def busy(self) -> bool:
        """Whether clients or faults are still to come, or under way."""
        return (
            self._to_come > 0
            or not all(task.done() for task in self._clients)
            or self._faults.pending
        )

    async def _open(self, life: Life) -> None:
        while life.alive:
            try:
                await life.turns.open(alone=self.plan.setup.alone)
            except Exception as error:  # noqa: BLE001  # a start-up that fails is tried again
                self.trace(f"{life.boot} cannot start: {error!r}")
                await asyncio.sleep(_RESTART_S)
            else:
                life.serving, life.since = True, self.loop.time()
                return

    def _turn_of(self, question: int) -> tuple[TurnId, int] | None:
        turn = self.calls.turn_of(question)
        return None if turn is None else (turn.id, turn.next_seq)

    def _link_delay(self) -> float:
        return 0.0005 + 0.004 * self._draw.random()

    def _watch(self) -> None:
        around, server = self.around, self.store.server
        self.rows = RowWatch(
            self.report,
            around.timings,
            around.codec,
            setup=self.plan.setup,
            may_take=self._may_take,
            read_at=self._read_at,
            longest=self._longest,
        )
        server.on_commit = self._committed
        self.reads = ReadWatch(self.report, around.codec, self.rows, self.store, self.plan.setup)
        self.calls = CallWatch(
            self.report,
            around.provider,
            self.rows,
            server,
            self.store.now,
            self.troubles,
            lambda boot: any(life.boot == boot for life in self.lives.values()),
            around.timings.hard,
        )
        around.provider.on_call = self._called
        around.provider.on_end = lambda call: self.trace(
            f"{call.boot} is no longer answered: q{call.question}, {call.said} said"
        )
        self._heard = Heard(
            self.reads.sent,
            self.reads.read,
            self._stream_ended,
            self.reads.viewed,
            self._unanswered,
            self.streams.append,
            self._left,
            self.report,
        )
        self._verdict = Verdict(self)

    def _called(self, call: object) -> None:
        assert self.around.provider.calls[-1] is call
        made = self.around.provider.calls[-1]
        self.trace(f"{made.boot} asks {made.deployment} for q{made.question}")
        self.calls.begun(made)

    def _stream_ended(self, reading: object, result: object, step: object, life: Life) -> None:
        self.trace(f"a stream of {life.boot} ends: {step} {result!r}")
        self.reads.ended(reading, result, step, life)  # type: ignore[arg-type]

    def _left(self, stream: Stream) -> None:
        self.streams.remove(stream)
        self.left_at[stream.question] = self.loop.time()

    def _unanswered(self, step: object, life: Life, waited: float) -> None:
        """A call was not answered in its time."""
        since = self.loop.time() - waited - 1.0
        if life.alive and not self.troubles.any_between(since, self.loop.time(), life.boot):
            self.report("every call is answered", f"{step}")

    def _committed(self, unit: Unit, before: dict[str, Rows], own: Changes) -> None:
        if self.tracing:
            self.trace(f"{unit.boot} commits {told_of(before, own)}")
        self.rows.committed(Moment(unit, before, own, self.store.now(), self.loop.time()))

    def _may_take(self, turn: Turn, taker: Unit) -> str:
        """Why a turn should not have been taken over; "" where it may.

        A taker that holds the row has judged it: what becomes of its own contact then is no matter.
        """
        if self.plan.setup.alone:
            return ""
        timings, now = self.around.timings, taker.holds_since or self.loop.time()
        since, gap = now - timings.lease + 0.2, timings.contact_gap + 0.2
        if self.troubles.was_out_of_touch(taker.boot, since, gap, now):
            return f"{taker.boot} was out of touch with the store"
        owner = next((life for life in self.lives.values() if life.boot == turn.owner), None)
        if owner is None:
            return ""
        hard = turn.deadline_at + timedelta(seconds=timings.hard)
        if hard < self.store.now():
            return ""
        quiet = self.troubles.quiet_for(turn.owner)
        return f"{turn.owner} has been well for {quiet:.2f} s" if quiet > 4.5 else ""

    def _longest(self, question: int) -> float:
        """How long a turn of this question may take, whoever asks."""
        asked = self.plan.questions[question]
        most = asked.timeout or self.around.timings.turn_maximum
        if asked.detach:
            return float(most)
        asks = (
            s.deadline for s in self.plan.steps if isinstance(s, Ask) and s.question == question
        )
        return min(most, max(asks, default=0.0) if self.store.offset == 0 else _LATE_ASK_S)

    def _read_at(self, turn: Turn) -> str:
        """Where somebody has read this turn for a while; "" where nobody has."""
        if self.plan.setup.spike_rate:
            return ""  # one slow answer may let a reader's row expire
        for stream in self.streams:
            boot, reading = stream.life.boot, stream.reading
            patience = 0.3 if boot == turn.owner else 1.0
            if reading.turn != turn.id or stream.link.broken or stream.heard_at is None:
                continue
            quiet = self.troubles.quiet_for(boot, turn.owner)
            if quiet > 2.5 and self.loop.time() - stream.heard_at > patience:
                return boot
        return ""

    def left_over(self) -> dict[str, object]:
        """What replicas that have nothing to do still hold."""
        return {life.boot: left for life in self.lives.values() if (left := what_is_left(life))}
