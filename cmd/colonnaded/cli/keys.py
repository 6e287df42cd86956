"""`colonnade keys`: API keys, in the store itself; the secret is shown once and kept nowhere."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import ConfigFile, Output, OutputOption, settings_or_fail

if TYPE_CHECKING:
    from pathlib import Path

    from core.api_keys import ApiKey
    from core.ports.state import State

Result = TypeVar("Result")
app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def create(
    tenant: Annotated[str, typer.Option(help="Whose data the key opens.")] = "default",
    user: Annotated[
        str, typer.Option(help="Who it stands for; conversations are a user's.")
    ] = "default",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="What it may do, such as chat.write; may be repeated. Else all: *."),
    ] = None,
    label: Annotated[str, typer.Option(help="A note for people.")] = "",
    days: Annotated[int, typer.Option(min=0, help="It expires after so many; 0 never.")] = 0,
    config: ConfigFile = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make a key. Its secret is printed now and never again."""
    from core.api_keys import secret_from

    known = known_scopes()
    for one in scope or ():
        if one != "*" and one not in known:
            fail(f"no scope {one!r}; there are: {', '.join(sorted(known))}, *", Exit.USAGE)
    secret = secret_from(secrets.token_bytes(32))
    key = _with_state(
        config, lambda state: _insert(state, secret, tenant, user, scope, label, days)
    )
    if output is Output.JSON:
        print(json.dumps({"id": key.id, "secret": secret, "tenant": tenant, "user": user}))
    else:
        print(secret)


@app.command("list")
def list_keys(
    tenant: Annotated[str, typer.Option(help="Whose keys.")] = "default",
    config: ConfigFile = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """List a tenant's keys. Secrets are not kept, so none is shown."""
    keys = _with_state(config, lambda state: _list(state, tenant))
    if output is Output.JSON:
        print(json.dumps([_as_dict(key) for key in keys]))
        return
    for key in keys:
        standing = "revoked" if key.revoked_at else "active"
        scopes = ",".join(sorted(key.scopes))
        print(f"{key.id}\t{standing}\t{key.user}\t{scopes}\t{key.label}")


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="The key's id, from `keys list`.")],
    tenant: Annotated[str, typer.Option(help="Whose key it is.")] = "default",
    config: ConfigFile = None,
) -> None:
    """Revoke a key; a running server obeys within five seconds."""
    if not _with_state(config, lambda state: _revoke(state, tenant, key)):
        fail(f"tenant {tenant!r} has no key {key!r}", Exit.NOT_FOUND)


def known_scopes() -> frozenset[str]:
    """Every scope that a method of the contract needs, and the one that opens all tenants."""
    from adapters.grpc.binding import scope_of
    from colonnaded.container import SERVICES
    from core.principal import BY_NAME_ONLY

    methods = (method for service in SERVICES for method in service.methods)
    return frozenset({*BY_NAME_ONLY, *(scope_of(method) for method in methods)})


def _with_state(config: Path | None, work: Callable[[State], Awaitable[Result]]) -> Result:
    from colonnaded.data_directory import DataDirectory
    from colonnaded.openers.state import open_state
    from colonnaded.secrets import MissingSecret
    from colonnaded.settings import SettingsError
    from core.errors import ColonnadeError

    settings = settings_or_fail(config)

    async def opened() -> Result:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        states = open_state(settings, DataDirectory(settings.data_dir))
        state = await anext(states)
        try:
            return await work(state)
        finally:
            await anext(states, None)

    try:
        return asyncio.run(opened())
    except ColonnadeError as error:
        fail(error.message)
    except (MissingSecret, SettingsError, OSError) as error:
        fail(str(error), Exit.SETTINGS)


async def _insert(
    state: State,
    secret: str,
    tenant: str,
    user: str,
    scopes: list[str] | None,
    label: str,
    days: int,
) -> ApiKey:
    from colonnaded.identity import new_id
    from core.api_keys import ApiKey, digest_of
    from core.identifiers import ApiKeyId, TenantId, UserId
    from core.principal import EVERY_SCOPE

    async with state.transaction(TenantId(tenant)) as tx:
        key = ApiKey(
            id=ApiKeyId(new_id("key")),
            tenant=TenantId(tenant),
            user=UserId(user),
            digest=digest_of(secret),
            scopes=frozenset(scopes or [EVERY_SCOPE]),
            created_at=tx.now,
            label=label,
            expires_at=tx.now + timedelta(days=days) if days else None,
        )
        tx.api_keys.insert(key)
    return key


async def _list(state: State, tenant: str) -> list[ApiKey]:
    from core.identifiers import TenantId

    async with state.snapshot(TenantId(tenant)) as view:
        return list(await view.api_keys.list())


async def _revoke(state: State, tenant: str, id: str) -> bool:
    from core.identifiers import ApiKeyId, TenantId

    async with state.transaction(TenantId(tenant)) as tx:
        known = {key.id for key in await tx.api_keys.list()}
        if id not in known:
            return False
        tx.api_keys.revoke(ApiKeyId(id), tx.now)
    return True


def _as_dict(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "user": key.user,
        "scopes": sorted(key.scopes),
        "label": key.label,
        "created_at": key.created_at.isoformat(),
        "expires_at": key.expires_at.isoformat() if key.expires_at else None,
        "revoked_at": key.revoked_at.isoformat() if key.revoked_at else None,
    }
