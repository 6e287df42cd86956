"""Clients of a gateway in a bad hour, each request named so that its calls can be found again."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from chaos.providers import DEADLINE_S, tag
from colonnade.client import AsyncClient, ColonnadeError, Unavailable

_AGAIN_S = 0.2


@dataclass(slots=True)
class Heard:
    """What one client made of one request; `tag` is that of the try that was not interrupted."""

    number: int
    tag: str = ""
    words: list[str] = field(default_factory=list)
    error: str = ""
    first_s: float = 0.0
    seconds: float = 0.0


@dataclass(slots=True)
class Crowd:
    """So many clients, who together send so many requests while the server is `alive`.

    `half` is set when half of them have their answers. `lives` counts the server's; `broken` are
    the tags of tries under which it died.
    """

    address: str
    requests: int
    clients: int
    begun: int = 0
    lives: int = 1
    heard: list[Heard] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)
    alive: asyncio.Event = field(default_factory=asyncio.Event)
    half: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Until every request has its answer or its error."""
        numbers = iter(range(self.requests))
        async with AsyncClient(address=self.address) as client:
            await asyncio.gather(*[self._client(client, numbers) for _ in range(self.clients)])

    async def _client(self, client: AsyncClient, numbers: Iterator[int]) -> None:
        for number in numbers:
            self.begun = number + 1
            heard = Heard(number)
            for again in itertools.count():
                heard.tag = tag(number, again)
                await self.alive.wait()
                if await self._ask(client, heard):
                    break
                await asyncio.sleep(_AGAIN_S)
            self.heard.append(heard)
            if 2 * len(self.heard) >= self.requests:
                self.half.set()

    async def _ask(self, client: AsyncClient, heard: Heard) -> bool:
        """Ask once; False where the server died under it."""
        began, text = time.monotonic(), ""
        try:
            asked, name = f"Count, {heard.tag}.", heard.tag
            async for piece in client.models.stream(
                asked, model="way", feature=name, timeout=DEADLINE_S
            ):
                heard.first_s = heard.first_s or time.monotonic() - began
                text += piece.text
        except ColonnadeError as error:
            died = self.lives > 1  # and a channel takes a while to see it back
            if died and isinstance(error, Unavailable) and not error.reason:
                self.broken.add(heard.tag)
                return False
            heard.error = f"{type(error).__name__}: {error}"
        heard.words = text.split()
        heard.seconds = time.monotonic() - began
        return True
