"""Rerank as callers see it: what it takes, what it tells, who may."""

from __future__ import annotations

from typing import Any

import pytest
from grpc import StatusCode

from colonnade.v1 import models_pb2, rerank_pb2
from fakes.rich_errors import refused
from fakes.served_node import ServedNode

DOCUMENTS = ["Bread is made of flour.", "A lighthouse is a tower.", "The keeper of the lighthouse."]


def asks(**fields: Any) -> rerank_pb2.RerankRequest:
    given = {"query": "lighthouse keeper", "documents": DOCUMENTS, **fields}
    return rerank_pb2.RerankRequest(**given)


async def test_the_packaged_way_puts_documents_in_order(node: ServedNode) -> None:
    answer = await node.stubs.models.Rerank(asks(feature="search"), metadata=node.key())
    assert [result.index for result in answer.results] == [2, 1, 0]
    scores = [result.score for result in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert answer.model == "embedded"
    assert answer.cost.amount == "0"
    short = await node.stubs.models.Rerank(asks(limit=1), metadata=node.key())
    assert [result.index for result in short.results] == [2]


async def test_it_is_listed_and_logged(node: ServedNode) -> None:
    listed = await node.stubs.models.ListModels(models_pb2.ListModelsRequest(), metadata=node.key())
    kinds = {model.name: model.kind for model in listed.models}
    assert kinds["embedded"] == models_pb2.Model.KIND_RERANKING
    await node.stubs.models.Rerank(asks(), metadata=node.key())
    (line,) = await node.logged(lambda each: each["method"].endswith("Rerank"))
    assert (line["model_version"], line["status"]) == ("embedded", "OK")
    assert "lighthouse" not in str(line)


@pytest.mark.parametrize(
    ("fields", "at"),
    [
        ({"query": " "}, ["query"]),
        ({"query": "q" * 8_001}, ["query"]),
        ({"documents": []}, ["documents"]),
        ({"documents": ["a"] * 1_001}, ["documents"]),
        ({"documents": ["a", "", "b" * 32_001]}, ["documents[1]", "documents[2]"]),
        ({"documents": ["好" * 32_000] * 44}, ["documents"]),
        ({"limit": -1}, ["limit"]),
        ({"limit": 1_001}, ["limit"]),
        ({"model": "m" * 201, "feature": "f" * 201}, ["model", "feature"]),
    ],
)
async def test_what_is_wrong_is_named(node: ServedNode, fields: Any, at: list[str]) -> None:
    refusal = await refused(node.stubs.models.Rerank(asks(**fields), metadata=node.key()))
    assert (refusal.code, refusal.fields) == (StatusCode.INVALID_ARGUMENT, at)


async def test_an_unknown_one_is_not_found(node: ServedNode) -> None:
    refusal = await refused(node.stubs.models.Rerank(asks(model="gone"), metadata=node.key()))
    assert refusal.code is StatusCode.NOT_FOUND
    assert refusal.metadata == {"kind": "model", "name": "gone"}


async def test_it_has_a_scope_of_its_own(node: ServedNode) -> None:
    other = await node.add_key("ck_" + "1" * 64, "models.embed")
    refusal = await refused(node.stubs.models.Rerank(asks(), metadata=other))
    assert refusal.code is StatusCode.PERMISSION_DENIED
    own = await node.add_key("ck_" + "2" * 64, "models.rerank")
    assert (await node.stubs.models.Rerank(asks(), metadata=own)).results
