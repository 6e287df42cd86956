"""The settings as they are written down: one TOML file, and those that it includes."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

INCLUDE = "include"


class SettingsError(Exception):
    """The settings cannot be used. `problems` has a line each: the key, and how to mend it."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__("\n".join([f"{source}:", *(f"  {problem}" for problem in problems)]))
        self.problems = problems


def read_settings(file: Path) -> dict[str, object]:
    """What the file says, together with the files that its key `include` names.

    Their paths are relative to its folder. Each key is written in one of them only; the tables
    of all are one. Raises SettingsError.
    """
    content = _parsed(file)
    for name in _included(file, content):
        other = file.parent / name
        _merge(content, _parsed(other), str(other))
    return content


def _included(file: Path, content: Mapping[str, object]) -> list[str]:
    names = content.get(INCLUDE, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise SettingsError(str(file), [f"{INCLUDE}: must be a list of paths"])
    return names


def _parsed(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(str(file), [f"can't be read: {error.strerror}"]) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(str(file), [f"is not TOML: {error}"]) from error


def _merge(content: dict[str, object], more: dict[str, object], source: str, at: str = "") -> None:
    for name, value in more.items():
        key = f"{at}.{name}" if at else name
        if key == INCLUDE:
            raise SettingsError(
                source, [f"{INCLUDE}: only the settings file itself includes others"]
            )
        known = content.get(name)
        if known is None:
            content[name] = value
        elif isinstance(known, dict) and isinstance(value, dict):
            _merge(known, value, source, key)
        else:
            raise SettingsError(source, [f"{key}: stands in another file of the settings, too"])
