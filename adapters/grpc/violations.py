"""What is wrong with the fields of a request, told together and by the contract's own paths."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import TypeVar

from pydantic import ValidationError

from core.errors import FieldViolation, InvalidInput

Given = TypeVar("Given")
Made = TypeVar("Made")
Number = TypeVar("Number", bound=int)


def check(violations: Iterable[FieldViolation]) -> None:
    """Raise InvalidInput where there are any."""
    found = list(violations)
    if found:
        raise InvalidInput(found)


def together(*steps: Callable[[], object]) -> None:
    """Take every step, and raise one InvalidInput with all that they found wrong."""
    check(violation for step in steps for violation in _found_by(step))


def each_of(
    make: Callable[[Given, str], Made], given: Sequence[Given], field: str
) -> tuple[Made, ...]:
    """What `make` makes of every value and its path; raises with all that is wrong in any."""
    made: list[Made] = []
    wrong: list[FieldViolation] = []
    for index, value in enumerate(given):
        try:
            made.append(make(value, f"{field}[{index}]"))
        except InvalidInput as invalid:
            wrong += invalid.violations
    check(wrong)
    return tuple(made)


def too_long(text: str, most: int, field: str) -> Iterator[FieldViolation]:
    """What is wrong with a text of more than so many characters."""
    if len(text) > most:
        yield FieldViolation(field, f"has {len(text)} characters; at most {most} are taken")


def known(table: Mapping[Number, Made], number: Number, field: str) -> Made:
    """What an enum's number stands for. Raises InvalidInput for one that came later than we."""
    if number not in table:
        raise InvalidInput.at(field, "is no value that this server knows")
    return table[number]


class below:  # noqa: N801 - it reads as the word that it is
    """Within it, what a pydantic type refuses is an InvalidInput with paths below `field`."""

    def __init__(self, field: str = "") -> None:
        self._field = field

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, ValidationError):
            found = error.errors(include_url=False, include_input=False)
            raise InvalidInput(
                [FieldViolation(_path(self._field, each["loc"]), each["msg"]) for each in found]
            ) from error


def _found_by(step: Callable[[], object]) -> Iterable[FieldViolation]:
    try:
        step()
    except InvalidInput as invalid:
        return invalid.violations
    return ()


def _path(field: str, steps: Iterable[str | int]) -> str:
    """`options.stop[0]` for ("stop", 0) below `options`; pydantic marks a map's keys by [key]."""
    for step in steps:
        if isinstance(step, int):
            field += f"[{step}]"
        elif step != "[key]":
            field = f"{field}.{step}" if field else step
    return field
