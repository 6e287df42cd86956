"""The wire format of POST /rerank, as Cohere, Jina, vLLM, llama.cpp and TEI speak it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence

from pydantic import AliasChoices, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from adapters.rerankers.rerank_server import RerankFormat
from core.generation import ModelError, ModelErrorKind
from core.ports.reranker import Scored


@checked(frozen=True, slots=True)
class _Result:
    index: int
    score: float = Field(validation_alias=AliasChoices("relevance_score", "score"))


@checked(frozen=True, slots=True)
class _Tokens:
    total_tokens: int | None = None
    prompt_tokens: int | None = None
    input_tokens: int | None = None

    @property
    def read(self) -> int | None:
        """What was read, under whichever name it comes."""
        told = (self.prompt_tokens, self.input_tokens, self.total_tokens)
        return next((count for count in told if count is not None), None)


@checked(frozen=True, slots=True)
class _Meta:
    tokens: _Tokens | None = None
    billed_units: _Tokens | None = None


@checked(frozen=True, slots=True)
class _Reply:
    results: list[_Result] = Field(validation_alias=AliasChoices("results", "data"))
    usage: _Tokens | None = None
    meta: _Meta | None = None

    @property
    def tokens(self) -> int | None:
        """What was read; None where the server does not say so."""
        meta = self.meta or _Meta()
        told = (each.read for each in (self.usage, meta.tokens, meta.billed_units) if each)
        return next((count for count in told if count is not None), None)


_REPLY: TypeAdapter[_Reply | list[_Result]] = TypeAdapter(_Reply | list[_Result])


def request_body(
    format: RerankFormat, model: str, query: str, documents: Sequence[str], longest: int
) -> bytes:
    """The request; an empty text goes as a space, which servers take."""
    fitting = [text[:longest] or " " for text in documents]
    body: dict[str, object] = {"query": query[:longest], format.documents: fitting}
    if format.names_model:
        body["model"] = model
    return json.dumps(body | dict(format.more), ensure_ascii=False).encode("utf-8", "replace")


def scored(body: bytes, count: int) -> Scored:
    """The reply's scores, in the order of the request.

    Raises ModelError (MALFORMED_STREAM) unless it has one finite score for each document.
    """
    try:
        reply = _REPLY.validate_json(body)
    except ValidationError as error:
        raise _malformed(_first_line(error)) from None
    whole = reply if isinstance(reply, _Reply) else _Reply(results=reply)
    results = sorted(whole.results, key=lambda result: result.index)
    if [result.index for result in results] != list(range(count)):
        raise _malformed(f"{count} documents were sent and {len(results)} scores came back")
    scores = [result.score for result in results]
    if not all(map(math.isfinite, scores)):
        raise _malformed("a score is not finite")
    return Scored(scores, whole.tokens)


def _malformed(cause: str) -> ModelError:
    return ModelError(
        ModelErrorKind.MALFORMED_STREAM, f"the reranking server's reply cannot be used: {cause}"
    )


def _first_line(error: ValidationError) -> str:
    """The cause without the reply's own content, which may be long and is not ours to show."""
    first = error.errors(include_input=False, include_url=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
