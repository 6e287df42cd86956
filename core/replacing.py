"""`dataclasses.replace` for values that are replaced all the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, make_dataclass
from operator import attrgetter
from typing import Any, TypeVar

Value = TypeVar("Value")
Copy = Callable[[object], Any]


def replaced(value: Value, **changes: object) -> Value:
    """The same value with other fields.

    For frozen dataclasses with slots, of two fields at least, whose constructor does nothing but
    set them. The standard one passes every field through that constructor, which takes seven
    times as long for a row of thirty. An unknown name is an AttributeError.
    """
    kind = type(value)
    copy = _COPIES.get(kind)
    if copy is None:
        copy = _COPIES[kind] = _copy_of(kind)
    new = copy(value)
    for name, change in changes.items():
        setattr(new, name, change)
    new.__class__ = kind
    return new  # type: ignore[no-any-return]  # its class has just been set


_COPIES: dict[type, Copy] = {}


def _copy_of(kind: type) -> Copy:
    """Makes a twin of a value, with the same slots, that is not frozen yet."""
    names = [field.name for field in fields(kind)]
    twin = make_dataclass(kind.__name__, names, slots=True)
    values_of = attrgetter(*names)
    return lambda value: twin(*values_of(value))
