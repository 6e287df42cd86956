"""How values from outside are checked."""

from __future__ import annotations

from pydantic import ConfigDict

QUIET = ConfigDict(hide_input_in_errors=True)
"""What is wrong with a value is told, and never the value: errors end up in logs."""
