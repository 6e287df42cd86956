"""What the service finds by meaning is what an exact search over the same vectors finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from colonnade.client import AsyncClient
from colonnaded.container import Container
from colonnaded.evaluated_server import EvaluatedServer
from colonnaded.node import serving
from colonnaded.settings import Settings
from core.identifiers import CollectionName, TenantId
from core.knowledge import Vector
from core.pages import Cursor
from core.ports.embedder import Embedder, TextKind
from core.ports.state import State
from evals.cases import Case, Suite
from evals.loading import load_suite
from evals.retrieval_scores import distinct, ndcg, recall

DEPTH = 50
COLLECTION = "parity"


async def test_a_part_of_cranfield_by_minilm(
    tmp_path: Path, data_set: Callable[[str], Path]
) -> None:
    suite = _part(load_suite(data_set("cranfield")), documents=300, cases=80)
    ours, theirs = await compared(
        tmp_path, suite, "minilm", lambda found, gains: ndcg(found, gains, 10)
    )
    assert abs(ours - theirs) <= 0.002
    assert ours > 0.3


async def test_a_part_of_cmrc_by_e5(tmp_path: Path, data_set: Callable[[str], Path]) -> None:
    suite = _part(load_suite(data_set("cmrc2018-dev")), documents=16, cases=40)
    ours, theirs = await compared(
        tmp_path, suite, "e5", lambda found, gains: recall(found, gains, 1)
    )
    assert abs(ours - theirs) <= 0.002
    assert ours > 0.8


def _part(whole: Suite, *, documents: int, cases: int) -> Suite:
    """The first documents, and the first cases that one of them is relevant for."""
    kept = whole.documents[:documents]
    uris = {document.uri for document in kept}
    answered = [c for c in whole.cases if uris & whole.relevance.get(c.id, {}).keys()]
    relevance = {
        case.id: {u: g for u, g in whole.relevance[case.id].items() if u in uris}
        for case in answered
    }
    return Suite(whole.name, tuple(answered[:cases]), kept, relevance)


async def compared(
    folder: Path,
    suite: Suite,
    embedder: str,
    score: Callable[[Sequence[str], Mapping[str, int]], float],
) -> tuple[float, float]:
    """The mean score of what the service found, and of what an exact search finds."""
    served, exact = await _both(folder, suite, embedder)
    gains = suite.relevance
    ours = _mean([score(served[c.id], gains[c.id]) for c in suite.cases])
    theirs = _mean([score(exact[c.id], gains[c.id]) for c in suite.cases])
    print(f"{suite.name}: service {ours:.4f}, exact {theirs:.4f}")
    return ours, theirs


Rankings = dict[str, list[str]]


async def _both(folder: Path, suite: Suite, embedder: str) -> tuple[Rankings, Rankings]:
    """The documents found for each case: through gRPC, and by brute force in numpy."""
    retrieval = Settings().retrieval.model_copy(
        update={"embedder": embedder, "sentence_vectors": False}
    )
    log = Settings().log.model_copy(update={"level": "error"})
    settings = Settings(data_dir=folder).model_copy(update={"retrieval": retrieval, "log": log})
    containers: list[Container] = []
    own = settings.with_overrides(address="127.0.0.1:0", demo_key=True)
    async with (
        serving(own, containers.append) as node,
        AsyncClient(address=node.address) as client,
    ):
        await EvaluatedServer(client, COLLECTION).ingest(suite.documents)
        served = {case.id: await _found(client, case) for case in suite.cases}
        container = containers[0]
        embedders = await container.embedders.async_()
        state = await container.state.async_()
        exact = await _exact(state, embedders.default, suite.cases)
    return served, exact


async def _found(client: AsyncClient, case: Case) -> list[str]:
    found = await client.search(
        case.question, limit=DEPTH, collections=[COLLECTION], strategy="vector"
    )
    return distinct([hit.chunk.uri for hit in found.hits])


async def _exact(state: State, embedder: Embedder, cases: Sequence[Case]) -> Rankings:
    """Every stored vector against every question."""
    uris, ids, vectors = await _stored(state)
    matrix = np.stack([np.asarray(vector) for vector in vectors])
    rankings: Rankings = {}
    for case in cases:
        (query,) = await embedder.embed([case.question], TextKind.QUERY)
        scores = matrix @ np.asarray(query)
        order = sorted(range(len(ids)), key=lambda i: (-float(scores[i]), ids[i]))
        rankings[case.id] = distinct([uris[i] for i in order[:DEPTH]])
    return rankings


async def _stored(state: State) -> tuple[list[str], list[str], list[Vector]]:
    uris: list[str] = []
    ids: list[str] = []
    vectors: list[Vector] = []
    name = CollectionName(COLLECTION)
    async with state.snapshot(TenantId("demo")) as view:
        after: Cursor | None = None
        while page := await view.knowledge.documents(name, 200, after):
            for document in page:
                chunk_ids = await view.knowledge.chunk_ids(name, document.id)
                stored = await view.knowledge.chunks(name, chunk_ids)
                for id, (chunk, _) in stored.items():
                    uris.append(document.uri)
                    ids.append(id)
                    vectors.append(chunk.vectors[0])
            after = Cursor(page[-1].uri, page[-1].id)
    return uris, ids, vectors


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
