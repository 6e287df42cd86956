"""The command line. Each command imports what it needs when it runs: `--help` stays quick."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from colonnaded.cli.program import app

    app()
