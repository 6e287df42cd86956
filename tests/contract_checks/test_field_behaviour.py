"""The behaviour of each field, which the check for breaking changes does not see."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor

AGREED = Path(__file__).with_name("field_behaviour.txt")
"""One line a field; a change of the contract changes it by hand, so that it is seen."""


def test_every_field_behaves_as_was_agreed(contract_files: list[str]) -> None:
    assert list(lines(contract_files)) == AGREED.read_text(encoding="utf-8").splitlines()


def test_every_field_says_how_it_behaves(contract_files: list[str]) -> None:
    silent = [
        field.full_name
        for message in messages(contract_files)
        for field in message.fields
        if not behaviours(field) and not in_choice(field)
    ]
    assert silent == []


def test_answers_are_read_only(contract_files: list[str]) -> None:
    writable = [
        field.full_name
        for message in messages(contract_files)
        if message.name.endswith("Response")
        for field in message.fields
        if behaviours(field) != ["OUTPUT_ONLY"] and not in_choice(field)
    ]
    assert writable == []


def lines(modules: list[str]) -> Iterator[str]:
    """What is pinned: each field's name, number and behaviours."""
    for message in messages(modules):
        for field in message.fields:
            words = [field.full_name.removeprefix("colonnade.v1."), str(field.number)]
            yield " ".join(words + (behaviours(field) or ["-"]))


def messages(modules: list[str]) -> Iterator[Descriptor]:
    """All messages of the contract, the nested ones after those that hold them."""
    for module in modules:
        for message in import_module(module).DESCRIPTOR.message_types_by_name.values():
            yield from with_nested(message)


def with_nested(message: Descriptor) -> Iterator[Descriptor]:
    """A message and those in it, but for the entries of maps."""
    if not message.GetOptions().map_entry:
        yield message
        for nested in message.nested_types:
            yield from with_nested(nested)


def behaviours(field: FieldDescriptor) -> list[str]:
    """The names of a field's behaviours."""
    options = {option.full_name: value for option, value in field.GetOptions().ListFields()}
    numbers = options.get("google.api.field_behavior", ())
    return [field_behavior_pb2.FieldBehavior.Name(number) for number in numbers]


def in_choice(field: FieldDescriptor) -> bool:
    """Whether the field is one alternative of a oneof that people wrote."""
    return field.containing_oneof is not None and not field.containing_oneof.name.startswith("_")
