"""Prompt templates: named, checked, and versioned by their content."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, field
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from core.canonical import digest
from core.errors import FieldViolation, InvalidInput
from core.prompting.slots import (
    BUILT_IN_SLOTS,
    CONTEXT_SLOT,
    FORMAT_SLOT,
    USER_SLOT,
    slots_in,
    split_at_context,
)
from core.routing import TaskClass

_VERSION_DIGITS = 12
_STRICT = ConfigDict(extra="forbid")
_RECKONED = ("version", "defaults", "untrusted", "asks")
"""The fields of a template that are no part of its content."""

Text = Annotated[str, Field(max_length=50_000)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
SlotName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]


@checked(frozen=True, slots=True, config=_STRICT)
class TemplateInput:
    """One input of a template. `max_length` is in characters.

    `untrusted` marks a text that the caller only passes on: it is fenced.
    """

    required: bool = False
    max_length: Annotated[int, Field(ge=1, le=200_000)] = 2_000
    default: Text = ""
    untrusted: bool = False
    description: Annotated[str, Field(max_length=500)] = ""


@checked(frozen=True, slots=True, config=_STRICT)
class PromptTemplate:
    """The fixed texts of a prompt, with slots for the rest.

    Each text is one source: `system`, `safety`, `developer` and `format` go first, `user` holds
    `{user_input}`, and maybe `{retrieved_context}` on a line of its own. `task_class` is what
    routing chooses a deployment by.
    """

    name: Name
    task_class: TaskClass
    user: Text
    system: Text = ""
    safety: Text = ""
    developer: Text = ""
    format: Text = ""
    description: Annotated[str, Field(max_length=500)] = ""
    inputs: Mapping[SlotName, TemplateInput] = field(default_factory=dict)
    version: str = field(default="", init=False, repr=False, compare=False)
    """`name@digest`: the same for the same content, wherever it was read."""
    defaults: Mapping[str, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    """What stands for each input that is not given."""
    untrusted: tuple[str, ...] = field(default=(), init=False, repr=False, compare=False)
    """The inputs that are only passed on."""
    asks: bool = field(default=False, init=False, repr=False, compare=False)
    """Whether it has an input that must be given."""

    def __post_init__(self) -> None:
        content = asdict(self)
        for name in _RECKONED:
            del content[name]
        specs = self.inputs.items()
        reckoned = (
            f"{self.name}@{digest(content)[:_VERSION_DIGITS]}",
            {name: spec.default for name, spec in specs},
            tuple(name for name, spec in specs if spec.untrusted),
            any(spec.required for _, spec in specs),
        )
        for name, value in zip(_RECKONED, reckoned, strict=True):
            object.__setattr__(self, name, value)

    def values(self, given: Mapping[str, str]) -> Mapping[str, str]:
        """The inputs with their defaults. Raises InvalidInput, naming each that doesn't fit."""
        if not given and not self.asks:
            return self.defaults
        violations = tuple(self._violations(given))
        if violations:
            raise InvalidInput(violations)
        return {**self.defaults, **given}

    def _violations(self, given: Mapping[str, str]) -> Iterator[FieldViolation]:
        for name in sorted(given.keys() - self.inputs.keys()):
            known = ", ".join(sorted(self.inputs)) or "none"
            yield FieldViolation(f"prompt.inputs.{name}", f"{self.name} takes: {known}")
        for name, spec in self.inputs.items():
            value = given.get(name)
            if spec.required and not value:
                yield FieldViolation(f"prompt.inputs.{name}", f"{self.name} requires it")
            elif value and len(value) > spec.max_length:
                yield FieldViolation(
                    f"prompt.inputs.{name}",
                    f"has {len(value)} characters; at most {spec.max_length}",
                )


_TEMPLATE = TypeAdapter(PromptTemplate)
_TEXTS = ("system", "safety", "developer", "format", "user")


def parse_template(content: Mapping[str, object], where: str = "prompt") -> PromptTemplate:
    """A template from what a TOML file holds.

    Raises InvalidInput; each violation's field is the key at fault, under `where`.
    """
    try:
        template = _TEMPLATE.validate_python(dict(content))
    except ValidationError as error:
        raise InvalidInput(
            [
                FieldViolation(".".join((where, *map(str, item["loc"]))), item["msg"])
                for item in error.errors()
            ]
        ) from None
    violations = [
        FieldViolation(f"{where}.{key}", problem) for key, problem in _slot_problems(template)
    ]
    if violations:
        raise InvalidInput(violations)
    return template


def _slot_problems(template: PromptTemplate) -> Iterator[tuple[str, str]]:
    known = BUILT_IN_SLOTS | template.inputs.keys()
    for key in _TEXTS:
        for slot in slots_in(getattr(template, key)):
            if slot not in known:
                yield key, f"slot {{{slot}}} is unknown; declare it as inputs.{slot}"
            if slot in (CONTEXT_SLOT, USER_SLOT) and key != "user":
                yield key, f"slot {{{slot}}} belongs into user, where it is no instruction"
    yield from _user_problems(template)
    if FORMAT_SLOT in slots_in(template.format):
        yield "format", "slot {format} can't stand in itself"
    for name in sorted(template.inputs.keys() & {CONTEXT_SLOT, USER_SLOT, FORMAT_SLOT}):
        yield f"inputs.{name}", "is filled by the server; it can't be declared"


def _user_problems(template: PromptTemplate) -> Iterator[tuple[str, str]]:
    used = slots_in(template.user)
    if used.count(USER_SLOT) != 1:
        yield "user", "must hold the slot {user_input} once"
    if used.count(CONTEXT_SLOT) > 1:
        yield "user", "may hold the slot {retrieved_context} once"
    if used.count(CONTEXT_SLOT) == 1 and split_at_context(template.user) is None:
        yield "user", "the slot {retrieved_context} must stand on a line of its own"
