"""Options that several commands share."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from colonnaded.cli.exits import Exit, fail

if TYPE_CHECKING:
    from colonnaded.settings import Settings


class Output(Enum):
    """For people, or for programs."""

    TEXT = "text"
    JSON = "json"


ConfigFile = Annotated[
    Path | None,
    typer.Option("--config", help="The settings file; else colonnade.toml if it is here."),
]
OutputOption = Annotated[Output, typer.Option("--output", "-o", help="text or json.")]
Collections = Annotated[
    list[str] | None,
    typer.Option("--collection", "-c", help="A collection; may be repeated. Else the default."),
]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds for the whole call.")]


def settings_or_fail(file: Path | None) -> Settings:
    """The settings, or the end of the command with every problem named."""
    from colonnaded.settings import SettingsError, load_settings

    try:
        return load_settings(file)
    except SettingsError as error:
        fail(str(error), Exit.SETTINGS)
