"""The end of a turn, in one transaction: message, last event, ledger, execution record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal

from core.catalog import Deployment
from core.generation import TokenUsage
from core.identifiers import DeploymentName, MessageId, Seconds
from core.messages import Message, Role, StoredMessage
from core.ports.state import Transaction
from core.prices import cost_of
from core.replacing import replaced
from core.turns.events import Finished, Latencies, Started
from core.turns.outcome import Outcome, bookable_usage, outcome, settled, unbooked
from core.turns.rows import (
    Attempt,
    EndReason,
    ExecutionRecord,
    LedgerLine,
    Turn,
    TurnFailure,
    TurnState,
)
from core.turns.transcript import Transcript
from services.turns.writing import Writing

DeploymentOf = Callable[[DeploymentName], Deployment | None]
"""The catalog's entry for a name; None for one that has left the catalog."""

_COMPLETE = (EndReason.STOP, EndReason.REFUSED)


@dataclass(frozen=True, slots=True)
class Total:
    """What all attempts of a unit used and cost together. None is unknown."""

    usage: TokenUsage
    cost: Decimal | None
    currency: str
    estimated: bool
    last: DeploymentName

    @classmethod
    def of(cls, lines: Sequence[LedgerLine]) -> Total:
        """The sum. One unknown cost, or one in another currency, makes the whole unknown.

        A part of it would mislead.
        """
        if len(lines) == 1:
            line = lines[0]
            usage = TokenUsage(
                line.usage.prompt,
                line.usage.completion,
                line.usage.cached_prompt,
                line.usage.reasoning,
            )
            return cls(usage, line.cost, line.currency, line.estimated, line.deployment)
        costs = [line.cost for line in lines]
        known = [cost for cost in costs if cost is not None]
        summable = len(known) == len(costs) and len({line.currency for line in lines}) <= 1
        return cls(
            TokenUsage(
                _sum(line.usage.prompt for line in lines),
                _sum(line.usage.completion for line in lines),
                _sum(line.usage.cached_prompt for line in lines),
                _sum(line.usage.reasoning for line in lines),
            ),
            sum(known, Decimal(0)) if summable else None,
            lines[-1].currency if lines else "USD",
            any(line.estimated for line in lines),
            lines[-1].deployment if lines else DeploymentName(""),
        )


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The step that ends a run: its owner's, or that of whoever takes over.

    `transcript` is what was released; `answer_id` the id that a stored answer gets. `latencies`
    and `first_event` are what the runner measured; a taker has none.
    """

    reason: EndReason | None
    failure: TurnFailure | None
    transcript: Transcript
    answer_id: MessageId
    deployment_of: DeploymentOf
    latencies: Latencies = Latencies()
    first_event: Seconds | None = None

    async def apply(self, tx: Transaction, row: Turn, writing: Writing) -> Turn:
        """End the turn by the rules of the core, and book everything that is open."""
        end = outcome(row, self.reason, self.failure)
        total = await book(tx, row, self.transcript, self.deployment_of, writing)
        message = self._store_answer(tx, row, end, total)
        seen = self.latencies
        took = Seconds((tx.now - row.created_at).total_seconds())
        latencies = Latencies(seen.retrieval, seen.first_text, seen.generation, took)
        if end.state is TurnState.FINISHED:
            self._begin(row, writing)
            writing.closing.append(
                Finished(
                    end.reason,
                    total.last,
                    total.usage,
                    total.estimated,
                    total.cost,
                    total.currency,
                    latencies,
                    message,
                    row.conversation,
                )
            )
        tx.spending.record(self._record(row, end, total, latencies))
        tx.readers.end(row.id)
        return settled(row, end, tx.now)

    def _begin(self, row: Turn, writing: Writing) -> None:
        """A run that ends before it has said anything says first which turn it is of.

        Never after text, which it would take back.
        """
        started = self.transcript.started
        if not row.released and (started is None or started.run != row.run):
            writing.closing.append(
                Started(row.id, row.run, "", "", row.request_id, row.conversation, row.user_message)
            )

    def _store_answer(
        self, tx: Transaction, row: Turn, end: Outcome, total: Total
    ) -> MessageId | None:
        """The assistant's message and the moved head, where text was released."""
        text = self.transcript.text
        if row.conversation is None or row.user_message is None or not text:
            return None
        tx.conversations.add_message(
            StoredMessage(
                self.answer_id,
                row.conversation,
                row.user_message,
                Message.of(Role.ASSISTANT, text),
                tx.now,
                turn=row.id,
                partial=end.reason not in _COMPLETE,
                citations=tuple(self.transcript.citations),
                model=total.last,
            )
        )
        tx.conversations.move_head(row.conversation, self.answer_id, tx.now)
        return self.answer_id

    def _record(
        self, row: Turn, end: Outcome, total: Total, latencies: Latencies
    ) -> ExecutionRecord:
        seen, verdict = self.transcript, self.transcript.verdict
        return ExecutionRecord(
            turn=row.id,
            request_id=row.request_id,
            tenant=row.tenant,
            user=row.user,
            prompt_version=seen.started.prompt_version if seen.started else "",
            model_version=total.last,
            retrieved=tuple(str(passage.chunk.document) for passage in seen.passages),
            tool_calls=(),
            latency_ms=1000.0 * (latencies.total or 0.0),
            first_event_ms=None if self.first_event is None else 1000.0 * self.first_event,
            usage=total.usage,
            cost=total.cost,
            currency=total.currency,
            validation=verdict.status.name if verdict else "",
            answered_by=verdict.answered_by.name if verdict else "",
            reason=end.reason.value,
        )


async def book(
    tx: Transaction,
    row: Turn,
    transcript: Transcript,
    deployment_of: DeploymentOf,
    writing: Writing,
) -> Total:
    """Book every attempt of the turn that is not booked yet; the sum of all that are.

    An attempt that nobody has ended is booked by what the log says of it, as an estimate.
    """
    attempts = await writing.attempts(tx, row.id)
    booked = [attempt for attempt in attempts if attempt.booked]
    known = await tx.spending.lines(row.id) if booked else ()
    lines = {line.attempt: line for line in known}
    open_attempts = unbooked(attempts)
    told = {used.attempt: used.usage for used in transcript.used if not used.estimated}
    for attempt in open_attempts:
        received = transcript.text_bytes if attempt is open_attempts[-1] else 0
        seen = replaced(
            attempt,
            booked=True,
            used=attempt.used or told.get(attempt.number),
            output_bytes=max(attempt.output_bytes, received),
        )
        line = ledger_line(seen, deployment_of(attempt.deployment), tx)
        tx.spending.book(line)
        writing.change(seen)
        lines[attempt.number] = line
    return Total.of([lines[number] for number in sorted(lines)])


def ledger_line(attempt: Attempt, deployment: Deployment | None, tx: Transaction) -> LedgerLine:
    """What this attempt is booked as; a deployment that left the catalog has no price."""
    usage, estimated = bookable_usage(attempt)
    return LedgerLine(
        unit=attempt.unit,
        attempt=attempt.number,
        tenant=attempt.tenant,
        user=attempt.user,
        feature=attempt.feature,
        deployment=attempt.deployment,
        model=deployment.model if deployment else "",
        usage=usage,
        cost=cost_of(usage, deployment.prices) if deployment else None,
        currency=deployment.prices.currency if deployment else "USD",
        estimated=estimated,
        booked_at=tx.now,
        key=attempt.key,
    )
