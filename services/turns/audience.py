"""Who reads a run; one that nobody reads is abandoned, and the store has the last word on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.identifiers import Seconds
from core.ports.state import Transaction
from core.turns.rows import Turn
from core.turns.stopping import abandoned, may_abandon
from services.turns.run_log import Step
from services.turns.writing import Writing


class Abandon:
    """The step that marks a turn ABANDONED, if still nobody reads it once its row is locked.

    `local_readers` is asked as the transaction is sent; one who comes later is told the same end
    as everyone. `read_elsewhere` says what stood against it.
    """

    def __init__(self, local_readers: Callable[[], int]) -> None:
        self.read_elsewhere = False
        self._local_readers = local_readers

    async def apply(self, tx: Transaction, row: Turn, _: Writing) -> Turn:
        """See Step."""
        self.read_elsewhere = bool(await tx.readers.live([row.id], tx.now))
        alone = may_abandon(
            row, local_readers=self._local_readers(), remote_readers=self.read_elsewhere
        )
        return abandoned(row) if alone else row


class Audience:
    """Counts a run's readers here, and knows whether there are any elsewhere.

    After `linger` without any the run asks the store to be abandoned. Belongs to the loop.
    """

    def __init__(
        self, linger: Seconds, *, detached: bool, ask: Callable[[Step], asyncio.Future[Turn]]
    ) -> None:
        self.readers = 0
        self._linger = linger
        self._detached = detached
        self._ask = ask
        self._elsewhere = False
        self._patience: asyncio.TimerHandle | None = None
        self._asking = False
        self._over = False

    def enter(self) -> None:
        """One more reader is here."""
        self.readers += 1
        self._stop_waiting()

    def leave(self) -> None:
        """A reader has gone; the run may be lonely now."""
        self.readers -= 1
        self.wait_for_readers(self._linger)

    def detach(self) -> None:
        """The run goes on when nobody reads it."""
        self._detached = True
        self._stop_waiting()

    def read_elsewhere(self, is_read: bool) -> None:
        """What a commit has found: whether other replicas have readers."""
        self._elsewhere = is_read
        if is_read:
            self._stop_waiting()
        else:
            self.wait_for_readers(self._linger)

    def wait_for_readers(self, patience: Seconds) -> None:
        """Be patient for so long, unless somebody reads or is already waited for."""
        if self._is_read() or self._patience is not None or self._asking:
            return
        self._patience = asyncio.get_running_loop().call_later(patience, self._give_up)

    def close(self) -> None:
        """The run is over."""
        self._over = True
        self._stop_waiting()

    def _is_read(self) -> bool:
        return self._over or self._detached or self.readers > 0 or self._elsewhere

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if self._is_read():
            return
        self._asking = True
        step = Abandon(lambda: self.readers)
        self._ask(step).add_done_callback(lambda answered: self._answered(step, answered))

    def _answered(self, step: Abandon, answered: asyncio.Future[Turn]) -> None:
        """Abandoned, the run learns it from the row; else it goes on waiting."""
        self._asking = False
        if answered.cancelled() or answered.exception() is not None:
            return
        if answered.result().cancel is None:
            self.read_elsewhere(step.read_elsewhere)
