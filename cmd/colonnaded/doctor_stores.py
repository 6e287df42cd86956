"""Whether the servers that the settings name can be reached: the store's, and the bus's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace

from colonnaded.finding import Finding, Standing
from colonnaded.openers.bus import nats_options
from colonnaded.openers.state import postgres_options
from colonnaded.secrets import MissingSecret
from colonnaded.settings import Settings, SettingsError
from core.errors import ColonnadeError

_ROLE = "SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user"
_MOST = "SELECT current_setting('max_connections')::int"


def examine_stores(settings: Settings) -> Iterator[Finding]:
    """A finding for each server; none for what lies in the data directory, or in memory."""
    if settings.state.adapter == "postgres":
        yield _found("store", settings, _postgres)
    if settings.bus.adapter == "nats":
        yield _found("bus", settings, _nats)


def _found(
    subject: str, settings: Settings, look: Callable[[Settings], Awaitable[Finding]]
) -> Finding:
    async def looked() -> Finding:
        return await look(settings)

    try:
        return asyncio.run(looked())
    except SettingsError as error:
        return Finding(subject, Standing.BROKEN, "; ".join(error.problems), "install it")
    except MissingSecret as missing:
        return Finding(subject, Standing.BROKEN, str(missing), "set it, or mend the reference")
    except (ColonnadeError, OSError, ValueError) as error:
        remedy = "mend the address or the credentials, or start the server"
        return Finding(subject, Standing.BROKEN, str(error), remedy)


async def _postgres(settings: Settings) -> Finding:
    """Raises a ColonnadeError where the server does not let us in."""
    options = postgres_options(settings.state)
    import psycopg

    from adapters.state.postgres.connecting import conninfo
    from adapters.state.postgres.failures import connection_error

    try:
        async with await psycopg.AsyncConnection.connect(conninfo(options.url)) as connection:
            unbound = await (await connection.execute(_ROLE)).fetchone()
            most = await (await connection.execute(_MOST)).fetchone()
            server = connection.info.parameter_status("server_version")
    except psycopg.Error as error:
        raise connection_error(error) from None
    if unbound is None or unbound[0]:
        return Finding(
            "store",
            Standing.BROKEN,
            "the role is a superuser, or may bypass row-level security",
            "let a role that may neither own the database, and name it in the URL",
        )
    wanted = settings.state.connections
    detail = f"PostgreSQL {server} answers; up to {wanted} connections a process"
    if most is not None and most[0] < wanted:
        detail += f", and it takes {most[0]} of all"
        return Finding("store", Standing.WARNING, detail, "raise max_connections there")
    return Finding("store", Standing.GOOD, detail)


async def _nats(settings: Settings) -> Finding:
    """Raises Unavailable where no server answers."""
    options = replace(nats_options(settings.bus), required=True)
    from adapters.bus.nats import open_nats

    bus = await open_nats(options)
    await bus.close()
    return Finding("bus", Standing.GOOD, f"NATS answers at {', '.join(options.servers)}")
