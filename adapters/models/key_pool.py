"""Several keys of one deployment: each call takes one, and a key that is refused rests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds

RATE_LIMITED_REST = Seconds(5.0)
"""How long a key rests after a 429 that names no time."""
REFUSED_REST = Seconds(600.0)
"""How long a key rests that the provider does not accept: somebody has to mend that."""


@dataclass(slots=True)
class _Key:
    secret: str
    used: float = float("-inf")
    rests_until: float = float("-inf")
    refused: bool = False


class KeyPool:
    """Gives the key that has not been used for the longest time, of those that don't rest.

    A call has one key, and is not repeated here: while another key is ready, a refusal comes as
    one that may be tried again at once, so that whoever repeats the call gets that other key and
    the deployment is not left alone for one key's sake. A single key is given whatever was said
    of it. `clock` is monotonic; `rested` is told why, whenever a key is put to rest.
    """

    def __init__(
        self,
        secrets: Sequence[str],
        clock: Callable[[], float],
        rested: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._keys = [_Key(secret) for secret in secrets if secret]
        self._clock = clock
        self._rested = rested

    def take(self) -> str:
        """The key for a call, "" where there are none at all.

        Raises ModelError where all of several keys rest: RATE_LIMITED with the time at which one
        is ready, AUTHENTICATION where the provider accepts none of them.
        """
        if len(self._keys) < 2:
            return self._keys[0].secret if self._keys else ""
        now = self._clock()
        ready = [key for key in self._keys if key.rests_until <= now]
        if not ready:
            raise self._none(now)
        chosen = min(ready, key=lambda key: key.used)
        chosen.used, chosen.refused = now, False
        return chosen.secret

    def judge(self, secret: str, error: ModelError) -> ModelError:
        """The error of a call with this key, as it is for the deployment as a whole."""
        refused = error.kind is ModelErrorKind.AUTHENTICATION
        if len(self._keys) < 2 or not (refused or error.kind is ModelErrorKind.RATE_LIMITED):
            return error
        now = self._clock()
        for key in self._keys:
            if key.secret == secret:
                key.refused = refused
                advised = RATE_LIMITED_REST if error.retry_after is None else error.retry_after
                key.rests_until = now + (REFUSED_REST if refused else advised)
                self._rested(error.kind.value)
        if any(key.rests_until <= now for key in self._keys):
            said = f"{error.message}; another key is ready"
            return ModelError(ModelErrorKind.RATE_LIMITED, said, retry_after=Seconds(0.0))
        return self._none(now, error.message)

    def _none(self, now: float, said: str = "every key of the deployment rests") -> ModelError:
        if all(key.refused for key in self._keys):
            return ModelError(ModelErrorKind.AUTHENTICATION, f"{said}; every key was refused")
        soonest = min(key.rests_until for key in self._keys if not key.refused)
        return ModelError(
            ModelErrorKind.RATE_LIMITED, said, retry_after=Seconds(max(0.0, soonest - now))
        )
