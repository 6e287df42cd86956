"""Holds what the provider is asked for against attempts, leases and wishes to stop."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from core.identifiers import Seconds
from core.turns.outcome import may_be_taken_over
from core.turns.rows import Attempt, Turn, TurnState
from simulation.provider import PROMPT_TOKENS, Provider, ProviderCall
from simulation.store_server import Server
from simulation.trouble import Troubles
from simulation.watch_rows import Report, RowWatch

_TO_WRITE_DOWN_S = 6.0
"""How long the caller may take to put on record what it heard."""


class CallWatch:
    """Told of each call of the provider, and of its end."""

    def __init__(
        self,
        report: Report,
        provider: Provider,
        rows: RowWatch,
        server: Server,
        now: Callable[[], datetime],
        troubles: Troubles,
        lives: Callable[[str], bool],
        hard: Seconds,
    ) -> None:
        self.report = report
        self.called: dict[tuple[str, int], ProviderCall] = {}
        self._provider = provider
        self._rows = rows
        self._server = server
        self._now = now
        self._troubles = troubles
        self._lives = lives
        self._hard = hard

    def begun(self, call: ProviderCall) -> None:
        """A call: one attempt that is on record, open and its caller's must stand for it."""
        turn = self.turn_of(call.question)
        attempt = self._attempt_for(call, turn)
        if turn is None or attempt is None:
            self.report("no call without its attempt", f"{call.boot} asks for q{call.question}")
            return
        call.turn, call.attempt, call.epoch = turn.id, attempt.number, attempt.epoch
        self.called[turn.id, attempt.number] = call
        if turn.state is not TurnState.RUNNING or turn.epoch != attempt.epoch:
            self.report("no call by a stale runner", f"{turn.id}: attempt {attempt.number}")
        elif may_be_taken_over(turn, self._now(), self._hard):
            self.report("no call after the lease", f"{turn.id}: attempt {attempt.number}")

    def turn_of(self, question: int) -> Turn | None:
        """The newest turn of a request."""
        mine: list[Turn] = [
            row for row in self._server.tables["turns"].values() if row.request_id == f"q{question}"
        ]
        return mine[-1] if mine else None

    def all_are_booked(self) -> None:
        """At the end: every call has its one line, and it says what the provider counted."""
        lines = self._server.tables["ledger"]
        attempts = self._server.tables["attempts"]
        for key, attempt in attempts.items():
            if key not in lines or not attempt.booked:
                self.report("every attempt is booked once", f"{key} never was")
        for key, call in self.called.items():
            line = lines.get(key)
            if line is None:
                continue  # told above
            if line.usage.prompt != PROMPT_TOKENS:
                self.report("what was called is paid for", f"{key}: {line.usage}")
            if self._must_be_known(call) and (line.usage != call.usage or line.estimated):
                self.report(
                    "what is known late replaces the estimate",
                    f"{key}: {line.usage}, not {call.usage}",
                )
        self._given_up_cost_nothing()
        for key, line in lines.items():
            if key not in self.called and (line.usage.completion or 0) > 0:
                self.report("nothing is booked that was not called", f"{key}: {line.usage}")

    def _given_up_cost_nothing(self) -> None:
        """An attempt that was given up for the next one was never called, and costs nothing."""
        attempts: dict[tuple[str, int], Attempt] = self._server.tables["attempts"]  # type: ignore[assignment]
        for (unit, number), attempt in attempts.items():
            following = attempts.get((unit, number + 1))
            if (unit, number) in self.called or following is None:
                continue
            line = self._server.tables["ledger"].get((unit, number))
            if following.epoch == attempt.epoch and line is not None and line.usage.prompt:
                self.report("what was never called costs nothing", f"{unit} {number}: {line.usage}")

    def _must_be_known(self, call: ProviderCall) -> bool:
        """Whether the caller heard what it used, and nothing kept it from writing that down."""
        since = call.heard_at
        if since is None or not self._lives(call.boot):
            return False
        return not self._troubles.any_between(since + 0.001, since + _TO_WRITE_DOWN_S, call.boot)

    def _attempt_for(self, call: ProviderCall, turn: Turn | None) -> Attempt | None:
        """The newest attempt of this caller's that is open and was not called yet."""
        if turn is None:
            return None
        mine: list[Attempt] = [
            attempt
            for key, attempt in self._server.tables["attempts"].items()
            if attempt.unit == turn.id
            and attempt.deployment == call.deployment
            and attempt.used is None
            and key not in self.called
            and self._rows.owners.get((turn.id, attempt.epoch)) == call.boot
        ]
        return max(mine, key=lambda attempt: attempt.number, default=None)
