"""The templates that a process offers, by name and by exact version."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from core.errors import InvalidInput, NotFound
from core.prompting.templates import PromptTemplate


@dataclass(frozen=True, slots=True)
class PromptCatalog:
    """An immutable snapshot. `current` has each name's version in use, `versions` all of them."""

    current: dict[str, PromptTemplate] = field(default_factory=dict)
    versions: dict[str, PromptTemplate] = field(default_factory=dict)

    @classmethod
    def of(cls, templates: Iterable[PromptTemplate]) -> PromptCatalog:
        """A catalog in which a later template of a name takes the earlier one's place."""
        current: dict[str, PromptTemplate] = {}
        versions: dict[str, PromptTemplate] = {}
        for template in templates:
            current[template.name] = versions[template.version] = template
        return cls(current, versions)

    def get(self, name_or_version: str) -> PromptTemplate:
        """The template of this name, or of exactly this version. Raises NotFound."""
        table = self.versions if "@" in name_or_version else self.current
        if name_or_version not in table:
            raise NotFound("prompt", name_or_version)
        return table[name_or_version]

    def require(self, name: str, setting: str) -> PromptTemplate:
        """The template that a setting names. Raises InvalidInput at the setting."""
        try:
            return self.get(name)
        except NotFound as missing:
            known = ", ".join(sorted(self.current))
            raise InvalidInput.at(setting, f"no prompt {name!r}; there are: {known}") from missing
