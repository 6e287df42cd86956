"""Claims in the commits of all runs: a request that nobody has sent before, on a free branch.

What else a claim can meet (a turn that is there already, a busy branch, a message that does not
exist) is not decided here: then nothing is written for it, and its call looks for itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.conversations import Head
from core.errors import Exhausted
from core.identifiers import ConversationId, MessageId
from core.ports.state import StoreUnavailable, Transaction
from core.turns.rows import IdempotencyKey, IdempotencyRecord, Turn
from services.turns.claiming import Claiming, NewTurns

_MOST_TOGETHER = 128
"""Claims in one commit; more go with the next."""

Branch = tuple[ConversationId, MessageId | None]


Told = Callable[[Turn | None, Exception | None], None]
"""Is told the new turn, or what failed; neither where the call has to look for itself.

Called once; it must not raise.
"""


@dataclass(slots=True, eq=False)
class Fresh:
    """A claim that goes along, and what came of it, once its commit is through."""

    claiming: Claiming
    told: Told
    outcome: Turn | Exhausted | None = None


class FreshClaims:
    """What is claimed with the next commit. Belongs to the loop; the writer takes and tells."""

    def __init__(self, new_turns: NewTurns) -> None:
        self.wake: Callable[[], None] | None = None
        """Has the writer come; None while it takes nobody along."""
        self._new_turns = new_turns
        self._waiting: list[Fresh] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def board(self, claiming: Claiming, told: Told) -> bool:
        """Claim it with the next commit, and tell; False where nobody is taken along now.

        What fails is Exhausted, or the store: StoreUnavailable.
        """
        if self.wake is None:
            return False
        self._waiting.append(Fresh(claiming, told))
        self.wake()
        return True

    def take(self) -> Sequence[Fresh]:
        """Those of the next commit, which is about to be sent."""
        taken, self._waiting = self._waiting[:_MOST_TOGETHER], self._waiting[_MOST_TOGETHER:]
        for fresh in taken:
            self._new_turns.send(fresh.claiming)
        return taken

    async def write(self, tx: Transaction, taken: Sequence[Fresh]) -> None:
        """Look for all of them at once, and write what is free to be claimed."""
        wanted = {fresh.claiming.request.conversation for fresh in taken}
        known = await tx.idempotency.find_all([fresh.claiming.key for fresh in taken])
        homes = [each for each in wanted if each is not None]
        heads = await tx.conversations.heads(homes) if homes else {}
        branches: set[Branch] = set()
        for fresh in taken:
            fresh.outcome = self._claimed(tx, fresh.claiming, known, heads, branches)

    def _claimed(
        self,
        tx: Transaction,
        claiming: Claiming,
        known: Mapping[IdempotencyKey, IdempotencyRecord],
        heads: Mapping[ConversationId, Head],
        branches: set[Branch],
    ) -> Turn | Exhausted | None:
        if claiming.key in known:
            return None
        home, parent = claiming.request.conversation, None
        if home is not None:
            head = heads.get(home)
            if head is None or not _goes_on(claiming, head) or (home, head.head) in branches:
                return None
            parent = head.head
            branches.add((home, parent))
        try:
            claiming.place.take()
        except Exhausted as full:
            return full
        return self._new_turns.write(tx, claiming, home, parent)

    def through(self, taken: Sequence[Fresh]) -> None:
        """Their commit is through."""
        for fresh in taken:
            if isinstance(fresh.outcome, Exhausted):
                fresh.told(None, fresh.outcome)
            else:
                fresh.told(fresh.outcome, None)

    def away(self, taken: Sequence[Fresh], away: StoreUnavailable) -> None:
        """Their commit failed, or may have: each has to find out for itself."""
        for fresh in taken:
            error = type(away)(away.message)
            error.outcome_known = away.outcome_known
            fresh.told(None, error)

    def turn_away(self, taken: Sequence[Fresh] = ()) -> None:
        """These, whose commit was refused, and all that wait: each looks for itself."""
        waiting, self._waiting = self._waiting, []
        for fresh in (*taken, *waiting):
            fresh.told(None, None)


def _goes_on(claiming: Claiming, head: Head) -> bool:
    """Whether it follows its conversation's newest message, which has no turn yet."""
    key, wanted = claiming.key, claiming.request.parent_message
    mine = head.tenant == key.tenant and head.owner == key.user
    return mine and not head.busy and wanted in (None, head.head)
