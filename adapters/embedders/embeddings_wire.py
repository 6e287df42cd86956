"""The wire format of POST /v1/embeddings, as OpenAI and the servers compatible with it speak it."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from core.generation import ModelError, ModelErrorKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray


@checked(frozen=True, slots=True)
class _Item:
    index: int
    embedding: list[float] | str  # a string is base64 of little-endian float32


@checked(frozen=True, slots=True)
class _Reply:
    data: list[_Item]


@checked(frozen=True, slots=True)
class _Usage:
    prompt_tokens: int | None = None


@checked(frozen=True, slots=True)
class _Counted:
    usage: _Usage | None = None


_REPLY, _COUNTED = TypeAdapter(_Reply), TypeAdapter(_Counted)


def request_body(model: str, texts: Sequence[str], dimensions: int | None) -> bytes:
    """The request; `dimensions` asks the server to shorten the vectors, None does not."""
    body: dict[str, object] = {"model": model, "input": texts, "encoding_format": "float"}
    if dimensions is not None:
        body["dimensions"] = dimensions
    return json.dumps(body).encode()


def unit_vectors(body: bytes, count: int, dimensions: int) -> NDArray[np.float32]:
    """The reply's vectors, one row a text in the order of the request, L2-normalised.

    Takes milliseconds for a large reply. Raises ModelError (MALFORMED_STREAM) where the reply is
    not `count` finite vectors of this length, one an index.
    """
    import numpy as np

    try:
        items = sorted(_REPLY.validate_json(body).data, key=lambda item: item.index)
        rows = [_values(item) for item in items]
    except ValueError as error:  # ValidationError and base64's are ValueErrors too
        raise _malformed(_first_line(error)) from None
    if [item.index for item in items] != list(range(count)):
        raise _malformed(f"{count} texts were sent and {len(items)} vectors came back")
    if any(len(row) != dimensions for row in rows):
        raise _malformed(f"a vector does not have the {dimensions} dimensions of the settings")
    matrix = np.stack(rows)
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    if not np.isfinite(lengths).all() or not lengths.all():
        raise _malformed("a vector is zero or not finite")
    return np.asarray(matrix / lengths, np.float32)


def counted_tokens(body: bytes) -> int | None:
    """What the reply says was read; None where it does not say so."""
    try:
        usage = _COUNTED.validate_json(body).usage
    except ValueError:
        return None
    return usage.prompt_tokens if usage else None


def _values(item: _Item) -> NDArray[np.float64]:
    import numpy as np

    if isinstance(item.embedding, str):
        packed = base64.b64decode(item.embedding, validate=True)
        return np.frombuffer(packed, "<f4").astype(np.float64)
    return np.array(item.embedding, np.float64)


def _malformed(cause: str) -> ModelError:
    return ModelError(
        ModelErrorKind.MALFORMED_STREAM, f"the embedding server's reply cannot be used: {cause}"
    )


def _first_line(error: ValueError) -> str:
    """The cause without the reply's own content, which may be long."""
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:200]
    return "base64 that cannot be read"
