"""How long a replica has been in touch with the store: who has not, may not judge others."""

from __future__ import annotations

from dataclasses import dataclass

from core.identifiers import Seconds

_NEVER = Seconds(float("-inf"))


@dataclass(frozen=True, slots=True)
class Contact:
    """Unbroken contact from `since` to `last`, in seconds of a clock that counts suspension.

    A lease that ran out says that its owner is dead only to one who could have seen it renewed
    all the while. A store that was away for everybody, and a pause of the replica's own, break
    the contact: owners then get a whole lease to come back before anyone takes their turns.
    """

    since: Seconds = _NEVER
    last: Seconds = _NEVER

    def reached(self, sent: Seconds, answered: Seconds, longest_gap: Seconds) -> Contact:
        """After the store has committed what was sent at `sent`, and answered at `answered`.

        It happened between the two, so each bound takes the one that makes the contact shorter.
        """
        unbroken = answered - self.last <= longest_gap
        return Contact(self.since if unbroken else answered, max(self.last, sent))

    def covers(self, lease: Seconds, now: Seconds, longest_gap: Seconds) -> bool:
        """Whether it has lasted through the whole last lease, up to now."""
        return now - self.last <= longest_gap and now - self.since >= lease
