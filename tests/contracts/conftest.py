from __future__ import annotations

from contracts.state_stores import state

__all__ = ["state"]
