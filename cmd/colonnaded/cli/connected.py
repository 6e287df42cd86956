"""A client for a command, and how its errors end the command."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import grpc

from colonnade.client import Client, ColonnadeError
from colonnaded.cli.exits import Exit, fail

_EXITS = {
    grpc.StatusCode.UNAVAILABLE: Exit.UNREACHABLE,
    grpc.StatusCode.UNAUTHENTICATED: Exit.REFUSED,
    grpc.StatusCode.PERMISSION_DENIED: Exit.REFUSED,
    grpc.StatusCode.NOT_FOUND: Exit.NOT_FOUND,
    grpc.StatusCode.INVALID_ARGUMENT: Exit.USAGE,
}


@contextmanager
def connected() -> Iterator[Client]:
    """A client while the block runs. An error of the server ends the command with its message."""
    try:
        with Client() as client:
            yield client
    except ColonnadeError as error:
        fail(explained(error), _EXITS.get(error.code, Exit.FAILED))
    except (ValueError, OSError) as error:
        fail(str(error), Exit.USAGE)
    except KeyboardInterrupt:
        fail("interrupted", Exit.INTERRUPTED)


def explained(error: ColonnadeError) -> str:
    """The error in a line or two, with what helps where no server answered."""
    if error.code is grpc.StatusCode.UNAVAILABLE and not error.reason:
        return f"no server answers ({error.message}); start one: colonnade serve"
    return str(error)
