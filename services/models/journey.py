"""One generation on its way: who was asked, what was said, what it cost, what went wrong."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice

from core.call import Call
from core.catalog import Deployment, FallbackCause
from core.errors import (
    BudgetSpent,
    ColonnadeError,
    ContextTooLong,
    Exhausted,
    FeatureUnsupported,
    ModelsUnavailable,
)
from core.generation import (
    ModelError,
    ModelErrorKind,
)
from core.identifiers import Seconds
from core.ports.model_gateway import GatewayEvent, GenerationOrder, Restarted, Spent, Switched
from core.resilience.failures import fallback_cause, passes
from core.routing import Candidate, RoutingDecision
from core.routing.course import Course, Setback
from services.models.deployments import Deployments
from services.models.line import TurnedAway
from services.models.trial import Trial, together


class TooDear(Exception):
    """With this deployment the request might cost more than its limit."""


Trouble = ModelError | ContextTooLong | TurnedAway | TooDear | BudgetSpent
"""Why a candidate could not answer, or was not called at all."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A candidate that could not answer. `attempt` is 0 where it was not called at all."""

    deployment: Deployment
    trouble: Trouble
    attempt: int = 0

    @property
    def cause(self) -> str:
        """In a word."""
        match self.trouble:
            case ModelError(kind=kind):
                return kind.value
            case ContextTooLong():
                return "context_too_long"
            case TurnedAway(cause=cause):
                return cause
            case TooDear():
                return "too_expensive"
            case BudgetSpent():
                return "budget_spent"

    @property
    def setback(self) -> Setback:
        """What it means for who is asked next."""
        match self.trouble:
            case ModelError(kind=kind):
                return Setback(fallback_cause(kind), passes(kind), called=self.attempt > 0)
            case ContextTooLong():
                return Setback(FallbackCause.CONTEXT_WINDOW, called=False)
            case TurnedAway():
                return Setback(FallbackCause.RATE, passing=True, called=False)
            case TooDear() | BudgetSpent():
                return Setback(FallbackCause.DOWN, called=False)


@dataclass(slots=True)
class Journey:
    """The state of one call of `generate`.

    `trial` is the attempt that is heard, or was the last. `before` is what readers had of the
    answer when it began.
    """

    call: Call
    order: GenerationOrder
    deployments: Deployments
    decision: RoutingDecision
    course: Course
    before: str = ""
    fresh: bool = False
    failures: list[Failed] = field(default_factory=list)
    round: int = 1
    attempts: int = 0
    trial: Trial | None = None
    _ended: list[Trial] = field(default_factory=list)
    _told: int = 0

    @property
    def text(self) -> str:
        """What was released."""
        return self.before if self.trial is None else self.before + self.trial.said

    @property
    def released(self) -> bool:
        """Whether somebody has seen words of the answer."""
        return bool(self.before or (self.trial is not None and self.trial.said))

    @property
    def may_go_on(self) -> bool:
        """Whether anyone is left who may be asked again, for readers who have seen this much."""
        later = self.course.later
        if self.released and not self.order.accepts_restart:
            return any(self.may_continue(candidate) for candidate in later)
        return bool(later)

    def may_continue(self, candidate: Candidate) -> bool:
        """Whether this one can go on from the text so far, and its words count for as much.

        A grammar begins at the beginning, and so does a refusal.
        """
        declined = self.trial is not None and self.trial.declined
        if declined or self.order.options.response_schema:
            return False
        deployment = candidate.deployment
        least = self.trial.deployment.tier if self.trial and self.order.context else deployment.tier
        return deployment.takes_prefix and deployment.tier >= least

    def fail(self, candidate: Candidate, trouble: Trouble, attempt: int = 0) -> None:
        """Note it, and let the course go where it leads."""
        failed = Failed(candidate.deployment, trouble, attempt)
        self.failures.append(failed)
        self.course.set_back(candidate, failed.setback)

    def turn_to(self, trial: Trial) -> list[GatewayEvent]:
        """Hear this attempt from now on.

        What is told as it is about to be called: the failures before it, once each.
        """
        opening: list[GatewayEvent] = []
        before = self.text
        if self.failures:
            opening += [
                Switched(
                    failed.deployment.name, trial.deployment.name, failed.attempt, failed.cause
                )
                for failed in islice(self.failures, self._told, None)
            ]
            self._told = len(self.failures)
            if self.released and not trial.goes_on:
                last, before = self.failures[-1], ""
                opening.append(Restarted(last.deployment.name, last.cause))
        self.before, self.trial = before, trial
        opening.append(trial.selected())
        return opening

    def book(self, trial: Trial) -> None:
        """This attempt has ended."""
        self._ended.append(trial)

    @property
    def spent(self) -> Spent:
        """What all attempts came to."""
        return together(self._ended)

    @property
    def advice(self) -> Seconds | None:
        """How long the latest failure of a call asks to wait."""
        latest = next((f.trouble for f in reversed(self.failures) if f.attempt), None)
        return latest.retry_after if isinstance(latest, ModelError) else None

    def error(self) -> ColonnadeError:
        """What the caller gets: the one cause where all share it, else all of them."""
        troubles = [failed.trouble for failed in self.failures]
        if not troubles:  # nobody goes on from what was begun
            return ModelsUnavailable([])
        first = troubles[0]
        if isinstance(first, ContextTooLong) and _all(troubles, ContextTooLong):
            return first
        if isinstance(first, BudgetSpent) and _all(troubles, BudgetSpent):
            return first
        if _all(troubles, TooDear):
            return FeatureUnsupported(
                "no deployment can serve this request within max_cost: too_expensive",
                feature="model",
            )
        if _all(troubles, TurnedAway):
            return Exhausted(
                "every deployment for this request is busy",
                retry_after=_soonest(self.failures) or Seconds(1.0),
                limit="deployments",
            )
        if isinstance(first, ModelError) and all(map(_is_unsupported, troubles)):
            return FeatureUnsupported(first.message, feature="model")
        told = ModelsUnavailable(self._causes(), self._words() if self.order.explain else None)
        told.retry_after = _soonest(self.failures) or told.retry_after
        return told

    def _causes(self) -> list[tuple[str, str]]:
        """Each failure; who was called is not told to have been busy, too."""
        called = {failed.deployment.name for failed in self.failures if failed.attempt}
        return [
            (failed.deployment.name, failed.cause)
            for failed in self.failures
            if failed.attempt or failed.deployment.name not in called
        ]

    def _words(self) -> dict[str, str]:
        """What providers themselves said, the latest of each."""
        return {
            failed.deployment.name: failed.trouble.message
            for failed in self.failures
            if isinstance(failed.trouble, ModelError)
        }


def _is_unsupported(trouble: Trouble) -> bool:
    return isinstance(trouble, ModelError) and trouble.kind is ModelErrorKind.UNSUPPORTED


def _all(troubles: list[Trouble], kind: type[Trouble]) -> bool:
    return all(isinstance(trouble, kind) for trouble in troubles)


def _soonest(failures: list[Failed]) -> Seconds | None:
    """When the first of them may be able to answer again, as far as they say."""
    told = [
        failed.trouble.retry_after
        for failed in failures
        if isinstance(failed.trouble, ModelError | TurnedAway)
        and failed.trouble.retry_after is not None
    ]
    return min(told, default=None)


def unreachable(decision: RoutingDecision) -> ColonnadeError:
    """Why nobody is asked at all."""
    resting = [r for r in decision.rejected if r.again_in is not None]
    if not resting:
        return FeatureUnsupported(
            f"no deployment can serve this request: {decision.explanation()}", feature="model"
        )
    error = ModelsUnavailable([(r.deployment, r.detail) for r in resting])
    if (again_in := decision.again_in) is not None:
        error.retry_after = again_in
    return error
