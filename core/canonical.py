"""One text for one value, so that equal values have equal digests in every process."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from decimal import Decimal
from enum import Enum
from json import JSONEncoder

_ENCODER = JSONEncoder(sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def digest(value: object) -> str:
    """The SHA-256, in hex, of the value's canonical JSON.

    Takes dataclasses, mappings, sequences, sets, enums, decimals and JSON's own types. Fields
    that hold their default count like the others.
    """
    return hashlib.sha256(_ENCODER.encode(_plain(value)).encode()).hexdigest()


def _plain(value: object) -> object:
    kind = type(value)
    form = _FORMS.get(kind)
    if form is None:
        form = _FORMS[kind] = _form_of(kind)
    return form(value)


_FORMS: dict[type, Callable[..., object]] = {}
"""What makes JSON's own types of a value, by the value's type."""


def _form_of(kind: type) -> Callable[..., object]:
    if issubclass(kind, Enum):
        return lambda value: _plain(value.value)
    if issubclass(kind, bool | int | float | str | type(None)):
        return lambda value: value
    if issubclass(kind, Decimal):
        return str
    if dataclasses.is_dataclass(kind):
        return _fields_form(kind)
    if issubclass(kind, Mapping):
        return lambda value: {str(key): _plain(item) for key, item in value.items()}
    if issubclass(kind, Set):
        return lambda value: sorted((_plain(item) for item in value), key=str)
    if issubclass(kind, Sequence) and not issubclass(kind, bytes | bytearray | memoryview):
        return lambda value: [_plain(item) for item in value]
    raise TypeError(f"{kind.__name__} has no canonical form")


def _fields_form(kind: type) -> Callable[[object], object]:
    names = tuple(field.name for field in dataclasses.fields(kind))

    def form(value: object) -> object:
        return {"": kind.__name__, **{name: _plain(getattr(value, name)) for name in names}}

    return form
