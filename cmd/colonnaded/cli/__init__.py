"""The command line. Each command imports what it needs when it runs: `--help` stays quick."""

from __future__ import annotations

from colonnaded.cli.program import main

__all__ = ["main"]
