"""The adapter against a server of our own: what goes out, what comes in, what goes wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from adapters.models.openai_compatible import ChatServer, OpenAICompatible
from adapters.models.time_limits import TimeLimits
from core.generation import (
    AnswerOrigin,
    GenerationOptions,
    GenerationRequest,
    ModelError,
    ModelEvent,
    ModelFinished,
    StopCause,
    TextDelta,
    TokenUsage,
)
from core.generation import (
    ModelErrorKind as Kind,
)
from core.identifiers import Seconds
from core.messages import Message, Role
from fakes.chat_server import (
    ChatServerDouble,
    Ending,
    HangUp,
    Refuse,
    Reply,
    Silence,
    Stream,
    chunk,
)
from fakes.language_model import a_deployment

KEY = "sk-a-secret-of-the-test"
NOW = datetime(2026, 3, 4, tzinfo=UTC)
HELLO = GenerationRequest((Message.of(Role.USER, "Hello"),), GenerationOptions(temperature=0))
QUICK = TimeLimits(Seconds(0.3), Seconds(0.3), Seconds(0.2))


@asynccontextmanager
async def asked(
    reply: Reply | None = None, **settings: object
) -> AsyncIterator[tuple[OpenAICompatible, ChatServerDouble]]:
    """An adapter and the server that it speaks to."""
    async with ChatServerDouble(reply) as server:
        known = ChatServer(server.url, api_key=KEY)
        model = OpenAICompatible(
            a_deployment(),
            replace(known, **settings),  # type: ignore[arg-type] # each test knows what it sets
            now=lambda: NOW,
        )
        try:
            yield model, server
        finally:
            await model.close()


async def read(model: OpenAICompatible, timeout: float = 10.0) -> list[ModelEvent]:
    async with aclosing(model.stream(HELLO, timeout=Seconds(timeout))) as events:
        return [event async for event in events]


async def error_of(model: OpenAICompatible, timeout: float = 10.0) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await read(model, timeout)
    return caught.value


class TestRequests:
    async def test_headers(self) -> None:
        headers = {"X-Team": "lighthouse", "Authorization": "Bearer another"}
        async with asked(headers=headers) as (model, server):
            await read(model)
        assert server.headers[0]["X-Team"] == "lighthouse"
        assert server.headers[0]["Authorization"] == "Bearer another"
        assert server.headers[0]["Accept-Encoding"] == "identity"

    async def test_the_key_is_sent_and_no_key_where_there_is_none(self) -> None:
        async with asked() as (model, server):
            await read(model)
        assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
        async with asked(api_key="") as (model, server):
            await read(model)
        assert "Authorization" not in server.headers[0]

    async def test_characters_arrive_whole(self) -> None:
        question = GenerationRequest((Message.of(Role.USER, '灯塔 🗼 "quoted"\n'),))
        async with asked() as (model, server):
            async with aclosing(model.stream(question, timeout=Seconds(5))) as events:
                assert [event async for event in events]
            assert server.requests[0]["messages"] == [
                {"role": "user", "content": '灯塔 🗼 "quoted"\n'}
            ]

    async def test_a_redirect_is_not_followed(self) -> None:
        away = Refuse(307, "", {"Location": "http://127.0.0.1:1/v1/chat/completions"})
        async with asked(away) as (model, _):
            assert (await error_of(model)).kind is Kind.BAD_REQUEST

    async def test_a_proxy_is_asked_for_the_provider(self) -> None:
        async with ChatServerDouble() as proxy:
            settings = ChatServer("http://provider.invalid/v1", proxy=proxy.url.removesuffix("/v1"))
            model = OpenAICompatible(a_deployment(), settings, now=lambda: NOW)
            assert isinstance((await read(model))[-1], ModelFinished)
            await model.close()
        assert proxy.headers[0]["Host"] == "provider.invalid"


class TestAnswers:
    async def test_pieces_that_arrive_together_come_as_one(self) -> None:
        whole = b"".join(Stream.of("Hel", "lo", " world").pieces)
        async with asked(Stream([whole])) as (model, _):
            assert await read(model) == [
                AnswerOrigin("chatcmpl-1", "m"),
                TextDelta("Hello world"),
                ModelFinished(StopCause.STOP, TokenUsage(7, 3)),
            ]

    async def test_pieces_come_as_they_are_made(self) -> None:
        reply = Stream([chunk("first"), chunk("second", finish="stop")], Ending.STALLS)
        async with (
            asked(reply) as (model, _),
            aclosing(model.stream(HELLO, timeout=Seconds(10))) as events,
        ):
            seen = ""
            while seen != "firstsecond":
                event = await anext(events)
                seen += event.text if isinstance(event, TextDelta) else ""

    async def test_connections_are_used_again(self) -> None:
        async with asked() as (model, server):
            for _ in range(5):
                await read(model)
            assert len(server.requests) == 5
            assert len(server.peers) == 1

    async def test_a_reader_that_leaves_at_the_finish_keeps_the_connection(self) -> None:
        async with asked() as (model, server):
            for _ in range(3):
                async with aclosing(model.stream(HELLO, timeout=Seconds(5))) as events:
                    async for event in events:
                        if isinstance(event, ModelFinished):
                            break
            assert len(server.peers) == 1

    async def test_small_writes_are_not_held_back(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made: list[socket.socket] = []
        connect = socket.socket.__init__

        def remember(self: socket.socket, *args: object, **kwargs: object) -> None:
            connect(self, *args, **kwargs)  # type: ignore[arg-type] # handed through
            made.append(self)

        monkeypatch.setattr(socket.socket, "__init__", remember)
        reply = Stream([chunk("first")], Ending.STALLS)
        async with (
            asked(reply) as (model, server),
            aclosing(model.stream(HELLO, timeout=Seconds(5))) as events,
        ):
            await anext(events)
            client = next(one for one in made if _is_connected_to(one, server.url))
            assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def _is_connected_to(one: socket.socket, url: str) -> bool:
    try:
        return f":{one.getpeername()[1]}/" in url
    except OSError:
        return False


class TestFailures:
    async def test_a_connection_that_is_cut_is_no_finish(self) -> None:
        async with asked(Stream([chunk("half an")], Ending.CUT)) as (model, _):
            assert (await error_of(model)).kind is Kind.CONNECTION

    async def test_a_cut_after_the_finish_reason_is_no_finish_either(self) -> None:
        reply = Stream([chunk("whole", finish="stop")], Ending.CUT)
        async with asked(reply) as (model, _):
            assert (await error_of(model)).kind is Kind.CONNECTION

    async def test_a_stream_that_ends_early_is_malformed(self) -> None:
        async with asked(Stream([chunk("half an")])) as (model, _):
            assert (await error_of(model)).kind is Kind.MALFORMED_STREAM

    async def test_the_end_mark_without_a_finish_reason_is_malformed(self) -> None:
        async with asked(Stream([chunk("half an"), b"data: [DONE]\n\n"])) as (model, _):
            assert (await error_of(model)).kind is Kind.MALFORMED_STREAM

    async def test_a_body_that_is_no_stream_is_malformed(self) -> None:
        reply = Stream([b'{"choices": []}'], content_type="application/json")
        async with asked(reply) as (model, _):
            assert (await error_of(model)).kind is Kind.MALFORMED_STREAM

    async def test_a_server_that_hangs_up(self) -> None:
        async with asked(HangUp()) as (model, _):
            assert (await error_of(model)).kind is Kind.CONNECTION

    async def test_a_used_connection_that_is_just_closed_is_replaced(self) -> None:
        async with ChatServerDouble(once_a_connection=True) as server:
            model = OpenAICompatible(a_deployment(), ChatServer(server.url), now=lambda: NOW)
            answers = await asyncio.gather(*(read(model) for _ in range(3)))
            answers += [await read(model) for _ in range(5)]
            assert all(isinstance(events[-1], ModelFinished) for events in answers)
            await model.close()

    async def test_a_new_connection_that_is_closed_is_not_tried_again(self) -> None:
        async with asked(HangUp()) as (model, server):
            await error_of(model)
            assert len(server.requests) == 1

    async def test_nobody_there(self) -> None:
        async with asked(base_url="http://127.0.0.1:1/v1") as (model, _):
            error = await error_of(model)
        assert error.kind is Kind.CONNECTION
        assert "127.0.0.1" not in error.message

    async def test_refusals_carry_the_providers_advice(self) -> None:
        headers = {"Retry-After": "Wed, 04 Mar 2026 00:00:09 GMT"}
        async with asked(Refuse(429, "", headers)) as (model, _):
            error = await error_of(model)
        assert (error.kind, error.retry_after) == (Kind.RATE_LIMITED, 9.0)

    async def test_an_endless_refusal_is_not_read_to_its_end(self) -> None:
        async with asked(Refuse(400, "x" * 10_000_000)) as (model, _):
            assert (await error_of(model)).kind is Kind.BAD_REQUEST


class TestTimeLimits:
    @pytest.mark.parametrize(
        ("reply", "said"),
        [
            (Silence(), "the first token"),
            (Stream([b": working\n\n"], Ending.STALLS), "the first token"),
            (Stream([b": working\n\n"] * 100, pause=0.05), "the first token"),
            (Stream([chunk("first")], Ending.STALLS), "the next token"),
        ],
        ids=["silence", "headers alone", "comments alone", "in mid-answer"],
    )
    async def test_each_step_has_its_own(self, reply: Reply, said: str) -> None:
        async with asked(reply, limits=QUICK) as (model, server):
            error = await error_of(model)
            assert error.kind is Kind.TIMEOUT
            assert said in error.message
            await asyncio.wait_for(server.gone.wait(), 5)

    async def test_the_whole_attempt_has_one(self) -> None:
        reply = Stream.of(*["word "] * 200, pause=0.02)
        async with asked(reply) as (model, server):
            error = await error_of(model, 0.3)
            assert error.kind is Kind.TIMEOUT
            assert "the whole answer" in error.message
            await asyncio.wait_for(server.gone.wait(), 5)

    async def test_a_server_that_accepts_nobody(self) -> None:
        with socket.socket() as deaf:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            port = deaf.getsockname()[1]
            fillers = [socket.socket() for _ in range(4)]
            for filler in fillers:
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            limits = replace(QUICK, first_token=Seconds(30))
            url = f"http://127.0.0.1:{port}/v1"
            async with asked(base_url=url, limits=limits) as (model, _):
                error = await error_of(model)
            for filler in fillers:
                filler.close()
        assert error.kind is Kind.CONNECTION
        assert "within 0.3 s" in error.message


class TestLeaving:
    async def test_the_provider_notices_a_closed_stream_at_once(self) -> None:
        reply = Stream([chunk("first")], Ending.STALLS)
        async with asked(reply) as (model, server):
            stream = model.stream(HELLO, timeout=Seconds(60))
            await anext(stream)
            await stream.aclose()
            await asyncio.wait_for(server.gone.wait(), 1)

    @pytest.mark.parametrize("reply", [Silence(), Stream([chunk("first")], Ending.STALLS)])
    async def test_the_provider_notices_a_cancelled_reader(self, reply: Reply) -> None:
        async with asked(reply) as (model, server):
            reader = asyncio.create_task(read(model, 60))
            await server.came.wait()
            reader.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reader
            await asyncio.wait_for(server.gone.wait(), 1)

    @pytest.mark.parametrize("reply", [Silence(), Stream([chunk("first")], Ending.STALLS)])
    async def test_close_ends_what_waits(self, reply: Reply) -> None:
        async with asked(reply) as (model, server):
            reader = asyncio.create_task(error_of(model, 60))
            await server.came.wait()
            await model.close()
            error = await asyncio.wait_for(reader, 5)
        assert error.kind is Kind.CONNECTION
        assert "closed" in error.message
