"""What `colonnade doctor` finds: one thing that was looked at, and how it stands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Standing(Enum):
    """How a thing stands. A warning does not keep the node from serving."""

    GOOD = "ok"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at, and how to mend it where it is not good."""

    subject: str
    standing: Standing
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """For programs."""
        return {
            "subject": self.subject,
            "standing": self.standing.value,
            "detail": self.detail,
            "remedy": self.remedy,
        }
