"""Who a secret stands for."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from core.api_keys import ApiKey, digest_of
from core.clock import Clock
from core.errors import CredentialsMissing, Unauthenticated
from core.identifiers import Seconds
from core.ports.state import EVERY_TENANT, State
from core.principal import Principal

_REMEMBERED = 4096


@dataclass(frozen=True, slots=True)
class _Known:
    """A key that was looked up, and counts as it was until a time of the monotonic clock."""

    key: ApiKey
    principal: Principal
    until: Seconds
    opens_always: bool
    """Nothing is known that would end it."""


class Authenticator:
    """Looks keys up by their digest, and remembers what it found for a few seconds.

    A revoked key therefore opens nothing more after `remember` seconds, on any process. `demo`
    is a principal for calls without a key: only a server that listens on loopback alone, and
    was told so, has one. A store that is away is an Unavailable, never a refusal.
    """

    def __init__(
        self,
        state: State,
        clock: Clock,
        *,
        demo: Principal | None = None,
        remember: Seconds = Seconds(5.0),
    ) -> None:
        self._state = state
        self._clock = clock
        self._demo = demo
        self._remember = remember
        self._known: OrderedDict[str, _Known] = OrderedDict()

    def recall(self, secret: str | None) -> Principal | None:
        """The caller behind this secret, where it was looked up a moment ago; None: look it up."""
        if secret is None:
            return None
        known = self._known.get(digest_of(secret))
        if known is None or self._clock.monotonic() >= known.until:
            return None
        opens = known.opens_always or known.key.opens(self._clock.now())
        return known.principal if opens else None

    async def authenticate(self, secret: str | None) -> Principal:
        """The caller behind this secret; None is a call without one."""
        if secret is None:
            if self._demo is not None:
                return self._demo
            raise CredentialsMissing(
                "this call carries no key; send it as metadata `authorization: Bearer KEY`, "
                "and make one with: colonnade keys create"
            )
        key = await self._find(digest_of(secret))
        if key is None or not key.opens(self._clock.now()):
            raise Unauthenticated("this key opens nothing; make a new one: colonnade keys create")
        return key.principal()

    async def _find(self, digest: str) -> ApiKey | None:
        now = self._clock.monotonic()
        known = self._known.get(digest)
        if known is not None and now < known.until:
            return known.key
        async with self._state.snapshot(EVERY_TENANT) as view:
            key = await view.api_keys.find(digest)
        if key is not None:
            until, always = Seconds(now + self._remember), not (key.expires_at or key.revoked_at)
            self._known[digest] = _Known(key, key.principal(), until, always)
            self._known.move_to_end(digest)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return key
