"""Makes connections, set up for their work."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from adapters.state.failures import StoreUnusable
from adapters.state.postgres.failures import BatchFailed, connection_error
from adapters.state.postgres.link import Call, Link
from adapters.state.postgres.options import PostgresOptions
from core.identifiers import Seconds

_DEFAULTS = {
    "application_name": "colonnade",
    "client_encoding": "utf8",
    "connect_timeout": "2",  # seconds, for each host of the URL: the least that libpq takes
    "target_session_attrs": "read-write",  # of several hosts, the one that is not a standby
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
}
_PATIENCE_BEYOND_S = 0.5
"""So much later than the server itself, this side gives a statement up."""


def conninfo(url: str) -> str:
    """What libpq is to connect with: what the URL says, and our defaults for the rest.

    Raises StoreUnusable, without the URL, where it is none.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        raise StoreUnusable("the store's URL is not one of PostgreSQL") from None
    return make_conninfo("", **{**_DEFAULTS, **given})


def setting_calls(options: PostgresOptions) -> list[Call]:
    """What a session is told first."""
    milliseconds = {
        "statement_timeout": options.statement_timeout,
        "idle_in_transaction_session_timeout": options.transaction_timeout,
    }
    settings = {name: f"{1000 * limit:.0f}ms" for name, limit in milliseconds.items()}
    settings["synchronous_commit"] = options.durability.value
    settings["jit"] = "off"  # compiling costs more than any statement here runs
    # Every statement that matters has its index. Left to itself the server guesses that the walls
    # leave one row of a table, and reads all of it to find that one, or sorts what an index has
    # in order; and it plans each statement anew five times a connection, which costs more than
    # running it.
    settings["plan_cache_mode"] = "force_generic_plan"
    settings["enable_seqscan"] = settings["enable_bitmapscan"] = "off"
    return [Call("SELECT set_config($1, $2, false)", *settings.items())]


async def connect(options: PostgresOptions, target: str, kind: type[Link] = Link) -> Link:
    """A new connection to what `conninfo` made of the URL. Raises StoreUnavailable."""
    try:
        connection: psycopg.AsyncConnection[Any] = await psycopg.AsyncConnection.connect(
            target, autocommit=True
        )
    except psycopg.Error as error:
        raise connection_error(error) from None
    link = kind(connection, Seconds(options.statement_timeout + _PATIENCE_BEYOND_S))
    try:
        await link.run(setting_calls(options))
    except BatchFailed as failed:
        link.close()
        raise failed.error from None
    except BaseException:
        link.close()
        raise
    return link
