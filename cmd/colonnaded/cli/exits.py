"""Exit codes, and how an error ends a command: one line that says what to do."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import NoReturn


class Exit(IntEnum):
    """What a command's exit code means."""

    OK = 0
    FAILED = 1
    USAGE = 2
    SETTINGS = 3
    UNREACHABLE = 4
    REFUSED = 5  # no key, or one that lacks the right
    NOT_FOUND = 6
    PARTLY = 7  # some of the work was rejected; the summary says which
    NOT_ANSWERED = 8  # the documents do not answer the question
    INTERRUPTED = 130


def fail(message: str, code: Exit = Exit.FAILED) -> NoReturn:
    """End the command with a message on standard error."""
    print(f"colonnade: {message}", file=sys.stderr)
    sys.exit(code)
