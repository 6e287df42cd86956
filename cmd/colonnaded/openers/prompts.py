"""Reads the prompt templates: the built-in ones, and those of the operator's folder."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from colonnaded.settings import Settings, SettingsError
from core.errors import InvalidInput
from core.prompting.catalog import PromptCatalog
from core.prompting.templates import PromptTemplate, parse_template


def open_prompts(settings: Settings) -> PromptCatalog:
    """Every template; one of the folder takes the place of a built-in one of its name.

    Raises SettingsError that names file and key.
    """
    templates = list(_built_in())
    if settings.prompts.folder is not None:
        templates += _of_folder(settings.prompts.folder)
    catalog = PromptCatalog.of(templates)
    try:
        catalog.require(settings.prompts.chat, "prompts.chat")
        catalog.require(settings.prompts.rag, "prompts.rag")
    except InvalidInput as unknown:
        raise SettingsError("settings", [unknown.message]) from unknown
    return catalog


def _built_in() -> Iterator[PromptTemplate]:
    folder = files("colonnaded") / "prompts"
    for entry in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if entry.name.endswith(".toml"):
            yield parse_template(tomllib.loads(entry.read_text(encoding="utf-8")), entry.name)


def _of_folder(folder: Path) -> Iterator[PromptTemplate]:
    if not folder.is_dir():
        raise SettingsError("settings", [f"prompts.folder: {folder} is no folder"])
    for path in sorted(folder.glob("*.toml")):
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
            yield parse_template(content, path.stem)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SettingsError(str(path), [f"is not TOML: {error}"]) from error
        except InvalidInput as invalid:
            problems = [f"{v.field}: {v.description}" for v in invalid.violations]
            raise SettingsError(str(path), problems) from invalid
