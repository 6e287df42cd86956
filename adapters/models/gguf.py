"""The header of a GGUF file: what its tokenizer knows, without loading the model.

The format is described in ggml's docs/gguf.md: a magic, a version, two counts, then typed
key-value pairs, all little-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import BinaryIO

_MAGIC = b"GGUF"
_STRING, _ARRAY = 8, 9
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q"}
_SCALARS |= {12: "d"}
_LONGEST_STRING = 16 * 1024 * 1024
_MOST_PAIRS = 65_536
_MOST_ITEMS = 16 * 1024 * 1024

TOKENS_KEY = "tokenizer.ggml.tokens"
TYPES_KEY = "tokenizer.ggml.token_type"
CONTROL = 3
"""The type of a token that steers the model: the beginning and end of a message, of a role …"""


class NotGguf(ValueError):
    """The file is no GGUF file, or one that is cut or damaged."""


def read_header(file: Path, keys: Collection[str]) -> dict[str, object]:
    """The values under these keys, as far as the file has them. Raises NotGguf, OSError.

    Blocks for some 50 ms where the vocabulary is among them.
    """
    found: dict[str, object] = {}
    with file.open("rb") as source:
        if source.read(4) != _MAGIC:
            raise NotGguf(f"{file.name} is not a GGUF file")
        version, _tensors, pairs = _unpack(source, "<IQQ")
        if version not in (2, 3) or not 0 <= pairs <= _MOST_PAIRS:
            raise NotGguf(f"{file.name} has a GGUF header that is not understood")
        for _ in range(pairs):
            key = _read_string(source)
            (kind,) = _unpack(source, "<I")
            value = _read_value(source, kind)
            if key in keys:
                found[key] = value
    return found


def control_tokens(header: Mapping[str, object]) -> frozenset[str]:
    """The texts that this model's tokenizer takes for control tokens."""
    tokens, types = header.get(TOKENS_KEY), header.get(TYPES_KEY)
    if not isinstance(tokens, list) or not isinstance(types, list):
        return frozenset()
    return frozenset(
        token for token, kind in zip(tokens, types, strict=False) if kind == CONTROL and token
    )


def _read_value(source: BinaryIO, kind: int) -> object:
    if kind == _STRING:
        return _read_string(source)
    if kind == _ARRAY:
        return _read_array(source)
    return _unpack(source, "<" + _scalar(kind))[0]


def _read_array(source: BinaryIO) -> list[object]:
    kind, count = _unpack(source, "<IQ")
    if count > _MOST_ITEMS or kind == _ARRAY:
        raise NotGguf("an array in the GGUF header is not understood")
    if kind == _STRING:
        return [_read_string(source) for _ in range(count)]
    return list(_unpack(source, f"<{count}{_scalar(kind)}"))


def _read_string(source: BinaryIO) -> str:
    (length,) = _unpack(source, "<Q")
    if length > _LONGEST_STRING:
        raise NotGguf("a string in the GGUF header is too long")
    return _take(source, length).decode("utf-8", "replace")


def _scalar(kind: int) -> str:
    if kind not in _SCALARS:
        raise NotGguf(f"the GGUF header has a value of an unknown type ({kind})")
    return _SCALARS[kind]


def _unpack(source: BinaryIO, shape: str) -> tuple[int, ...]:
    return struct.unpack(shape, _take(source, struct.calcsize(shape)))


def _take(source: BinaryIO, count: int) -> bytes:
    taken = source.read(count)
    if len(taken) != count:
        raise NotGguf("the GGUF header is cut off")
    return taken
