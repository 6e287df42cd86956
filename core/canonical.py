"""One text for one value, so that equal values have equal digests in every process."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any


def digest(value: object) -> str:
    """The SHA-256, in hex, of the value's canonical JSON: keys sorted, no blanks, ASCII only.

    Takes dataclasses, mappings, sequences, sets, enums, decimals and JSON's own types. Fields
    that hold their default count like the others.
    """
    return hashlib.sha256(_FORMS[type(value)](value).encode()).hexdigest()


class _Forms(dict[type, Callable[[Any], str]]):
    """What writes a value as JSON, by the value's type."""

    def __missing__(self, kind: type) -> Callable[[Any], str]:
        form = self[kind] = _form_of(kind)
        return form


_FORMS = _Forms({str: _quoted})


def _form_of(kind: type) -> Callable[[Any], str]:
    if issubclass(kind, Enum):
        return lambda member: _FORMS[type(member._value_)](member._value_)
    if issubclass(kind, bool | int | float | str | type(None)):
        return json.dumps
    if issubclass(kind, Decimal):
        return lambda value: _quoted(str(value))
    if dataclasses.is_dataclass(kind):
        return _fields_form(kind)
    if issubclass(kind, Mapping):
        return _mapping
    if issubclass(kind, Set):
        return lambda value: _array(sorted(_texts(value), key=_plain))
    if issubclass(kind, Sequence) and not issubclass(kind, bytes | bytearray | memoryview):
        return lambda value: _array(_texts(value))
    raise TypeError(f"{kind.__name__} has no canonical form")


def _texts(values: Iterable[object]) -> list[str]:
    return [_FORMS[type(value)](value) for value in values]


def _array(texts: Sequence[str]) -> str:
    return f"[{','.join(texts)}]"


def _plain(text: str) -> str:
    """What the members of a set are sorted by."""
    return str(json.loads(text))


def _mapping(value: Mapping[object, object]) -> str:
    members = {str(key): item for key, item in value.items()}
    texts = [
        f"{_quoted(key)}:{_FORMS[type(members[key])](members[key])}" for key in sorted(members)
    ]
    return f"{{{','.join(texts)}}}"


def _fields_form(kind: type) -> Callable[[object], str]:
    """A dataclass is an object of its fields; its name stands under the empty key."""
    names = sorted(field.name for field in dataclasses.fields(kind))
    keys = [(name, f",{_quoted(name)}:") for name in names]
    head = f'{{"":{_quoted(kind.__name__)}'

    def form(value: object) -> str:
        text = head
        for name, key in keys:
            item = getattr(value, name)
            text += key + _FORMS[type(item)](item)
        return text + "}"

    return form
