"""Requests to models and to the search, from what callers write."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from colonnade.client.chat_requests import (
    GenerationFields,
    check_names,
    generation_options,
    new_request_id,
)
from colonnade.client.names import collection_name, document_filter, user_message
from colonnade.client.tools import ToolFields, add_tool_options
from colonnade.v1.counting_pb2 import CountTokensRequest
from colonnade.v1.embeddings_pb2 import EmbedRequest
from colonnade.v1.messages_pb2 import Message
from colonnade.v1.models_pb2 import GenerateRequest, GenerationOptions, ModelConstraints
from colonnade.v1.rerank_pb2 import RerankRequest
from colonnade.v1.retrieval_pb2 import SearchRequest, SearchStrategy
from colonnade.v1.routing_pb2 import CachePolicy
from colonnade.v1.tools_pb2 import ToolDefinition


class GenerateFields(GenerationFields, ToolFields, total=False):
    """What a completion may be asked for with."""

    model: str
    """A deployment or a route; the route `default` by default."""
    constraints: ModelConstraints
    """What the model may be chosen by."""
    feature: str
    """What the cost is booked under."""
    task: str
    """What kind of work it is, such as `summarisation`; `chat` by default."""
    session: str
    """What it belongs to: requests of one session stay with one deployment."""
    cache: CachePolicy
    """Whether the answer may come from the cache, and goes there; neither by default."""
    explain: bool
    """Whether the answer tells how its deployment was chosen."""
    request_id: str
    """Idempotency key; a fresh one by default."""
    logprobs: int
    """Asks for the log-probability of each token, with so many alternatives."""


class SearchFields(TypedDict, total=False):
    """What a search may come with."""

    collections: Sequence[str]
    """Names or ids of the collections to search; `default` by default."""
    limit: int
    """The most chunks to return, 1 to 100; 10 by default."""
    where: Mapping[str, str | Sequence[str]]
    """Attributes that documents must have, each with the values that will do."""
    strategy: Literal["hybrid", "vector", "keyword"]
    """How passages are found; `hybrid` by default."""
    at_least_position: int
    """The search sees at least the write that returned this position."""


def generate_request(prompt: str | Sequence[Message], fields: GenerateFields) -> GenerateRequest:
    """A completion of a text, or of messages."""
    check_names(fields, GenerateFields)
    return GenerateRequest(
        request_id=fields.get("request_id") or new_request_id(),
        model=fields.get("model", ""),
        constraints=fields.get("constraints"),
        messages=_messages(prompt),
        options=_options(fields),
        feature=fields.get("feature", ""),
        task=fields.get("task", ""),
        session=fields.get("session", ""),
        cache=fields.get("cache"),
        explain=fields.get("explain", False),
        tools=fields.get("tools", ()),
    )


def _options(fields: GenerateFields) -> GenerationOptions:
    options = generation_options(fields) or GenerationOptions()
    add_tool_options(options, fields)
    if "logprobs" in fields:
        options.logprobs = fields["logprobs"]
    return options


def search_request(query: str, fields: SearchFields) -> SearchRequest:
    """A search."""
    check_names(fields, SearchFields)
    request = SearchRequest(
        collections=[collection_name(id) for id in fields.get("collections", ())],
        query=query,
        limit=fields.get("limit", 0),
        filter=document_filter(fields.get("where")),
        at_least_position=fields.get("at_least_position", 0),
    )
    if "strategy" in fields:
        request.strategy = SearchStrategy.Value(f"SEARCH_STRATEGY_{fields['strategy'].upper()}")
    return request


def embed_request(
    texts: Sequence[str], model: str, purpose: Literal["document", "query"], feature: str
) -> EmbedRequest:
    """The vectors of some texts."""
    return EmbedRequest(
        model=model,
        texts=texts,
        purpose=EmbedRequest.Purpose.Value(f"PURPOSE_{purpose.upper()}"),
        feature=feature,
    )


def rerank_request(
    query: str, documents: Sequence[str], model: str, limit: int, feature: str
) -> RerankRequest:
    """Documents to be put in order."""
    return RerankRequest(
        model=model, query=query, documents=documents, limit=limit, feature=feature
    )


def count_request(
    content: str | Sequence[Message],
    model: str,
    tools: Sequence[ToolDefinition],
    response_schema: str | Mapping[str, Any],
) -> CountTokensRequest:
    """The tokens of a text, or of messages as the model's template renders them."""
    schema = response_schema if isinstance(response_schema, str) else json.dumps(response_schema)
    request = CountTokensRequest(model=model, tools=tools, response_schema=schema)
    if isinstance(content, str):
        request.text = content
    else:
        request.messages.extend(content)
    return request


def _messages(prompt: str | Sequence[Message]) -> Sequence[Message]:
    return [user_message(prompt)] if isinstance(prompt, str) else prompt
