"""One connection to NATS, made and ended through nats-py, which is kept from reconnecting.

Its own reconnecting waits a fixed time and gives up for good on some of the server's errors; each
life of a connection is a client of its own here.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from dataclasses import dataclass

from nats.aio.client import Client
from nats.errors import Error, NoServersError, SlowConsumerError

from adapters.bus.nats_options import NatsOptions, NatsTls, NatsWatch

CANNOT_CONNECT = (OSError, Error, TimeoutError)
"""What a try to connect fails with."""
_PARTING_S = 0.3


class NotEncrypted(Error):
    """The server does not offer the encryption that the options ask for."""


class _Context(ssl.SSLContext):
    """Knows whether it was used: nats-py goes on in clear where the server does not offer TLS."""

    used = False

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        self.used = True
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)


@dataclass(slots=True)
class Connection:
    """A client that was connected, and the event that says that it no longer is."""

    client: Client
    gone: asyncio.Event

    async def reached(self, within_s: float) -> bool:
        """Whether the server has all that was sent before, and we all that it had sent."""
        try:
            async with asyncio.timeout(within_s):
                # A ping overtakes what nats-py has buffered, which goes out before the second.
                await self.client.flush()
                await self.client.flush()
        except CANNOT_CONNECT:
            return False
        return True

    async def part(self) -> None:
        """Close it, even where the server no longer reads."""
        await _close(self.client)


async def connect(options: NatsOptions, watch: NatsWatch) -> Connection:
    """One try on each server. Raises one of CANNOT_CONNECT."""
    client, gone = Client(), asyncio.Event()
    tls = options.tls or (NatsTls() if _asks_for_tls(options) else None)
    context = None if tls is None else tls_context(tls)
    causes: list[Exception] = []
    try:
        async with asyncio.timeout(options.connect_timeout * len(options.servers)):
            await _connect(client, gone, options, watch, context, causes)
        if context is not None and not context.used:
            raise NotEncrypted("the server does not offer TLS")
    except NoServersError as error:
        await _close(client)
        raise (causes[-1] if causes else error) from None
    except BaseException:
        await _close(client)
        raise
    return Connection(client, gone)


async def _connect(
    client: Client,
    gone: asyncio.Event,
    options: NatsOptions,
    watch: NatsWatch,
    context: _Context | None,
    causes: list[Exception],
) -> None:
    async def closed() -> None:
        gone.set()

    async def failed(error: Exception) -> None:
        causes[:] = [error]
        if isinstance(error, SlowConsumerError):
            watch.dropped()

    def unless_in_clear(secret: str | None) -> str | None:
        if context is not None and not context.used:
            raise NotEncrypted("the server does not offer TLS")
        return secret

    await client.connect(
        list(options.servers),
        name="colonnade",
        allow_reconnect=False,
        # One more than none: with none, nats-py tries for ever.
        max_reconnect_attempts=1,
        reconnect_time_wait=0,
        connect_timeout=max(1, round(options.connect_timeout)),
        no_echo=True,
        error_cb=failed,
        closed_cb=closed,
        tls=context,
        tls_hostname=None if options.tls is None else options.tls.server_name,
        user=None if options.user is None else lambda: unless_in_clear(options.user) or "",
        password=None if options.password is None else lambda: options.password or "",
        token=None if options.token is None else lambda: unless_in_clear(options.token) or "",
    )


def _asks_for_tls(options: NatsOptions) -> bool:
    return any(server.startswith("tls://") for server in options.servers)


def tls_context(tls: NatsTls) -> _Context:
    """What the options say, with the files read. Raises OSError."""
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if tls.ca is None:
        context.load_default_certs()
    else:
        context.load_verify_locations(tls.ca)
    if tls.certificate is not None:
        context.load_cert_chain(tls.certificate, tls.key)
    return context


async def _close(client: Client) -> None:
    with suppress(*CANNOT_CONNECT, AssertionError):
        async with asyncio.timeout(_PARTING_S):
            await client.close()
