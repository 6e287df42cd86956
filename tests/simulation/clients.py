"""Clients: they ask, read, lag, leave, are cut off, go on elsewhere, cancel and look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from core.call import Call
from core.canonical import digest
from core.chat import ChatRequest
from core.errors import ColonnadeError, Reason
from core.identifiers import ConversationId, RequestId, Seconds, TurnId
from core.messages import Message, Role
from core.turns.rows import Decision
from services.turns.claims import ROOT
from services.turns.lookup import TurnView
from services.turns.reading import Batch, Batches
from simulation.loop import Actor, SeededLoop
from simulation.network import End, Link, Lost
from simulation.plan import Action, Ask, Cancel, Decide, Look, Question, Resume
from simulation.replica import Life

_CALL_S = 5.0
Serve = Callable[[Life, Link, Call], Awaitable[object]]


@dataclass(eq=False)
class Reading:
    """What one client holds of one turn, over all its connections."""

    question: int
    turn: TurnId | None = None
    first: int = 1
    last: int = 0
    seen: list[bytes] = field(default_factory=list)
    digest: str = ""
    complete: bool = False
    ended_at: float = 0.0
    """When the replica that was asked last had its last word."""


@dataclass(eq=False)
class Stream:
    """One connection on which a client reads, while it does."""

    question: int
    reading: Reading
    life: Life
    link: Link
    began: float
    pace: float = 0.0
    heard_at: float | None = None


@dataclass(eq=False)
class Heard:
    """What the checker is told: each is called as it happens."""

    sent: Callable[[Link, Batch], None]
    read: Callable[[Reading, Batch], None]
    ended: Callable[[Reading, object, Action, Life], None]
    viewed: Callable[[TurnView, Action, Life], None]
    unanswered: Callable[[Action, Life, float], None]
    came: Callable[[Stream], None]
    left: Callable[[Stream], None]
    bug: Callable[[str, str], None]


@dataclass(eq=False)
class Client:
    """One step of the plan, carried out by somebody outside."""

    loop: SeededLoop
    actor: Actor
    step: Action
    questions: tuple[Question, ...]
    life_of: Callable[[int], Life | None]
    turn_of: Callable[[int], tuple[TurnId, int] | None]
    delay: Callable[[], float]
    heard: Heard
    digests_matter: bool = False

    async def act(self) -> None:
        """Do what the step says."""
        match self.step:
            case Ask():
                await self._ask(self.step)
            case Resume():
                await self._resume(self.step)
            case Cancel() | Look() | Decide():
                await self._call(self.step)

    async def _ask(self, step: Ask) -> None:
        reading = Reading(step.question)
        if self.digests_matter:
            reading.digest = digest(self._request(step).content())
        if step.whole:
            await self._chat(step, reading)
            return
        until = None if step.leaves is None else self.loop.time() + step.leaves
        replicas = [step.replica, *step.goes_on_at]
        for number, replica in enumerate(replicas):
            if number:
                await asyncio.sleep(0.05 + self.delay() * 20)
            if await self._stream(step, reading, replica, until):
                return

    async def _stream(self, step: Ask, reading: Reading, replica: int, until: float | None) -> bool:
        """Read on one connection; whether there is nothing more to be had elsewhere."""
        life = self.life_of(replica)
        if life is None:
            return False
        if reading.turn is None or reading.last == 0:
            source = _asking(self._request(step))
        else:
            source = _resuming(reading.turn, reading.last)
        result = await self._follow(life, source, reading, step.deadline, until, step.pace)
        if result is LEFT:
            return True
        self.heard.ended(reading, result, step, life)
        return not _worth_another_try(result)

    async def _resume(self, step: Resume) -> None:
        known = self.turn_of(step.question)
        life = self.life_of(step.replica)
        if known is None or life is None:
            return
        turn, next_seq = known
        after = int(step.start * (next_seq - 1))
        reading = Reading(step.question, turn, first=after + 1, last=after)
        until = None if step.leaves is None else self.loop.time() + step.leaves
        source = _resuming(turn, after)
        result = await self._follow(life, source, reading, step.deadline, until, step.pace)
        if result is not LEFT:
            self.heard.ended(reading, result, step, life)

    async def _chat(self, step: Ask, reading: Reading) -> None:
        life = self.life_of(step.replica)
        if life is None:
            return
        request = self._request(step)

        async def serve(life: Life, _: Link, call: Call) -> object:
            return await life.chat.answer(call, request)

        link = self._connect(life, serve, step.deadline)
        stream = Stream(step.question, reading, life, link, self.loop.time())
        self.heard.came(stream)
        try:
            result = await self._answer(link, min(step.deadline, step.leaves or step.deadline))
        finally:
            reading.ended_at = link.ended_at
            self.heard.left(stream)
        if isinstance(result, TurnView):
            self.heard.viewed(result, step, life)
        elif result is not LEFT:
            self.heard.ended(reading, result, step, life)

    async def _call(self, step: Cancel | Look | Decide) -> None:
        life = self.life_of(step.replica)
        if life is None:
            return
        id = RequestId(f"q{step.question}")

        async def serve(life: Life, _: Link, call: Call) -> object:
            if isinstance(step, Decide):
                return await self._decide(life, step, call)
            if isinstance(step, Cancel):
                return await life.chat.cancel(call, TurnId(""), id)
            return await life.chat.turn(call, TurnId(""), id, with_events=step.with_events)

        result = await self._answer(self._connect(life, serve, _CALL_S), _CALL_S)
        if isinstance(result, TurnView):
            self.heard.viewed(result, step, life)
        elif result is LEFT:
            self.heard.unanswered(step, life, _CALL_S)

    async def _decide(self, life: Life, step: Decide, call: Call) -> bool:
        known = self.turn_of(step.question)
        if known is None:
            return False
        turn = known[0]
        decision = Decision.APPROVED if step.approved else Decision.DENIED
        return await life.turns.decide(call, turn, f"approval-{turn}", decision)

    async def _answer(self, link: Link, patience: float) -> object:
        """What a call without a stream comes to."""
        try:
            async with asyncio.timeout(patience):
                end = await link.inbox.get()
        except TimeoutError:
            link.leave()
            return LEFT
        assert isinstance(end, End)
        return end.result

    async def _follow(
        self,
        life: Life,
        source: Serve,
        reading: Reading,
        deadline: float,
        until: float | None,
        pace: float,
    ) -> object:
        """Read one stream to its end; what it ended with, or LEFT."""
        link = self._connect(life, source, deadline)
        link.last = reading.last
        stream = Stream(reading.question, reading, life, link, self.loop.time(), pace)
        self.heard.came(stream)
        end = self.loop.time() + deadline
        try:
            async with asyncio.timeout_at(end if until is None else min(end, until)):
                return await self._read(stream)
        except TimeoutError:
            link.leave()
            return LEFT
        finally:
            reading.ended_at = link.ended_at
            self.heard.left(stream)

    async def _read(self, stream: Stream) -> object:
        link, reading, pace = stream.link, stream.reading, stream.pace
        while True:
            item = await link.inbox.get()
            if isinstance(item, End):
                return item.result
            assert isinstance(item, Batch)
            if stream.heard_at is None:
                stream.heard_at = self.loop.time()
            self.heard.read(reading, item)
            if pace:
                await asyncio.sleep(pace)
            link.taken()

    def _connect(self, life: Life, serve: Serve, deadline: float) -> Link:
        link = Link(self.loop, self.actor, life.actor, self.delay, self.heard.sent)
        life.links.append(link)
        self.loop.call_later(
            self.delay(), self._accept, link, life, serve, deadline, context=life.actor.context
        )
        return link

    def _accept(self, link: Link, life: Life, serve: Serve, deadline: float) -> None:
        """At the replica: a call has come in."""
        if link.broken or link.over:
            return
        if not life.serving:
            link.break_off()
            return
        call = life.call(deadline)
        link.handler = self.loop.create_task(
            self._handle(link, life, serve, call), context=life.actor.context
        )

    async def _handle(self, link: Link, life: Life, serve: Serve, call: Call) -> None:
        """At the replica: serve the call, and tell its client how it ended."""
        try:
            served = serve(life, link, call)
            result = await served
        except ColonnadeError as error:
            link.end(error)
        except Exception as error:  # noqa: BLE001  # a bug: that is what is looked for
            self.heard.bug("no bug is met", f"a call ended with {error!r}")
            link.end(error)
        else:
            link.end(result)
        finally:
            if link in life.links:
                life.links.remove(link)

    def _request(self, step: Ask) -> ChatRequest:
        question = self.questions[step.question]
        branch = question.branch
        return ChatRequest(
            message=Message.of(Role.USER, f"q{step.question} {'other' if step.other else 'same'}"),
            request_id=RequestId(f"q{step.question}"),
            conversation=None if branch is None else ConversationId(f"talk{branch}"),
            parent_message=None if branch is None else ROOT,
            linger=None if question.linger is None else Seconds(question.linger),
            detach=question.detach,
            turn_timeout=None if question.timeout is None else Seconds(question.timeout),
            language="en",
        )


LEFT = object()
"""The client went away before the end."""


def _asking(request: ChatRequest) -> Serve:
    async def serve(life: Life, link: Link, call: Call) -> object:
        await _pump(link, life.chat.ask(call, request))
        return None

    return serve


def _resuming(turn: TurnId, after: int) -> Serve:
    async def serve(life: Life, link: Link, call: Call) -> object:
        resumed = life.chat.resume(call, turn, after, accepts_retractions=True)
        await _pump(link, resumed)
        return None

    return serve


async def _pump(link: Link, batches: Batches) -> None:
    async with aclosing(batches):
        async for batch in batches:
            await link.send(batch)


def _worth_another_try(result: object) -> bool:
    if isinstance(result, Lost):
        return True
    return isinstance(result, ColonnadeError) and result.reason in (
        Reason.SERVICE_UNAVAILABLE,
        Reason.TURN_INTERRUPTED,
        Reason.TURN_ABANDONED,
    )
