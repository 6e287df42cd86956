"""One attempt while it runs, and what it came to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.catalog import Deployment
from core.generation import (
    GenerationOptions,
    ModelFinished,
    ReasoningDelta,
    RefusalDelta,
    StopCause,
    TextDelta,
    TokenUsage,
    ToolCallDelta,
)
from core.identifiers import Seconds
from core.ports.gateway_observer import AttemptEnded
from core.ports.language_model import LanguageModel
from core.ports.model_gateway import Completed, Said, Selected, Spent
from core.prices import cost_of
from core.prompting.prompt import Prompt
from core.replacing import replaced
from core.resilience.failures import Verdict
from core.routing import Candidate
from core.turns.outcome import BYTES_PER_TOKEN_FLOOR, bookable_usage
from core.turns.rows import Attempt
from services.models.attempt_steps import NOTHING
from services.models.lanes import Passage
from services.models.spending import Reservation


@dataclass(slots=True)
class Trial:
    """One attempt. `output` is in bytes; `verdict` is what it says about the deployment's health.

    It `goes_on` from what another said, or begins. `whole`: it may come in one piece. `said` is the
    text of it that was let out; it may have `declined` with it to answer, or have `proposed` to
    call a tool. `failure` is the message of its error, and `error` its kind.
    """

    candidate: Candidate
    deployment: Deployment
    model: LanguageModel
    prompt: Prompt
    options: GenerationOptions
    passage: Passage
    attempt: Attempt
    reservation: Reservation | None = None
    goes_on: bool = False
    whole: bool = False
    called: bool = False
    output: int = 0
    said: str = ""
    declined: bool = False
    proposed: bool = False
    finished: ModelFinished | None = None
    failure: str = "stopped"
    error: str = ""
    verdict: Verdict | None = None
    spent: Spent = Spent(TokenUsage(), None)

    def let_out(self, said: Said) -> None:
        """This is about to be released."""
        match said:
            case TextDelta(text):
                self.said += text
            case RefusalDelta(text):
                self.said += text
                self.declined = True
            case ToolCallDelta():
                self.proposed = True

    def end(self) -> Attempt:
        """It is over: its row as it ended. From now on `spent` tells what it is booked as."""
        most = self.options.max_output_tokens or self.deployment.max_output_tokens
        received = min(self.output, most * BYTES_PER_TOKEN_FLOOR)  # no estimate is above that
        if self.finished is not None:
            ended = replaced(self.attempt, used=self.finished.usage, output_bytes=received)
        else:
            used = None if self.called else NOTHING
            ended = replaced(self.attempt, used=used, output_bytes=received, error=self.failure)
        usage, estimated = bookable_usage(ended)
        self.spent = Spent(usage, cost_of(usage, self.deployment.prices), 1, estimated)
        return ended

    def told(self, now: Seconds) -> AttemptEnded:
        """What operators are told of it, once it is over."""
        outcome = "ok" if self.finished is not None else self.error or "stopped"
        passage, spent = self.passage, self.spent
        return AttemptEnded(
            self.deployment,
            "chat",
            outcome,
            Seconds(now - passage.entered),
            passage.first,
            spent.usage,
            spent.estimated,
            spent.cost,
        )

    def selected(self) -> Selected:
        """The event that says so."""
        return Selected(
            self.deployment,
            self.attempt.number,
            self.prompt.tokens,
            self.prompt.dropped_sources() if self.prompt.dropped else (),
            continues=self.goes_on,
        )

    def completed(self, all_of_it: Spent) -> Completed:
        """The event of its good end; `all_of_it` is what every attempt came to."""
        own = self.spent
        return Completed(
            cause=self.finished.cause if self.finished else StopCause.STOP,
            deployment=self.deployment,
            attempt=self.attempt.number,
            usage=own.usage,
            estimated=own.estimated,
            cost=own.cost,
            currency=self.deployment.prices.currency,
            spent=all_of_it,
            stop_sequence=self.finished.stop_sequence if self.finished else "",
        )


def together(trials: Sequence[Trial]) -> Spent:
    """What they came to; costs of two currencies, or with an unknown one among them, have none."""
    if len(trials) == 1:
        return trials[0].spent
    all_spent = [trial.spent for trial in trials]
    currencies = {trial.deployment.prices.currency for trial in trials}
    costs = [spent.cost for spent in all_spent]
    known = [cost for cost in costs if cost is not None]
    exact = len(known) == len(costs) and len(currencies) <= 1
    return Spent(
        _usage([spent.usage for spent in all_spent]),
        sum(known, Decimal(0)) if exact else None,
        len(all_spent),
        any(spent.estimated for spent in all_spent),
    )


def _usage(all_used: list[TokenUsage]) -> TokenUsage:
    return TokenUsage(
        _sum([used.prompt for used in all_used]),
        _sum([used.completion for used in all_used]),
        _sum([used.cached_prompt for used in all_used]),
        _sum([used.reasoning for used in all_used]),
        _sum([used.cache_write for used in all_used]),
    )


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def storable(piece: Said) -> Said:
    """The same, without halves of surrogate pairs, which no encoding of text can hold."""
    if type(piece) is TextDelta and piece.text.isascii():
        return piece
    if not isinstance(piece, TextDelta | ReasoningDelta | RefusalDelta):
        return piece
    clean = piece.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return piece if clean == piece.text else replace(piece, text=clean)


def size(piece: Said) -> int:
    """The bytes of what the model wrote in this piece."""
    if type(piece) is TextDelta and piece.text.isascii():
        return len(piece.text)
    match piece:
        case TextDelta(text) | ReasoningDelta(text) | RefusalDelta(text):
            return len(text.encode())
        case ToolCallDelta():
            return len((piece.tool + piece.arguments).encode())
        case _:
            return 0
