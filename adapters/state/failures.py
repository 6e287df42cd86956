"""The ways in which any store of this kind fails, beyond the port's own errors."""

from __future__ import annotations

from core.errors import Reason, StorageFull
from core.ports.state import StoreUnavailable


class StoreUnusable(StoreUnavailable):
    """The store cannot be used as it is; the message says what to do."""


class StoreFull(StoreUnavailable):
    """There is no room on the store's disk: reading goes on, and writing once there is room."""

    reason = Reason.STORAGE_FULL
    retry_after = StorageFull.retry_after
