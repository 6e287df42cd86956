"""Secrets by reference: settings say where one is, never what it is."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class MissingSecret(Exception):
    """The place that a setting names holds no secret; the message says which place."""


class SecretReference(BaseModel):
    """`{env = "NAME"}` or `{file = "PATH"}`; exactly one of the two."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    env: str = ""
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _no_literal(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError('a secret is given by reference: {env = "NAME"} or {file = "PATH"}')
        return value

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if bool(self.env) == (self.file is not None):
            raise ValueError("set exactly one of env and file")
        return self

    def resolve(self) -> str:
        """The secret itself. Raises MissingSecret."""
        if self.env:
            value = os.environ.get(self.env, "")
            if not value:
                raise MissingSecret(f"the environment variable {self.env} is not set")
            return value
        assert self.file is not None  # exactly one is set
        try:
            return self.file.read_text().rstrip("\r\n")
        except OSError as error:
            raise MissingSecret(f"{self.file}: {error.strerror}") from error


def resolved(value: str | SecretReference | None) -> str:
    """The text, or the secret it refers to; empty where nothing is set. Raises MissingSecret."""
    return value.resolve() if isinstance(value, SecretReference) else value or ""


def references_in(settings: object, key: str = "") -> Iterator[tuple[str, SecretReference]]:
    """Every reference to a secret in a table of the settings, each with its key."""
    if isinstance(settings, SecretReference):
        yield key, settings
    elif isinstance(settings, BaseModel):
        for name in type(settings).model_fields:
            yield from references_in(getattr(settings, name), f"{key}.{name}" if key else name)
    elif isinstance(settings, Mapping):
        for name, entry in settings.items():
            yield from references_in(entry, f"{key}.{name}")
    elif isinstance(settings, (list, tuple)):
        for number, entry in enumerate(settings):
            yield from references_in(entry, f"{key}[{number}]")
