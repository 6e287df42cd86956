"""A server of POST /rerank that is slow, broken, talkative or wrong."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from adapters.rerankers.remote import RemoteReranker
from adapters.rerankers.rerank_server import FORMATS, RerankServer
from adapters.rerankers.rerank_wire import request_body, scored
from core.generation import ModelError, ModelErrorKind
from core.identifiers import Seconds
from core.trace import TraceContext
from fakes.provider_server import Asked, Fault, Outcome, Plan, ProviderServer, Refusal

KEY = "sk-a-secret-of-the-test"
PLENTY = Seconds(5.0)
NOW = datetime(2026, 3, 4, tzinfo=UTC)
Open = Callable[[Asked], Plan] | Plan


@asynccontextmanager
async def served(plan: Plan) -> AsyncIterator[tuple[RemoteReranker, ProviderServer]]:
    async with ProviderServer(lambda _: plan) as server:
        place = RerankServer(server.url("rerank"), "m", api_key=KEY, headers={"X-Team": "search"})
        reranker = RemoteReranker(place, now=lambda: NOW)
        yield reranker, server
        await reranker.close()


async def failure(plan: Plan, timeout: Seconds = PLENTY) -> ModelError:
    async with served(plan) as (reranker, _):
        with pytest.raises(ModelError) as caught:
            await reranker.rerank("q", ["a", "b"], timeout=timeout)
        return caught.value


async def test_a_request_and_its_answer() -> None:
    async with served(Plan.of("0.2", "0.9")) as (reranker, server):
        answer = await reranker.rerank("which one?", ["a", "b"], timeout=PLENTY)
        assert (list(answer.scores), answer.tokens) == ([0.2, 0.9], 4)
        (record,) = server.records
        assert record.body == {"query": "which one?", "documents": ["a", "b"], "model": "m"}
        assert record.headers["Authorization"] == f"Bearer {KEY}"
        assert record.headers["X-Team"] == "search"


@pytest.mark.parametrize(
    ("format", "more"),
    [
        ("generic", {"documents": ["a"], "model": "m"}),
        ("cohere", {"documents": ["a"], "model": "m"}),
        ("jina", {"documents": ["a"], "model": "m", "return_documents": False}),
        ("vllm", {"documents": ["a"], "model": "m", "truncate_prompt_tokens": -1}),
        ("tei", {"texts": ["a"], "truncate": True, "raw_scores": False}),
    ],
)
def test_how_each_is_asked(format: str, more: dict[str, object]) -> None:
    body = json.loads(request_body(FORMATS[format], "m", "q", ["a" * 9], 1))
    assert body == {"query": "q", **more}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, ModelErrorKind.BAD_REQUEST),
        (401, ModelErrorKind.AUTHENTICATION),
        (402, ModelErrorKind.AUTHENTICATION),
        (403, ModelErrorKind.AUTHENTICATION),
        (404, ModelErrorKind.UNSUPPORTED),
        (408, ModelErrorKind.TIMEOUT),
        (413, ModelErrorKind.CONTEXT_TOO_LONG),
        (422, ModelErrorKind.BAD_REQUEST),
        (429, ModelErrorKind.RATE_LIMITED),
        (500, ModelErrorKind.OVERLOADED),
        (503, ModelErrorKind.OVERLOADED),
        (504, ModelErrorKind.TIMEOUT),
        (307, ModelErrorKind.BAD_REQUEST),
    ],
)
async def test_every_refusal_has_its_kind_and_tells_no_secret(
    status: int, kind: ModelErrorKind
) -> None:
    said = Refusal(status, {"Location": "/elsewhere"}, message=f"key {KEY} is logged")
    error = await failure(Plan(refusal=said))
    assert error.kind is kind
    assert str(status) in error.message
    assert KEY not in error.message


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "1.5"}, 1.5),
        ({"retry-after-ms": "250", "Retry-After": "7"}, 0.25),
        ({"Retry-After": "Wed, 04 Mar 2026 00:00:30 GMT"}, 30.0),
        ({"Retry-After": "Tue, 03 Mar 2026 00:00:00 GMT"}, 0.0),
        ({"Retry-After": "99999999"}, None),
        ({"Retry-After": "soon"}, None),
        ({}, None),
    ],
)
async def test_when_to_come_back(headers: dict[str, str], wait: float | None) -> None:
    error = await failure(Plan(refusal=Refusal(429, headers)))
    assert error.retry_after == wait


@pytest.mark.parametrize(
    "body",
    [
        "<html>It works!</html>",
        "{}",
        '{"results": [{"index": 0, "relevance_score": 1}]}',
        '{"results": [{"index": 0, "score": 1}, {"index": 0, "score": 1}]}',
        '{"results": [{"index": 0, "score": 1}, {"index": 2, "score": 1}]}',
        '{"results": [{"index": 0, "score": 1}, {"index": 1, "score": NaN}]}',
        '{"results": [{"index": 0, "score": 1}, {"index": 1, "score": 1e999}]}',
        '{"results": [{"index": 0, "score": 1}, {"index": 1, "score": null}]}',
        '[{"index": 0, "score": 1}]',
        " " * 100_000,
    ],
)
async def test_a_reply_that_makes_no_sense_is_no_answer(body: str) -> None:
    error = await failure(Plan(refusal=Refusal(200, body=body)))
    assert error.kind is ModelErrorKind.MALFORMED_STREAM


@pytest.mark.parametrize(
    "reply",
    [
        {"results": [{"index": 1, "relevance_score": 2}, {"index": 0, "relevance_score": 1}]},
        {"data": [{"index": 0, "score": 1}, {"index": 1, "score": 2, "document": {"text": "b"}}]},
        [{"index": 1, "score": 2}, {"index": 0, "score": 1}],
    ],
)
def test_every_shape_of_a_reply_is_understood(reply: object) -> None:
    assert list(scored(json.dumps(reply).encode(), 2).scores) == [1.0, 2.0]


@pytest.mark.parametrize(
    ("more", "tokens"),
    [
        ({"usage": {"total_tokens": 9}}, 9),
        ({"usage": {"prompt_tokens": 0, "total_tokens": 9}}, 0),
        ({"meta": {"tokens": {"input_tokens": 5}}}, 5),
        ({"meta": {"billed_units": {"search_units": 1}}}, None),
        ({}, None),
    ],
)
def test_what_a_server_says_of_tokens_is_believed(
    more: dict[str, object], tokens: int | None
) -> None:
    reply = {"results": [{"index": 0, "score": 1}], **more}
    assert scored(json.dumps(reply).encode(), 1).tokens == tokens


@pytest.mark.parametrize(
    "plan", [Plan(hangs_up=True), Plan.of("1", "2", fault=Fault.CUT)], ids=["before", "within"]
)
async def test_a_break_is_told(plan: Plan) -> None:
    assert (await failure(plan)).kind is ModelErrorKind.CONNECTION


@pytest.mark.parametrize("may", [True, False])
async def test_a_server_that_may_is_told_the_trace(may: bool) -> None:
    trace = TraceContext("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "a=1")
    async with ProviderServer(lambda _: Plan.of("1")) as server:
        place = RerankServer(server.url("rerank"), "m", forward_trace=may)
        reranker = RemoteReranker(place)
        await reranker.rerank("q", ["a"], timeout=PLENTY, trace=trace)
        await reranker.rerank("q", ["a"], timeout=PLENTY)
        await reranker.close()
        told = [record.headers.get("traceparent") for record in server.records]
        assert told == [trace.parent if may else None, None]


async def test_nobody_there_is_told() -> None:
    reranker = RemoteReranker(RerankServer("http://127.0.0.1:1", "m", api_key=KEY))
    with pytest.raises(ModelError) as caught:
        await reranker.rerank("q", ["a"], timeout=PLENTY)
    assert caught.value.kind is ModelErrorKind.CONNECTION
    await reranker.close()


async def test_a_cancel_closes_the_connection_at_once() -> None:
    async with served(Plan(hangs_before_headers=True)) as (reranker, server):
        task = asyncio.create_task(reranker.rerank("q", ["a"], timeout=PLENTY))
        await server.came.wait()
        task.cancel()
        await asyncio.wait_for(server.gone.wait(), 0.25)
        assert server.records[0].outcome is Outcome.LEFT
