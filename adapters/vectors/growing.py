"""An array that grows at its end while others read what they were handed."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

_Item = TypeVar("_Item", bound=np.generic)


class Growing(Generic[_Item]):
    """Items of one shape; `empty` gives shape and type. One thread at a time adds to it."""

    def __init__(self, empty: NDArray[_Item]) -> None:
        self._room = empty
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, items: NDArray[_Item]) -> None:
        """Add items; where there is no room, move to half as much again."""
        end = self._count + len(items)
        if end > len(self._room):
            shape = (max(end, 64, len(self._room) * 3 // 2), *self._room.shape[1:])
            roomier = np.empty(shape, self._room.dtype)
            roomier[: self._count] = self.items
            self._room = roomier
        self._room[self._count : end] = items
        self._count = end

    @property
    def items(self) -> NDArray[_Item]:
        """What there is by now, without a copy: what is added later lies behind it."""
        return self._room[: self._count]

    @property
    def size_bytes(self) -> int:
        """The memory that it holds, free room included."""
        return self._room.nbytes
