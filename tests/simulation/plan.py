"""A schedule as data: who is there, what clients do, what goes wrong. Made from a seed, cut down
by the shrinker, carried out by the world."""

from __future__ import annotations

from dataclasses import dataclass, field

from simulation.store import CommitFault


@dataclass(frozen=True, slots=True)
class Say:
    """The provider sends a piece of the answer."""

    text: str = "w"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing comes for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Fail:
    """The provider fails."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing comes any more. Told to stop, it goes on for `stubborn` seconds."""

    stubborn: float = 0.0


ScriptStep = Say | Wait | Fail | Hang
Script = tuple[ScriptStep, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One request: every call with its number has this content.

    `branch` is the conversation whose root it follows; `scripts` are what the provider does at
    the first call for it, the second, and so on, the last one for all further ones. `tool`: a
    tool is run first. `approval`: instead of asking a provider, the turn waits so many seconds
    for somebody's decision. `wedged`: its runner does not notice that its time is over.
    """

    scripts: tuple[Script, ...]
    branch: int | None = None
    linger: float | None = None
    detach: bool = False
    timeout: float | None = None
    tool: bool = False
    approval: float | None = None
    wedged: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """A client sends a request to a replica and reads; where it is cut off, it goes on at others.

    `leaves`: after so many seconds it goes away. `pace`: seconds that it takes over each batch.
    `other`: it sends other content under the same id. `whole`: Chat instead of StreamChat.
    """

    at: float
    replica: int
    question: int
    deadline: float = 5.0
    leaves: float | None = None
    goes_on_at: tuple[int, ...] = ()
    pace: float = 0.0
    other: bool = False
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Resume:
    """A client reads a turn that is known, from a share of what its log holds."""

    at: float
    replica: int
    question: int
    start: float = 0.0
    deadline: float = 5.0
    leaves: float | None = None
    pace: float = 0.0


@dataclass(frozen=True, slots=True)
class Cancel:
    """A client cancels a turn, by its request's id."""

    at: float
    replica: int
    question: int


@dataclass(frozen=True, slots=True)
class Look:
    """A client asks how a turn stands."""

    at: float
    replica: int
    question: int
    with_events: bool = False


@dataclass(frozen=True, slots=True)
class Decide:
    """Somebody decides what a turn waits for."""

    at: float
    replica: int
    question: int
    approved: bool = True


@dataclass(frozen=True, slots=True)
class Kill:
    """A replica dies, at a time or at a step of its life; another life begins after a while."""

    at: float
    replica: int
    step: int | None = None
    back_after: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Pause:
    """A replica stands still, its clocks going on, from a time or a step of its life."""

    at: float
    replica: int
    seconds: float
    step: int | None = None


@dataclass(frozen=True, slots=True)
class ShutDown:
    """A replica is told to end: it drains, closes, and comes back as another life."""

    at: float
    replica: int
    patience: float = 0.0
    back_after: float | None = 1.0


@dataclass(frozen=True, slots=True)
class Away:
    """The store cannot be reached, by one replica or by any (None)."""

    at: float
    seconds: float
    replica: int | None = None
    hangs: bool = False


@dataclass(frozen=True, slots=True)
class Full:
    """The store's disk is full: what writes is refused."""

    at: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Slow:
    """Every request to the store takes longer."""

    at: float
    seconds: float
    by: float


@dataclass(frozen=True, slots=True)
class CutBus:
    """A replica hears no notices, and nobody hears its own."""

    at: float
    seconds: float
    replica: int


@dataclass(frozen=True, slots=True)
class DropClients:
    """Every connection of clients to a replica breaks."""

    at: float
    replica: int


@dataclass(frozen=True, slots=True)
class OnCommit:
    """At the nth commit that writes the table (by the replica), the commit fails so, or the
    replica dies or stands still before it hears that it went well."""

    table: str
    nth: int
    replica: int | None = None
    fault: CommitFault | None = None
    kills: bool = False
    pauses: float = 0.0
    back_after: float | None = 1.0


Action = Ask | Resume | Cancel | Look | Decide
Fault = Kill | Pause | ShutDown | Away | Full | Slow | CutBus | DropClients | OnCommit
Step = Action | Fault


@dataclass(frozen=True, slots=True)
class Setup:
    """What a schedule has from its beginning to its end."""

    replicas: int = 2
    alone: bool = False
    serial: bool = False
    skews: tuple[float, ...] = ()
    latency: float = 0.002
    spike: float = 0.0
    spike_rate: float = 0.0
    fault_rate: float = 0.0
    bus_loss: float = 0.0
    bus_repeats: float = 0.0
    bus_delay: float = 0.003
    tail_events: int = 512
    read_events: int = 64
    turns_limit: int = 64
    id_retention: float = 3_600.0
    afterlife: bool = False
    """Whether time goes on until ids are forgotten and logs compacted."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One schedule. `seed` draws what the plan leaves open: latencies, whose step is next."""

    seed: int
    setup: Setup
    questions: tuple[Question, ...]
    steps: tuple[Step, ...] = field(default=())
