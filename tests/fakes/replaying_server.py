"""A server that answers any POST with what was recorded, in pieces of any size."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

_OURS = {"content-length", "content-encoding", "transfer-encoding", "connection", "date"}


@dataclass(frozen=True, slots=True)
class Recorded:
    """A response."""

    body: bytes
    status: int = 200
    headers: Mapping[str, str] = field(
        default_factory=lambda: {"content-type": "text/event-stream"}
    )


class ReplayingServer:
    """Sends `recorded`, cut at random bytes: within lines, characters and line ends, too."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self.recorded = Recorded(b"")
        self.url = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**26)
        application.router.add_post("/{path:.*}", self._serve)
        self._runner = web.AppRunner(application, shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        recorded = self.recorded
        kept = {name: value for name, value in recorded.headers.items() if name not in _OURS}
        response = web.StreamResponse(status=recorded.status, headers=kept)
        await response.prepare(request)
        for piece in split(recorded.body, self._draw):
            await response.write(piece)
        return response


def split(body: bytes, draw: random.Random) -> Sequence[bytes]:
    """The body in pieces, cut at random bytes."""
    if len(body) < 2:
        return [body] if body else []
    cuts = sorted(draw.sample(range(1, len(body)), min(40, len(body) - 1)))
    edges = [0, *cuts, len(body)]
    return [body[start:end] for start, end in itertools.pairwise(edges)]
