"""One request's way through its candidates: who is asked next, after what failure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from core.catalog import FallbackCause
from core.identifiers import DeploymentName
from core.routing.decision import RoutingDecision
from core.routing.ranking import Candidate


@dataclass(frozen=True, slots=True)
class Setback:
    """Why a candidate did not answer.

    `passing`: it may later, if the same is asked again. `called`: it was really asked.
    """

    cause: FallbackCause
    passing: bool = False
    called: bool = True


class Course:
    """Candidates in order, each once a round; a setback may lead to the chain of its cause.

    A content filter's verdict is final unless the route has a chain for it, and after a window
    that was too small only larger ones are asked.
    """

    def __init__(self, decision: RoutingDecision) -> None:
        self._decision = decision
        self._line = deque(decision.candidates)
        self._again: list[Candidate] = []
        self._out: set[DeploymentName] = set()
        self._chain: FallbackCause | None = None

    @property
    def others_wait(self) -> bool:
        """Whether somebody else could be asked in this round."""
        return bool(self._line)

    @property
    def later(self) -> tuple[Candidate, ...]:
        """Who may be asked again in the next round."""
        return tuple(self._again)

    def next(self, suits: Callable[[Candidate], bool] | None = None) -> Candidate | None:
        """The next to be asked in this round, the first that `suits`; None at its end."""
        for candidate in self._line:
            if suits is None or suits(candidate):
                self._line.remove(candidate)
                return candidate
        return None

    def set_back(self, candidate: Candidate, setback: Setback) -> None:
        """The candidate failed; the line changes to whom the cause leads."""
        if setback.passing:
            self._again.append(candidate)
        else:
            self._out.add(candidate.deployment.name)
        chain = self._decision.fallbacks.get(setback.cause)
        if chain is not None and self._chain is not setback.cause:
            self._chain = setback.cause
            tried = {c.deployment.name for c in self._again} | self._out
            self._line = deque(c for c in chain if c.deployment.name not in tried)
        elif chain is None and setback.cause is FallbackCause.CONTENT_FILTER:
            self._line.clear()
            self._again.clear()
        elif chain is None and setback.cause is FallbackCause.CONTEXT_WINDOW:
            room = candidate.deployment.context_window
            self._line = deque(c for c in self._line if c.deployment.context_window > room)

    def next_round(self) -> None:
        """Begin again with those whose setbacks pass."""
        self._line = deque(self._again)
        self._again = []
