"""The use cases behind ChatService."""

from __future__ import annotations

from contextlib import aclosing

from core.call import Call
from core.chat import ChatRequest
from core.chat_rules import check_request
from core.errors import RetractionsRequired
from core.identifiers import RequestId, TurnId
from services.chat.answering import Answering
from services.turns.reading import Batches
from services.turns.seat import Seat
from services.turns.turns import Turns, TurnView


class Chat:
    """Asks, reads on, looks up and cancels. What is wrong with a request is said before a claim."""

    def __init__(self, turns: Turns, answering: Answering) -> None:
        self._turns = turns
        self._answering = answering

    def ask(self, call: Call, request: ChatRequest) -> Batches:
        """The turn of this request, as it happens; the first event is `started`.

        Raises InvalidInput, NotFound, RequestIdReused, BranchBusy, Exhausted before any event,
        and the turn's own failure after the last one.
        """
        return self._turns.stream(call, request, self._answering.produce, self._check)

    async def answer(self, call: Call, request: ChatRequest) -> TurnView:
        """The turn of this request once it has ended and is settled."""
        async with aclosing(self.ask(call, request)) as batches:
            async for _ in batches:
                pass
        return await self._turns.view(call, call.facts.turn_id, with_events=False)

    def resume(self, call: Call, turn: TurnId, after: int, *, accepts_retractions: bool) -> Batches:
        """The events after number `after`, then those that come, until the turn has ended."""

        async def find() -> Seat:
            row = await self._turns.row(call, turn)
            if row.retractions and not accepts_retractions:
                raise RetractionsRequired(
                    "this turn may take text back; set accept_retractions if you can do that",
                    turn_id=turn,
                )
            return self._turns.seat(call, turn)

        return self._turns.read(find, after)

    async def turn(
        self, call: Call, turn: TurnId, request_id: RequestId, *, with_events: bool
    ) -> TurnView:
        """The turn as it stands, by its id or by the caller's request id."""
        id = turn or await self._turns.find(call, request_id)
        return await self._turns.view(call, id, with_events=with_events)

    async def cancel(self, call: Call, turn: TurnId, request_id: RequestId) -> TurnView:
        """Stop the turn; what it is right after the wish was noted."""
        id = turn or await self._turns.find(call, request_id)
        await self._turns.cancel(call, id)
        return await self._turns.view(call, id, with_events=False)

    def _check(self, call: Call, request: ChatRequest) -> None:
        check_request(request)
        template = self._answering.template_for(request)
        template.values(request.prompt.inputs)
        call.facts.prompt_version = template.version
