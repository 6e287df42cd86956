"""Whether the process that hosts the models can be reached, and lets this one in."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import asynccontextmanager

from colonnaded.finding import Finding, Standing
from colonnaded.identity import system_clock
from colonnaded.mesh_settings import Target
from colonnaded.secrets import MissingSecret
from colonnaded.settings import Settings
from core.errors import ColonnadeError, Unavailable
from core.messages import Message, Role

_SUBJECT = "models elsewhere"


def examine_mesh(settings: Settings) -> Iterator[Finding]:
    """A finding where models are asked for elsewhere; none where they are hosted here."""
    if settings.mesh.hosts(Target.MODELS):
        return
    try:
        asyncio.run(_count(settings))
    except MissingSecret as missing:
        yield Finding(_SUBJECT, Standing.BROKEN, str(missing), "set it, or mend the reference")
    except Unavailable as away:
        remedy = "start it, or mend mesh.models, mesh.key or the certificates"
        yield Finding(_SUBJECT, Standing.BROKEN, away.message, remedy)
    except (ColonnadeError, OSError, ValueError) as error:
        yield Finding(_SUBJECT, Standing.BROKEN, str(error), "mend the table mesh")
    else:
        where = ", ".join(settings.mesh.models)
        yield Finding(_SUBJECT, Standing.GOOD, f"{where} answers, and knows this process's key")


async def _count(settings: Settings) -> None:
    """Have a word counted there. Raises what says why that fails."""
    from colonnaded.openers.mesh import open_gateway_client

    opened = asynccontextmanager(open_gateway_client)
    async with opened(settings, system_clock()) as client:
        await client.count([Message.of(Role.USER, "hello")], "")
