"""One rule of the protocol, left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulation.patching import Patch


@dataclass(frozen=True, slots=True)
class Mutation:
    """A name, what is left out, and how. `survives` says why nothing is seen of it, if so."""

    name: str
    rule: str
    change: Callable[[Patch], None]
    survives: str = ""
