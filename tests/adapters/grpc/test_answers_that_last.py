"""What a server has answered, or embedded, the next one on the same store gives again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.state.sqlite.options import SqliteOptions
from adapters.state.sqlite.state import open_sqlite
from colonnade.v1 import embeddings_pb2, models_pb2, routing_pb2
from core.ports.state import State
from fakes.embedder import FakeEmbedder
from fakes.language_model import ScriptedModel, script
from fakes.served_node import ServedNode, served_node, user
from fakes.turn_node import a_model

BOTH = routing_pb2.CachePolicy(read=True, write=True)
WANTED = models_pb2.GenerateRequest(messages=[user("Hi")], cache=BOTH)
TEXTS = embeddings_pb2.EmbedRequest(texts=["one", "two"])


@pytest.fixture
async def store(tmp_path: Path) -> State:
    return await open_sqlite(SqliteOptions(tmp_path / "state.sqlite"))


async def ask(node: ServedNode, tenant: str = "acme") -> models_pb2.GenerateResponse:
    answer: Any = await node.stubs.models.Generate(WANTED, metadata=node.key(tenant=tenant))
    assert answer.message.parts[0].text == "ab"
    return answer  # type: ignore[no-any-return]  # the stubs have no types of their own


async def test_an_answer_survives_a_restart(store: State) -> None:
    async with served_node(script("a", "b"), state=store) as node:
        first = await ask(node)
        made = await node.stubs.models.Embed(TEXTS, metadata=node.key())
    model, embedder = a_model(script("other")), FakeEmbedder()
    async with served_node(model, state=store, embedder=embedder) as node:
        again = await ask(node)
        assert (again.cached, again.saved) == (True, first.cost)
        stream = node.stubs.models.StreamGenerate(WANTED, metadata=node.key())
        assert [event.text for event in [e async for e in stream] if event.text] == ["a", "b"]
        embedded = await node.stubs.models.Embed(TEXTS, metadata=node.key())
        assert embedded.embeddings == made.embeddings
    assert (model.calls, embedder.embedded) == ([], [])
    await store.close()


async def test_a_server_that_shares_nothing_leaves_and_finds_nothing(store: State) -> None:
    alone = {"shared": False}

    async def asked(**tables: Any) -> ScriptedModel:
        model = a_model(script("a", "b"))
        async with served_node(model, state=store, **tables) as node:
            await ask(node)
        return model

    await asked(response_cache=alone)
    assert len((await asked()).calls) == 1
    assert len((await asked(response_cache=alone)).calls) == 1
    assert len((await asked()).calls) == 0
    await store.close()


async def test_servers_side_by_side_share_and_tenants_do_not(store: State) -> None:
    one, two = a_model(script("a", "b")), a_model(script("a", "b"))
    async with served_node(one, state=store) as first, served_node(two, state=store) as second:
        await ask(first)
        caches = await first.container.caches.async_()
        await caches.flush()
        assert (await ask(second)).cached
        assert not (await ask(second, tenant="rival")).cached
    assert (len(one.calls), len(two.calls)) == (1, 1)
    await store.close()
