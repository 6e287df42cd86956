"""A collection's folder, in which there is a sound index or none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import structlog

from adapters.keywords.open_index import OpenIndex
from adapters.keywords.soundness import unsound_file
from core.identifiers import Position
from core.knowledge import Filter
from core.ports.indexes import Hit, IndexChange

_DROPPED = "~dropped"
"""The name, which no collection has, of the one that is being deleted."""

_log = structlog.get_logger(__name__)


class StoredIndex:
    """Opened when it is made. One thread at a time may change it; any may search."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._open: OpenIndex | None = None
        if (folder / "meta.json").exists():
            self._open_sound()

    @property
    def position(self) -> Position:
        """The last change that it holds."""
        return self._open.position if self._open else Position(0)

    def apply(self, changes: Sequence[IndexChange]) -> None:
        """See OpenIndex; the folder is made if need be."""
        if any(change.position > self.position for change in changes):
            self._open = self._open or self._make()
            self._open.apply(changes)

    def search(self, text: str, limit: int, where: Filter) -> list[Hit]:
        """See OpenIndex."""
        return self._open.search(text, limit, where) if self._open else []

    def rest(self) -> None:
        """See OpenIndex."""
        if self._open:
            self._open.rest()

    def _open_sound(self) -> None:
        damaged = unsound_file(self._folder)
        if damaged is None:
            try:
                self._open = OpenIndex(self._folder)
            except (ValueError, OSError) as error:
                damaged = str(error)
        if damaged is not None:
            _log.warning(
                "keyword index damaged or of another version; it is built anew",
                folder=str(self._folder),
                damaged=damaged,
            )
            self._open = None
            remove_index(self._folder)

    def _make(self) -> OpenIndex:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            made = OpenIndex(self._folder)
        except ValueError as error:
            raise OSError(f"the keyword index in {self._folder}: {error}") from error
        _force_names(self._folder.parent, self._folder.parent.parent)
        return made


def remove_index(folder: Path) -> None:
    """Delete a collection's folder, at one moment for who looks for it. Idempotent."""
    if not folder.exists():
        return
    dropped = folder.with_name(_DROPPED)
    shutil.rmtree(dropped, ignore_errors=True)
    folder.rename(dropped)
    _force_names(folder.parent)
    shutil.rmtree(dropped)
    if not any(folder.parent.iterdir()):
        folder.parent.rmdir()


def finish_drops(folder: Path) -> None:
    """Delete what drops that were cut short have left in the folders of the tenants."""
    for dropped in folder.glob(f"*/{_DROPPED}"):
        shutil.rmtree(dropped)


def _force_names(*folders: Path) -> None:
    """Make the names in the folders outlast a loss of power."""
    for folder in folders:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
