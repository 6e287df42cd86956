"""A provider on loopback that answers as well, or as badly, as it is told, in every format.

    async with ProviderServer(lambda asked: Plan.of("Hello", " world")) as server:
        model = OpenAICompatible(deployment, ChatServer(server.url("chat")), now=...)
        ...
        assert server.records[0].tokens == 2

It is a real HTTP server. It speaks OpenAI's Chat Completions (`chat`) and Responses
(`responses`), Anthropic's Messages (`messages`), Google's generateContent (`gemini`), Azure's
paths (`azure`), and POST /rerank (`rerank`, `tei`), where each piece is a document's score. What
it generated for each request, to the token, and when it saw the client go, stands in `records`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from fakes.provider_formats import Counts, Piece, Progress, Propose, ProviderFormat, Say, Think
from fakes.provider_formats_more import FORMATS

_BASES = {
    "chat": "/v1",
    "responses": "/v1",
    "messages": "/v1",
    "gemini": "/v1beta",
    "azure": "",
    "rerank": "/v1",
    "tei": "",
}


class Fault(Enum):
    """What goes wrong after `Plan.after` pieces."""

    CUT = auto()  # the connection breaks
    STOP = auto()  # the body ends as if it were whole, with no word of the end
    HANG = auto()  # nothing more comes, and the connection stays
    BROKEN = auto()  # the provider's own error event
    GARBAGE = auto()  # an event that is no JSON
    HALF_CHARACTER = auto()  # an event that ends within a character of UTF-8


@dataclass(frozen=True, slots=True)
class Refusal:
    """Another status than 200; without a body, the format's own words."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    message: str = "No."


@dataclass(frozen=True, slots=True)
class Plan:
    """How a request is answered.

    `before` seconds pass until the headers, `first` from them to the first piece, `pause` between
    pieces. `refusal` is all there is, where there is one; with `hangs_before_headers` there is
    nothing, and with `hangs_up` the connection breaks then. `cause` is the end's; `length` where
    the request's limit was reached. Without `counts` no usage is sent. `drip`: the bytes leave
    one by one.
    """

    pieces: tuple[Piece, ...] = (Say("Hello"), Say("."))
    before: float = 0.0
    first: float = 0.0
    pause: float = 0.0
    fault: Fault | None = None
    after: int = 0
    refusal: Refusal | None = None
    hangs_before_headers: bool = False
    hangs_up: bool = False
    cause: str = ""
    counts: bool = True
    cached: int = 0
    drip: bool = False

    @classmethod
    def of(cls, *texts: str, **more: Any) -> Plan:
        """These texts, a token each."""
        return cls(tuple(Say(text) for text in texts), **more)


class Outcome(Enum):
    RUNNING = auto()
    WHOLE = auto()
    REFUSED = auto()
    BROKEN = auto()  # by the server
    LEFT = auto()  # by the client


@dataclass(slots=True)
class Record:
    """One request, and what came of it.

    `text` is what left of the answer; `tokens` were generated, thoughts and calls included;
    `counted` says whether the client was told of them. Times are the event loop's.
    """

    format: str
    body: Mapping[str, Any]
    headers: Mapping[str, str]
    prompt: str
    prompt_tokens: int
    peer: object
    arrived: float
    tokens: int = 0
    reasoning: int = 0
    text: str = ""
    counted: bool = False
    outcome: Outcome = Outcome.RUNNING
    ended: float | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What `choose` may decide by. `number` counts the requests from 0."""

    number: int
    format: str
    prompt: str
    limit: int
    body: Mapping[str, Any]


class ProviderServer:
    """Answers each request by the plan that `choose` makes for it. See the module."""

    def __init__(self, choose: Callable[[Asked], Plan] | None = None) -> None:
        self.choose = choose or (lambda asked: Plan())
        self.records: list[Record] = []
        self.came = asyncio.Event()
        self.gone = asyncio.Event()
        self._origin = ""

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=2**26)
        for spelling in FORMATS.values():
            application.router.add_post(spelling.path, self._handler(spelling))
        self._runner = web.AppRunner(application, shutdown_timeout=0, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self._origin = f"http://{host}:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def url(self, format: str) -> str:
        """The base address for an adapter of this format."""
        return self._origin + _BASES[format]

    @property
    def running(self) -> int:
        """How many requests are being answered."""
        return sum(record.outcome is Outcome.RUNNING for record in self.records)

    def _handler(self, spelling: ProviderFormat) -> Callable[[web.Request], Any]:
        async def serve(request: web.Request) -> web.StreamResponse:
            return await self._serve(request, spelling)

        return serve

    async def _serve(self, request: web.Request, spelling: ProviderFormat) -> web.StreamResponse:
        body = json.loads(await request.read())
        assert request.transport is not None
        prompt = spelling.prompt(body)
        record = Record(
            format=spelling.name,
            body=body,
            headers=dict(request.headers),
            prompt=prompt,
            prompt_tokens=len(prompt.split()),
            peer=request.transport.get_extra_info("peername"),
            arrived=asyncio.get_running_loop().time(),
        )
        number = len(self.records)
        self.records.append(record)
        limit = spelling.limit(body)
        plan = self.choose(Asked(number, spelling.name, prompt, limit, body))
        self.came.set()
        answer = _Answer(request, spelling, plan, record, limit)
        try:
            return await answer.give()
        except (asyncio.CancelledError, ConnectionError):
            record.outcome = Outcome.LEFT
            self.gone.set()
            raise
        finally:
            record.ended = asyncio.get_running_loop().time()


@dataclass(slots=True)
class _Answer:
    """One request while it is being answered."""

    request: web.Request
    spelling: ProviderFormat
    plan: Plan
    record: Record
    limit: int
    at: Progress = field(default_factory=Progress)
    response: web.StreamResponse | None = None

    async def give(self) -> web.StreamResponse:
        plan = self.plan
        await asyncio.sleep(plan.before)
        if plan.hangs_before_headers:
            await asyncio.Event().wait()
        if plan.hangs_up:
            return self._break()
        if plan.refusal is not None:
            return self._refuse(plan.refusal)
        if not (self.record.body.get("stream") or "stream" in self.request.path):
            return await self._whole()
        self.response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await self.response.prepare(self.request)
        await self._write(self.spelling.begin(self.record.body, self._counts(), self.at))
        await asyncio.sleep(plan.first)
        return await self._stream(self.response)

    async def _stream(self, response: web.StreamResponse) -> web.StreamResponse:
        for number, piece in enumerate(self.plan.pieces):
            if self.plan.fault is not None and number == self.plan.after:
                return await self._fail(self.plan.fault, response)
            if self.record.tokens >= self.limit:
                break
            if number:
                await asyncio.sleep(self.plan.pause)
            self._generate(piece)
            await self._write(self.spelling.piece(piece, self.at))
            self.record.text += piece.text if isinstance(piece, Say) else ""
        if self.plan.fault is not None:
            return await self._fail(self.plan.fault, response)
        counts = self._counts() if self.plan.counts else None
        self.record.counted = counts is not None
        await self._write(self.spelling.end(self._cause(), counts, self.at))
        self.record.outcome = Outcome.WHOLE
        return response

    async def _whole(self) -> web.StreamResponse:
        """The answer in one piece, once all of it is made; any fault breaks the connection."""
        plan, record = self.plan, self.record
        await asyncio.sleep(plan.first + plan.pause * max(0, len(plan.pieces) - 1))
        made: list[Piece] = []
        for piece in plan.pieces:
            if record.tokens < self.limit:
                self._generate(piece)
                made.append(piece)
        if plan.fault is Fault.HANG:
            await asyncio.Event().wait()
        if plan.fault is not None:
            return self._break()
        record.text = "".join(piece.text for piece in made if isinstance(piece, Say))
        record.counted = plan.counts
        counts = self._counts() if plan.counts else None
        record.outcome = Outcome.WHOLE
        return web.json_response(self.spelling.whole(made, self._cause(), counts))

    async def _fail(self, fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
        if fault is Fault.HANG:
            await asyncio.Event().wait()
        self.record.outcome = Outcome.BROKEN
        match fault:
            case Fault.CUT:
                return self._break()
            case Fault.BROKEN:
                await self._write(self.spelling.broken("Overloaded."))
            case Fault.GARBAGE:
                await self._write(b'data: {"choices": [{"del\n\ndata: <html>\n\n')
            case Fault.HALF_CHARACTER:
                whole = self.spelling.piece(Say("灯"), self.at)
                cut = whole.index("灯".encode()) + 2
                await self._write(whole[:cut] + b'"}}]}\n\n')
        return response

    def _generate(self, piece: Piece) -> None:
        tokens = 1 + len(piece.arguments) if isinstance(piece, Propose) else 1
        self.record.tokens += tokens
        self.record.reasoning += isinstance(piece, Think)

    def _cause(self) -> str:
        if self.plan.cause:
            return self.plan.cause
        if self.record.tokens >= self.limit:
            return "length"
        calls = any(isinstance(piece, Propose) for piece in self.plan.pieces)
        return "tool_calls" if calls else "stop"

    def _counts(self) -> Counts:
        record = self.record
        return Counts(record.prompt_tokens, record.tokens, self.plan.cached, record.reasoning)

    async def _write(self, data: bytes) -> None:
        assert self.response is not None
        pieces = [data[n : n + 1] for n in range(len(data))] if self.plan.drip else [data]
        for piece in pieces:
            await self.response.write(piece)
            await asyncio.sleep(0)

    def _refuse(self, refusal: Refusal) -> web.Response:
        self.record.outcome = Outcome.REFUSED
        body = refusal.body
        if body is None:
            body = json.dumps(self.spelling.error(refusal.status, refusal.message))
        headers = {"Content-Type": "application/json", **refusal.headers}
        return web.Response(status=refusal.status, text=body, headers=headers)

    def _break(self) -> web.StreamResponse:
        self.record.outcome = Outcome.BROKEN
        if self.request.transport is not None:
            self.request.transport.abort()
        return self.response or web.Response()
