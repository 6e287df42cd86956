"""Embedders as settings tell of them: what reaches the server, and what does not fit together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from colonnaded.embedder_settings import EmbedderSettings
from colonnaded.openers.embedders import open_embedders
from colonnaded.settings import Settings
from core.ports.embedder import TextKind
from fakes.embedding_server import DIMENSIONS, MODEL, EmbeddingServerDouble
from services.embedders import Embedders

REMOTE: dict[str, Any] = {"adapter": "openai", "model": MODEL, "dimensions": DIMENSIONS}


@asynccontextmanager
async def opened(**embedders: dict[str, Any]) -> AsyncIterator[Embedders]:
    chosen = {"embedders": embedders, "retrieval": {"embedder": next(iter(embedders))}}
    opening = open_embedders(Settings.model_validate(chosen))
    yield await anext(opening)
    await opening.aclose()  # type: ignore[attr-defined]  # an async generator by another name


async def test_all_that_is_chosen_reaches_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EMBEDDING_KEY", "sk-of-the-test")
    async with EmbeddingServerDouble() as server:
        chosen = REMOTE | {
            "base_url": server.url,
            "api_key": {"env": "EMBEDDING_KEY"},
            "query_prefix": "query: ",
            "document_prefix": "passage: ",
            "shorten": True,
            "name": "ours@2",
            "batch_texts": 2,
            "headers": {"X-Team": "search"},
            "attempts": 2,
        }
        server.statuses, server.retry_after = [503], "0"
        async with opened(far=chosen) as embedders:
            embedder = embedders.named("far")
            await embedder.embed(["one"], TextKind.QUERY)
            await embedder.embed(["one", "two", "three"], TextKind.DOCUMENT)
            assert embedder.name == "ours@2"
    texts = [request["input"] for request in server.requests]
    assert texts[:2] == [["query: one"], ["query: one"]]  # the first was refused
    assert sorted(map(str, texts[2:])) == [
        "['passage: one', 'passage: two']",
        "['passage: three']",
    ]
    assert server.requests[0]["dimensions"] == DIMENSIONS
    sent = server.headers[0]
    assert (sent["X-Team"], sent["Authorization"]) == ("search", "Bearer sk-of-the-test")


async def test_what_runs_here_is_paid_to_nobody_and_a_far_one_has_no_price_until_it_is_told() -> (
    None
):
    far = REMOTE | {"base_url": "http://127.0.0.1:1/v1"}
    async with opened(
        far=far, dear=far | {"price": "0.13"}, here={"adapter": "minilm"}
    ) as embedders:
        prices = {
            name: embedders.entry(embedders.named(name)).prices.input
            for name in ("far", "dear", "here")
        }
    assert prices == {"far": None, "dear": Decimal("0.13"), "here": Decimal(0)}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"adapter": "openai"}, "needs base_url, model and dimensions"),
        (REMOTE | {"base_url": "ftp://x"}, "must begin with https"),
        (REMOTE | {"base_url": "http://x", "client_key": "k"}, "client_key needs"),
        (REMOTE | {"base_url": "http://x", "proxy": "http://a:b@c"}, "by reference"),
        ({"adapter": "minilm", "base_url": "http://x"}, "has no server, so no base_url"),
        ({"adapter": "e5", "query_prefix": "q: "}, "has prefixes of its own, or none"),
        ({"adapter": "minilm", "name": "mine"}, "is named by its weights"),
    ],
)
def test_what_does_not_fit_together_is_told(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        EmbedderSettings.model_validate(changes)
