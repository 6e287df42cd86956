"""Everything before a call: the prompt fitted, the price within the limits, the attempt on record.

What was taken on the way (a place, a reservation) is given back if a later step fails.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from functools import lru_cache

from core.catalog import Deployment, Tier
from core.errors import BudgetSpent
from core.generation import GenerationOptions
from core.identifiers import Seconds
from core.messages import Role
from core.option_tokens import option_tokens
from core.ports.language_model import LanguageModel
from core.ports.model_gateway import SpendingUnit
from core.prices import most_cost
from core.prompting.assembly import shortened
from core.prompting.parts import PromptPart, Provenance, SourceKind, Trust
from core.prompting.prompt import Prompt, render
from core.routing import Candidate
from core.turns.outcome import BYTES_PER_TOKEN_FLOOR
from core.turns.rows import Attempt
from services.models.attempt_steps import NOTHING
from services.models.attempts import Attempts
from services.models.journey import Journey, TooDear
from services.models.lanes import Lanes
from services.models.spending import NO_BUDGETS, Budgets, Reservation
from services.models.trial import Trial

_NO_PATIENCE = Seconds(0.0)


class Boarding:
    """Makes attempts that may be called."""

    def __init__(self, attempts: Attempts, lanes: Lanes, budgets: Budgets = NO_BUDGETS) -> None:
        self._attempts = attempts
        self._lanes = lanes
        self._budgets = budgets

    async def board(self, journey: Journey, candidate: Candidate) -> Trial:
        """An attempt of this candidate, ready to be called.

        Raises ContextTooLong, TooDear, TurnedAway, BudgetSpent or ModelError where it can't be
        asked, and Conflict where nobody may be asked for this unit any more.
        """
        order, deployment = journey.order, candidate.deployment
        model = journey.deployments.models[deployment.name]
        goes_on = journey.released and journey.may_continue(candidate)
        text = journey.text.rstrip() if goes_on else ""
        options = _options(journey, deployment, text)
        output = options.max_output_tokens or deployment.max_output_tokens
        parts = (*order.parts, _begun(text)) if text else order.parts
        prompt = await _fit(
            parts, deployment.context_window - output, model, option_tokens(options)
        )
        if order.constraints.max_cost is not None:
            _check_price(journey, candidate, prompt.tokens, output, order.constraints.max_cost)
        passage = await self._lanes.of(deployment).enter(
            order.unit.tenant,
            prompt.tokens + output,
            self._patience(journey, deployment),
            last_resort=journey.decision.all_rest,
        )
        reservation = None
        try:
            payer = journey.call.principal
            reservation = await self._budgets.reserve(
                payer, order.unit, deployment, prompt.tokens, output
            )
            unit = order.unit.paid(payer.key, reservation.holder if reservation else "")
            fresh, journey.fresh = journey.fresh, False
            attempt = await self._attempts.begin(
                unit, deployment, prompt.tokens, output, fresh=fresh
            )
            if reservation is not None:
                await self._require(reservation, attempt, unit, deployment)
        except BaseException:
            passage.leave(None, 0)
            if reservation is not None:
                self._budgets.release(reservation)
            raise
        journey.attempts += 1
        return Trial(
            candidate, deployment, model, prompt, options, passage, attempt, reservation, goes_on
        )

    async def _require(
        self,
        reservation: Reservation,
        attempt: Attempt,
        unit: SpendingUnit,
        deployment: Deployment,
    ) -> None:
        """It may still be paid for, now that it is on record. Raises BudgetSpent."""
        try:
            self._budgets.require(reservation)
        except BudgetSpent:
            await self._attempts.end(replace(attempt, used=NOTHING), unit, deployment)
            raise

    def _patience(self, journey: Journey, deployment: Deployment) -> Seconds:
        """Nobody is waited for while somebody else may have room at once."""
        if journey.course.others_wait and journey.round == 1:
            return _NO_PATIENCE
        left = journey.order.deadline - self._lanes.clock.monotonic()
        return Seconds(max(0.0, min(left, deployment.limits.longest_wait)))


async def _fit(
    parts: tuple[PromptPart, ...], budget: int, model: LanguageModel, options: int
) -> Prompt:
    """The prompt that fits, counted by the model that will read it, what options add included."""
    messages = render(parts)
    tokens = options + await model.count_tokens(messages)
    if tokens <= budget:
        return Prompt(messages, parts, (), tokens, budget)
    steps = shortened(parts, budget)
    messages = next(steps)
    while True:
        tokens = options + await model.count_tokens(messages)
        try:
            messages = steps.send(tokens)
        except StopIteration as end:
            prompt: Prompt = end.value
            return prompt


def _begun(text: str) -> PromptPart:
    """The beginning of the answer, which the model is to go on from."""
    source = Provenance(SourceKind.HISTORY, "begun")
    part = PromptPart.of(Role.ASSISTANT, text, source, Trust.UNTRUSTED)
    return replace(part, alone=True)


def _options(journey: Journey, deployment: Deployment, begun: str) -> GenerationOptions:
    """What is asked for, with what is kept free for the answer: at most half of a small window.

    What was already written counts against the caller's own bound.
    """
    asked = journey.order.options
    wanted = asked.max_output_tokens or deployment.max_output_tokens
    if begun and asked.max_output_tokens:
        wanted = max(1, wanted - len(begun.encode()) // BYTES_PER_TOKEN_FLOOR)
    room = min(wanted, deployment.max_output_tokens, deployment.context_window // 2)
    if deployment.tier is Tier.EXTRACTIVE:
        return GenerationOptions(max_output_tokens=room)
    return _with_room(asked, room)


@lru_cache(maxsize=1024)
def _with_room(asked: GenerationOptions, room: int) -> GenerationOptions:
    """A checked value is costly to make, and most requests want the same."""
    return replace(asked, max_output_tokens=room)


def _check_price(
    journey: Journey, candidate: Candidate, prompt: int, output: int, limit: Decimal
) -> None:
    """All attempts together stay within the caller's limit, counted by this deployment's prices.

    Raises TooDear.
    """
    most, before = most_cost(prompt, output, candidate.deployment.prices), journey.spent.cost
    if most is None or before is None:
        if not journey.deployments.policy.accept_unknown_price:
            raise TooDear
    elif before + most > limit:
        raise TooDear
