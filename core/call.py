"""One call of ours by a caller: who, until when, and what the log line will say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from core.identifiers import CallId, RequestId, Seconds, TurnId
from core.principal import Principal
from core.trace import TraceContext


@dataclass(slots=True)
class CallFacts:
    """What the use case learned, for the one log line of the call. Not shared between calls."""

    request_id: RequestId = RequestId("")
    turn_id: TurnId = TurnId("")
    prompt_version: str = ""
    model_version: str = ""
    retrieved_doc_ids: tuple[str, ...] = ()
    tool_calls: tuple[str, ...] = ()
    token_count: int | None = None
    cost: Decimal | None = None
    currency: str = ""
    validation_status: str = ""
    attached: bool = False
    """The call joined a turn that another call had claimed: it caused no cost of its own."""


@dataclass(frozen=True, slots=True)
class Call:
    """The context that travels with a call through the services.

    `deadline` is on the monotonic clock; every outgoing call takes its own from it. `trace` is
    the caller's, and goes with every outgoing call that may tell it.
    """

    principal: Principal
    id: CallId
    deadline: Seconds
    facts: CallFacts = field(default_factory=CallFacts)
    trace: TraceContext | None = None
