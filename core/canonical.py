"""One text for one value, so that equal values have equal digests in every process."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from json import JSONEncoder
from typing import Any

_ENCODER = JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def digest(value: object) -> str:
    """The SHA-256, in hex, of the value's canonical JSON.

    Takes dataclasses, mappings, sequences, sets, enums, decimals and JSON's own types. Fields
    that hold their default count like the others.
    """
    return hashlib.sha256(_ENCODER.encode(_FORMS[type(value)](value)).encode()).hexdigest()


class _Forms(dict[type, Callable[[Any], object]]):
    """What makes JSON's own types of a value, by the value's type."""

    def __missing__(self, kind: type) -> Callable[[Any], object]:
        form = self[kind] = _form_of(kind)
        return form


_FORMS = _Forms()


def _form_of(kind: type) -> Callable[[Any], object]:
    if issubclass(kind, Enum):
        return lambda member: _FORMS[type(member._value_)](member._value_)
    if issubclass(kind, bool | int | float | str | type(None)):
        return lambda value: value
    if issubclass(kind, Decimal):
        return str
    if dataclasses.is_dataclass(kind):
        return _fields_form(kind)
    if issubclass(kind, Mapping):
        return lambda value: {str(key): _FORMS[type(item)](item) for key, item in value.items()}
    if issubclass(kind, Set):
        return lambda value: sorted((_FORMS[type(item)](item) for item in value), key=str)
    if issubclass(kind, Sequence) and not issubclass(kind, bytes | bytearray | memoryview):
        return lambda value: [_FORMS[type(item)](item) for item in value]
    raise TypeError(f"{kind.__name__} has no canonical form")


def _fields_form(kind: type) -> Callable[[object], object]:
    names = tuple(field.name for field in dataclasses.fields(kind))

    def form(value: object) -> object:
        content: dict[str, object] = {"": kind.__name__}
        for name in names:
            item = getattr(value, name)
            content[name] = _FORMS[type(item)](item)
        return content

    return form
