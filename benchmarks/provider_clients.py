"""The price of reading a provider's stream: our adapter beside bare clients of HTTP.

    python -m benchmarks.provider_clients [--json] [--rounds 3] [--streams 300] [--httpx FOLDER]

A provider that streams 64 chunks of Chat Completions runs in a process of its own. Each client
is a process, too, and reads streams from it, 32 at a time: `raw` (a socket, nothing parsed),
`aiohttp` and `httpx` (their bytes, nothing parsed), and `ours` (the adapter: parsed, checked,
joined, within its time limits). Rounds alternate between the clients, at full speed, with chunks
10 ms apart, with answers of one chunk, and with answers that come whole. CPU is that of the
client's process; a figure is the median over the rounds, in seconds for 1,000 answers. `httpx`
takes part where `--httpx` names the folder that it was installed into. The last line is JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import warnings
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, aclosing
from dataclasses import replace
from datetime import UTC, datetime
from statistics import median
from typing import Any

from benchmarks.relaying.processes import Child, child

CHUNKS = 64
CONCURRENT = 32
PAUSE_S = 0.01
WHOLE = "whole"
MODES = {"full": (CHUNKS, 0.0), "paced": (CHUNKS, PAUSE_S), "short": (1, 0.0), WHOLE: (1, 0.0)}
"""Chunks of an answer, and seconds between them."""
CLIENTS = ("raw", "aiohttp", "httpx", "ours")

Ask = Callable[[str, int], Awaitable[None]]
"""Reads one stream of a mode from the provider at a port."""

_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n"


def main() -> None:
    """Measure, or be one of the processes that are measured."""
    options = _options()
    if options.role == "provider":
        asyncio.run(_provide())
    elif options.role:
        sys.path += [options.httpx] if options.httpx else []
        _be(options.role)
    else:
        _measure(options)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print the last line only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--streams", type=int, default=300, help="in each round, client and mode")
    parser.add_argument("--httpx", default="", help="folder made by pip install --target")
    parser.add_argument("--role", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> None:
    module = "benchmarks.provider_clients"
    names = [name for name in CLIENTS if name != "httpx" or options.httpx]
    more = ("--httpx", options.httpx)
    figures: dict[str, list[float]] = {}
    with ExitStack() as stack:
        provider = stack.enter_context(child(module, "--role", "provider"))
        port = provider.ask()["port"]
        clients = {n: stack.enter_context(child(module, "--role", n, *more)) for n in names}
        for number in range(options.rounds + 1):
            for mode in MODES:
                for name, one in clients.items():
                    spent = _round(one, mode, port, options.streams)
                    if number:  # the first is to warm up
                        figures.setdefault(f"{name}_{mode}_cpu_s_per_1000", []).append(spent)
    result = {name: round(median(of), 3) for name, of in figures.items()}
    if not options.json:
        for name, value in result.items():
            print(f"{name:32} {value}")
    print(json.dumps(result))


def _round(one: Child, mode: str, port: int, streams: int) -> float:
    before = one.cpu_s()
    one.ask(mode=mode, port=port, streams=streams)
    return (one.cpu_s() - before) / streams * 1_000


async def _provide() -> None:
    """Answers `/N/...` with the mode of that name, for ever."""
    server = await asyncio.start_server(_answer, "127.0.0.1", 0)
    await asyncio.to_thread(sys.stdin.readline)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().splitlines()
                if line.startswith(b"content-length:")
            )
            await reader.readexactly(length)
            await _write(writer, head.split(b"/")[1].decode())
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _write(writer: asyncio.StreamWriter, mode: str) -> None:
    chunks, pause = MODES[mode]
    kind = "application/json" if mode == WHOLE else "text/event-stream"
    writer.write(_HEAD.format(kind).encode())
    if mode == WHOLE:
        text = "".join(f" word{number}" for number in range(CHUNKS))
        writer.write(_framed(_said({"message": {"role": "assistant", "content": text}}, "stop")))
    for number in range(chunks) if mode != WHOLE else ():
        last = number == chunks - 1
        said = _said({"delta": {"content": f" word{number}"}}, "stop" if last else None)
        end = b"data: [DONE]\n\n" if last else b""
        writer.write(_framed(b"data: " + said + b"\n\n" + end))
        await asyncio.sleep(pause)
    writer.write(b"0\r\n\r\n")


def _said(piece: dict[str, object], finish: str | None) -> bytes:
    choice = {"index": 0, **piece, "logprobs": None, "finish_reason": finish}
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000}
    return json.dumps({**head, "model": "m", "choices": [choice]}).encode()


def _framed(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _be(name: str) -> None:
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve_questions(name))


async def _serve_questions(name: str) -> None:
    ask = {"raw": _raw, "aiohttp": _aiohttp, "httpx": _httpx, "ours": _ours}[name]()
    while line := await asyncio.to_thread(sys.stdin.readline):
        question: dict[str, Any] = json.loads(line)
        left = iter(range(question["streams"]))

        async def work(question: dict[str, Any], left: Any) -> None:
            for _ in left:
                await ask(question["mode"], question["port"])

        await asyncio.gather(*(work(question, left) for _ in range(CONCURRENT)))
        print(json.dumps({}), flush=True)


BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()


def _raw() -> Ask:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(mode: str, port: int) -> None:
        way = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        reader, writer = way
        head = f"POST /{mode}/chat/completions HTTP/1.1\r\nContent-Length: {len(BODY)}\r\n\r\n"
        writer.write(head.encode() + BODY)
        tail = b""
        while not tail.endswith(b"\r\n0\r\n\r\n"):
            tail = (tail + await reader.read(65_536))[-7:]
        idle.append(way)

    return ask


def _aiohttp() -> Ask:
    import aiohttp

    warnings.simplefilter("ignore", ResourceWarning)  # the process ends with its session open

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))

    async def ask(mode: str, port: int) -> None:
        url = f"http://127.0.0.1:{port}/{mode}/chat/completions"
        async with session.post(url, data=BODY) as response:
            while await response.content.readany():
                pass

    return ask


def _httpx() -> Ask:
    httpx: Any = importlib.import_module("httpx")  # none of our dependencies
    client = httpx.AsyncClient(limits=httpx.Limits(max_connections=None))

    async def ask(mode: str, port: int) -> None:
        url = f"http://127.0.0.1:{port}/{mode}/chat/completions"
        async with client.stream("POST", url, content=BODY) as response:
            async for _ in response.aiter_raw():
                pass

    return ask


def _ours() -> Ask:
    from adapters.models.openai_compatible import ChatServer, OpenAICompatible
    from core.catalog import Deployment, Tier
    from core.generation import GenerationRequest
    from core.identifiers import DeploymentName, Seconds
    from core.messages import Message, Role

    deployment = Deployment(DeploymentName("d"), "m", "openai", Tier.SMALL, 8_192, 1_024)
    request = GenerationRequest((Message.of(Role.USER, "Hello"),))
    models: dict[str, OpenAICompatible] = {}
    server = ChatServer("")

    async def ask(mode: str, port: int) -> None:
        if mode not in models:
            where = replace(server, base_url=f"http://127.0.0.1:{port}/{mode}")
            models[mode] = OpenAICompatible(deployment, where, now=lambda: datetime.now(UTC))
        asked = replace(request, whole=mode == WHOLE)
        async with aclosing(models[mode].stream(asked, timeout=Seconds(30))) as events:
            async for _ in events:
                pass

    return ask


if __name__ == "__main__":
    main()
