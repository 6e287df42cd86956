"""`colonnade serve`: the server process."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import ConfigFile, settings_or_fail

if TYPE_CHECKING:
    from colonnaded.mesh_settings import Target
    from colonnaded.node import Serving
    from colonnaded.settings import Settings


def serve(
    config: ConfigFile = None,
    address: Annotated[str, typer.Option(help="host:port; overrides server.address.")] = "",
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Host only this: chat, models, retrieval, knowledge; or several, as a,b."
        ),
    ] = None,
    demo_key: Annotated[
        bool, typer.Option("--demo-key", help="Let calls without a key in; only on loopback.")
    ] = False,
) -> None:
    """Serve until SIGTERM or Ctrl-C; then drain: running streams end, or can be resumed."""
    # gRPC would say on standard error that it skips its handlers at each fork; ours only exec.
    os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
    settings = settings_or_fail(config)

    def told(loaded: Settings) -> Settings:
        return loaded.with_overrides(
            address=address, demo_key=demo_key, targets=_targets(target or ())
        )

    try:
        settings = told(settings)
    except ValueError as error:
        fail(str(error), Exit.SETTINGS)
    from colonnaded.data_directory import DataDirectoryLocked
    from colonnaded.node import run_forever
    from colonnaded.secrets import MissingSecret
    from colonnaded.settings import SettingsError, load_settings
    from core.errors import ColonnadeError

    try:
        run_forever(settings, _started, reread=lambda: told(load_settings(config)))
    except (DataDirectoryLocked, MissingSecret, SettingsError, OSError) as error:
        fail(str(error), Exit.SETTINGS)
    except ColonnadeError as error:
        fail(error.message)


def _targets(given: Sequence[str]) -> tuple[Target, ...]:
    """The targets by name. Raises ValueError that names those that there are."""
    from colonnaded.mesh_settings import Target

    known = {target.value: target for target in Target}
    names = [name.strip() for each in given for name in each.split(",")]
    for name in names:
        if name not in known:
            raise ValueError(f"--target: no target {name!r}; there are: {', '.join(known)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def _started(node: Serving) -> None:
    """The line that a script may wait for."""
    print(f"listening on {node.address}", file=sys.stdout, flush=True)
