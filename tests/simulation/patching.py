"""Changes the code under test while a block runs, as if one rule had been left out of it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_OURS = ("core.", "services.", "simulation.store_rows")


class Patch:
    """Remembers what it replaces."""

    def __init__(self) -> None:
        self._before: list[tuple[Any, str, Any]] = []

    def set(self, owner: Any, name: str, value: Any) -> None:
        """Replace an attribute of a class or a module; one that is not there is a mistake."""
        self._before.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    def everywhere(self, function: Callable[..., Any], value: Callable[..., Any]) -> None:
        """Replace a function in every module of ours that has imported it."""
        found = False
        for module in list(sys.modules.values()):
            if not getattr(module, "__name__", "").startswith(_OURS):
                continue
            for name, held in list(vars(module).items()):
                if held is function:
                    self.set(module, name, value)
                    found = True
        if not found:
            raise LookupError(f"nobody has imported {function!r}")

    def undo(self) -> None:
        """Put everything back."""
        while self._before:
            owner, name, value = self._before.pop()
            setattr(owner, name, value)


@contextmanager
def patched(change: Callable[[Patch], None]) -> Iterator[None]:
    """The code with this change, while the block runs."""
    patch = Patch()
    try:
        change(patch)
        yield
    finally:
        patch.undo()
