"""One process's chat service, made of the real parts on a fake or a real store.

async with turn_node(models=[a_model(script("Hello."))]) as node:
    read = await node.ask("hi", request_id="r1")
    assert read.text == "Hello."

Time is the loop's. Leaving the block ends the node and makes sure that nothing of it is left.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from adapters.grpc.codec import ProtobufCodec
from core.call import Call
from core.catalog import Catalog, Tier
from core.chat import ChatRequest
from core.clock import Clock
from core.conversations import Conversation
from core.identifiers import (
    ApiKeyId,
    BootId,
    CallId,
    ConversationId,
    RequestId,
    Seconds,
    TenantId,
    TurnId,
    UserId,
)
from core.knowledge import Passage
from core.messages import Message, Role, StoredMessage
from core.ports.bus import Bus
from core.ports.retriever import SearchRequest, SearchResult
from core.ports.state import State
from core.ports.telemetry import CallLine
from core.ports.turn_observer import QuietObserver, TurnObserver
from core.prices import Prices
from core.principal import Principal
from core.prompting.catalog import PromptCatalog
from core.prompting.templates import parse_template
from core.routing import RoutingPolicy
from core.turns.rows import Attempt, ExecutionRecord, LedgerLine, LoggedEvent, Turn
from fakes.bus import fake_bus
from fakes.language_model import Script, ScriptedModel, a_deployment
from fakes.state import FakeState
from fakes.turn_readers import Read, read_all
from services.chat.answering import Answering, AnsweringPolicy
from services.chat.chat import Chat
from services.models.attempts import Attempts
from services.models.deployments import Deployments
from services.models.gateway import Gateway
from services.turns.admission import Admission, TurnLimits
from services.turns.reading import Batches
from services.turns.replica import Replica
from services.turns.runs import Producer
from services.turns.timings import TurnTimings
from services.turns.turns import Turns, TurnView, interrupted

ACME = TenantId("acme")
ANN = UserId("ann")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROMPTS = PromptCatalog.of(
    parse_template({"name": name, "task_class": task, "system": "Be brief.", "user": user})
    for name, task, user in (
        ("chat", "chat", "{user_input}"),
        ("grounded", "grounded_answer", "{retrieved_context}\n{user_input}"),
    )
)
_codec = ProtobufCodec()


def loop_clock() -> Clock:
    """A clock on the running loop's time, which stands for noon at its beginning."""
    loop = asyncio.get_running_loop()
    return Clock(lambda: NOON + timedelta(seconds=loop.time()), lambda: Seconds(loop.time()))


def loop_now() -> datetime:
    """The time now, for a store: it may be asked where no loop runs."""
    try:
        return NOON + timedelta(seconds=asyncio.get_running_loop().time())
    except RuntimeError:
        return NOON


class FakeRetriever:
    """Finds what it was given. `searches` has what was asked; set `error` to let it fail."""

    def __init__(self, passages: Sequence[Passage] = ()) -> None:
        self.passages = tuple(passages)
        self.searches: list[SearchRequest] = []
        self.error: Exception | None = None

    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        """See Retriever.search."""
        self.searches.append(request)
        if self.error is not None:
            raise self.error
        return SearchResult(self.passages[: request.limit])


class FakeTelemetry:
    """Keeps what it is told. A bug that is reported fails the test, unless it `expects` one."""

    def __init__(self) -> None:
        self.bugs: list[BaseException] = []

    def call_ended(self, line: CallLine) -> None:
        """See Telemetry.call_ended."""

    def failed(self, call_id: CallId, error: BaseException) -> None:
        """See Telemetry.failed."""
        self.bugs.append(error)


@dataclass
class TurnNode:
    """A node under test, and what a user or an operator sees of it."""

    state: State
    clock: Clock
    turns: Turns
    chat: Chat
    gateway: Gateway
    retriever: FakeRetriever
    telemetry: FakeTelemetry
    admission: Admission
    settled: int = 0
    _ids: Iterator[int] = field(default_factory=itertools.count)

    def call(self, *, user: UserId = ANN, tenant: TenantId = ACME, deadline: float = 60.0) -> Call:
        """A call by a user, that has so many seconds."""
        principal = Principal(tenant, user, ApiKeyId("key"), frozenset({"*"}))
        until = Seconds(self.clock.monotonic() + deadline)
        return Call(principal, CallId(f"call-{next(self._ids)}"), until)

    def stream(self, request: ChatRequest, call: Call | None = None) -> Batches:
        """StreamChat."""
        return self.chat.ask(call or self.call(), request)

    async def ask(
        self, request: ChatRequest | str, call: Call | None = None, **fields: Any
    ) -> Read:
        """StreamChat, read to its end."""
        wanted = a_request(request, **fields) if isinstance(request, str) else request
        call = call or self.call()
        return await read_all(self.chat.ask(call, wanted), call)

    async def resume(self, turn: TurnId, after: int = 0, call: Call | None = None) -> Read:
        """ResumeChat, read to its end."""
        call = call or self.call()
        resumed = self.chat.resume(call, turn, after, accepts_retractions=True)
        return await read_all(resumed, call)

    async def get(self, turn: TurnId, *, with_events: bool = False) -> TurnView:
        """GetTurn."""
        return await self.chat.turn(self.call(), turn, RequestId(""), with_events=with_events)

    async def cancel(self, turn: TurnId) -> TurnView:
        """CancelChat."""
        return await self.chat.cancel(self.call(), turn, RequestId(""))

    async def row(self, turn: TurnId) -> Turn:
        """The turn's row as it is stored."""
        async with self.state.snapshot(ACME) as view:
            row = await view.turns.get(turn)
        assert row is not None
        return row

    async def log(self, turn: TurnId) -> Sequence[LoggedEvent]:
        """The turn's whole log."""
        async with self.state.snapshot(ACME) as view:
            return await view.events.read(turn, 0, 100_000)

    async def ledger(self, turn: str) -> Sequence[LedgerLine]:
        """What was booked for the turn."""
        async with self.state.snapshot(ACME) as view:
            return await view.spending.lines(turn)

    async def attempts(self, turn: str) -> Sequence[Attempt]:
        """The calls of providers on record."""
        async with self.state.snapshot(ACME) as view:
            return await view.spending.attempts(turn)

    async def execution(self, turn: TurnId) -> ExecutionRecord | None:
        """The execution record."""
        async with self.state.snapshot(ACME) as view:
            return await view.spending.execution(turn)

    async def converse(self, id: str = "talk", owner: UserId = ANN) -> ConversationId:
        """A new conversation."""
        made = Conversation(ConversationId(id), owner, "", self.clock.now(), self.clock.now())
        async with self.state.transaction(ACME) as tx:
            tx.conversations.insert(made)
        return made.id

    async def conversation(self, id: ConversationId) -> Conversation:
        """A conversation as it is stored."""
        async with self.state.snapshot(ACME) as view:
            found = await view.conversations.get(id)
        assert found is not None
        return found

    async def said(self, id: ConversationId) -> Sequence[StoredMessage]:
        """All messages of a conversation."""
        async with self.state.snapshot(ACME) as view:
            return await view.conversations.messages(id, 1000, None)

    async def close(self) -> None:
        """End the node, and look whether anything of it is left."""
        await self.turns.drain(Seconds(0.0))
        await self.turns.close()
        left = {
            "runs": dict(self.turns._runs._runs),
            "tasks": set(self.turns._runs.tasks),
            "claims under way": set(self.turns._claims.under_way),
            "queues of equal calls": dict(self.turns._claims._queues),
            "places": dict(self.admission._running),
            "readers elsewhere": dict(self.turns._presences._present),
        }
        assert not any(left.values()), left


@dataclass(frozen=True)
class NodeOptions:
    """What a node may be made with."""

    timings: TurnTimings = TurnTimings()
    limits: TurnLimits = TurnLimits()
    routing: RoutingPolicy = RoutingPolicy()
    passages: Sequence[Passage] = ()
    boot: str = "boot-1"
    alone: bool = True
    clock: Clock | None = None
    boottime: Callable[[], Seconds] | None = None
    draw: Callable[[], float] = lambda: 0.5
    bus: Bus | None = None
    observer: TurnObserver = field(default_factory=QuietObserver)
    go_on: Producer = interrupted


@asynccontextmanager
async def turn_node(
    state: State | None = None,
    models: Sequence[ScriptedModel] = (),
    *,
    bugs: int = 0,
    **options: Any,
) -> AsyncIterator[TurnNode]:
    """A node that is open. `options` are those of NodeOptions; `bugs` how many it reports."""
    before = asyncio.all_tasks()
    store = FakeState(loop_now) if state is None else state
    node = await open_node(store, models, **options)
    yield node
    await node.close()
    await asyncio.sleep(0)
    left = {task for task in asyncio.all_tasks() - before if not _is_the_stores(task)}
    assert not left, f"tasks go on after the node has ended: {left}"
    assert len(node.telemetry.bugs) == bugs, node.telemetry.bugs


def _is_the_stores(task: asyncio.Task[Any]) -> bool:
    """Whether it looks after a connection, which it may do for as long as the store is open."""
    return task.get_name().startswith("postgres-")


async def open_node(state: State, models: Sequence[ScriptedModel] = (), **options: Any) -> TurnNode:
    """A node that whoever opens it has to close, or to kill."""
    chosen = NodeOptions(**options)
    clock = chosen.clock or loop_clock()
    deployments = _deployments(models or [a_model()], chosen.routing)
    retriever = FakeRetriever(chosen.passages)
    telemetry = FakeTelemetry()
    replica = Replica(
        BootId(chosen.boot),
        clock,
        chosen.boottime or clock.monotonic,
        _new_ids(chosen.boot),
        chosen.draw,
        chosen.bus or fake_bus(),
        chosen.observer,
    )
    admission = Admission(chosen.limits)
    turns = Turns(
        state,
        _codec,
        replica,
        admission,
        deployments.deployment,
        chosen.timings,
        chosen.go_on,
    )
    gateway = Gateway(
        lambda: deployments,
        Attempts(state, turns.hold_lease, turns.ride),
        clock,
        turns_tick=turns.tick,
    )
    policy = AnsweringPolicy()
    answering = Answering(state, gateway, retriever, PROMPTS, telemetry, clock, policy)
    settled = await turns.open(alone=chosen.alone)
    chat = Chat(turns, answering)
    return TurnNode(state, clock, turns, chat, gateway, retriever, telemetry, admission, settled)


def _deployments(models: Sequence[ScriptedModel], routing: RoutingPolicy) -> Deployments:
    entries = {model.deployment.name: model.deployment for model in models}
    served = {model.deployment.name: model for model in models}
    return Deployments(Catalog(entries, {}), served, routing)


def _new_ids(boot: str) -> Callable[[str], str]:
    count = itertools.count(1)
    return lambda prefix: f"{prefix}_{boot}_{next(count):06d}"


def a_model(
    *scripts: Script,
    name: str = "strong",
    tier: Tier = Tier.STRONG,
    price: str | None = "1",
    **changes: Any,
) -> ScriptedModel:
    """A model that costs `price` a million tokens, in or out; None is unknown."""
    money = None if price is None else Decimal(price)
    deployment = replace(
        a_deployment(name), tier=tier, prices=Prices(input=money, output=money), **changes
    )
    return ScriptedModel(*scripts, deployment=deployment)


def a_request(text: str = "Hi", **fields: Any) -> ChatRequest:
    """A request whose message is this text."""
    return ChatRequest(message=Message.of(Role.USER, text), **fields)
