"""One life of a replica: the real services on the simulated store, bus, clock and provider."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from core.call import Call
from core.catalog import Catalog, Tier
from core.clock import Clock
from core.identifiers import ApiKeyId, BootId, CallId, Seconds, TenantId, UserId
from core.ports.retriever import SearchRequest, SearchResult
from core.ports.telemetry import CallLine
from core.principal import Principal
from core.prompting.catalog import PromptCatalog
from core.prompting.templates import parse_template
from core.routing import RoutingPolicy
from services.chat.answering import AnsweringPolicy
from services.chat.chat import Chat
from services.models.attempts import Attempts
from services.models.deployments import Deployments
from services.models.gateway import Gateway
from services.turns.admission import Admission, TurnLimits
from services.turns.replica import Replica
from services.turns.run import Start
from services.turns.runs import Producer
from services.turns.timings import TurnTimings
from services.turns.turns import Turns
from simulation.codec import TableCodec
from simulation.loop import Actor, SeededLoop
from simulation.network import Exchange, Link
from simulation.plan import Question, Setup
from simulation.producing import SimulatedAnswering, go_on
from simulation.provider import Provider, SimulatedModel, a_deployment
from simulation.store import NOON, ReplicaStore, SimulatedStore

ACME = TenantId("acme")
ANN = UserId("ann")
FIRST, SECOND = a_deployment("first", Tier.STRONG), a_deployment("second", Tier.SMALL)
_CATALOG = Catalog({each.name: each for each in (FIRST, SECOND)}, {})
_PROMPTS = PromptCatalog.of(
    parse_template({"name": name, "task_class": "chat", "system": "S", "user": "{user_input}"})
    for name in ("chat", "grounded")
)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all replicas of a schedule share."""

    loop: SeededLoop
    store: SimulatedStore
    exchange: Exchange
    provider: Provider
    codec: TableCodec
    setup: Setup
    questions: Sequence[Question]
    timings: TurnTimings
    report: Callable[[str, str], None]


class _NoRetriever:
    async def search(self, call: Call, request: SearchRequest) -> SearchResult:
        raise NotImplementedError


@dataclass(slots=True)
class _Telemetry:
    report: Callable[[str, str], None]

    def call_ended(self, line: CallLine) -> None:
        pass

    def failed(self, call_id: CallId, error: BaseException) -> None:
        self.report("no bug is met", f"{error!r}")


@dataclass(eq=False)
class Life:
    """A replica from its start to its end."""

    number: int
    boot: BootId
    actor: Actor
    state: ReplicaStore
    turns: Turns
    chat: Chat
    admission: Admission
    clock: Clock
    links: list[Link] = field(default_factory=list)
    since: float = 0.0
    serving: bool = False
    stopping: bool = False
    dead_since: float | None = None
    _calls: itertools.count[int] = field(default_factory=itertools.count)

    @property
    def alive(self) -> bool:
        """Whether it has neither died nor ended."""
        return self.dead_since is None

    def call(self, deadline: float) -> Call:
        """A call that has so many seconds."""
        principal = Principal(ACME, ANN, ApiKeyId("key"), frozenset({"*"}))
        until = Seconds(self.clock.monotonic() + deadline)
        return Call(principal, CallId(f"call-{self.boot}-{next(self._calls)}"), until)


def new_life(around: Surroundings, number: int, life: int) -> Life:
    """The parts of one process, put together as the server does it. It is not open yet."""
    boot = BootId(f"r{number}.{life}")
    actor = around.loop.actor(boot)
    return actor.context.run(_assemble, around, number, boot, actor)


def _assemble(around: Surroundings, number: int, boot: BootId, actor: Actor) -> Life:
    setup, loop = around.setup, around.loop
    skew = setup.skews[number] if number < len(setup.skews) else 0.0
    clock = Clock(
        lambda: NOON + timedelta(seconds=loop.time() + skew), lambda: Seconds(loop.time())
    )
    state = around.store.reached_by(boot, actor)
    deployments = Deployments(
        _CATALOG,
        {each.name: SimulatedModel(around.provider, boot, each) for each in (FIRST, SECOND)},
        RoutingPolicy(),
    )
    admission = Admission(TurnLimits(turns=setup.turns_limit))
    bus = around.exchange.joined_by(boot, actor)
    replica = Replica(
        boot, clock, lambda: Seconds(loop.time()), _new_ids(boot), random.Random(boot).random, bus
    )
    turns = Turns(
        state,
        around.codec,
        replica,
        admission,
        deployments.deployment,
        around.timings,
        go_on,
    )
    _wedge(turns, around.questions)
    answering = SimulatedAnswering(
        state,
        Gateway(
            lambda: deployments,
            Attempts(state, turns.hold_lease, turns.ride),
            clock,
            turns_tick=turns.tick,
        ),
        _NoRetriever(),
        _PROMPTS,
        _Telemetry(around.report),
        clock,
        AnsweringPolicy(),
    )
    answering.questions = around.questions
    answering.deployment_of = deployments.deployment
    answering.now = around.store.now
    return Life(number, boot, actor, state, turns, Chat(turns, answering), admission, clock)


def _wedge(turns: Turns, questions: Sequence[Question]) -> None:
    """Let runners of some questions live by a clock that stands still."""
    begin = turns._runs.start

    def start(start: Start, produce: Producer) -> None:
        if questions[int(start.turn.request_id.removeprefix("q"))].wedged:
            start = replace(start, deadline=Seconds(1e6))
        begin(start, produce)

    if any(question.wedged for question in questions):
        turns._runs.start = start  # type: ignore[method-assign]


def _new_ids(boot: str) -> Callable[[str], str]:
    count = itertools.count(1)
    return lambda prefix: f"{prefix}-{boot}-{next(count)}"


def what_is_left(life: Life) -> dict[str, object]:
    """What a replica that has nothing to do still holds; nothing, if all is well."""
    turns = life.turns
    left: dict[str, object] = {
        "runs": list(turns._runs),
        "presences": list(turns._presences._present),
        "claims under way": turns._claims.under_way,
        "queues of equal calls": turns._claims._queues,
        "places": dict(life.admission._running),
    }
    return {name: each for name, each in left.items() if each}
