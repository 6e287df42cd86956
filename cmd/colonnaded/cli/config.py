"""`colonnade config`: the settings, checked and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping

import typer

from colonnaded.cli.exits import Exit, fail
from colonnaded.cli.options import ConfigFile, Output, OutputOption, settings_or_fail

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)


@app.command()
def check(config: ConfigFile = None) -> None:
    """Check the settings, prompts and secrets, without starting anything."""
    from colonnaded.openers.prompts import open_prompts
    from colonnaded.secrets import MissingSecret, references_in
    from colonnaded.settings import SettingsError

    settings = settings_or_fail(config)
    problems: list[str] = []
    try:
        open_prompts(settings)
    except SettingsError as error:
        problems += error.problems
    for key, reference in references_in(settings):
        try:
            reference.resolve()
        except MissingSecret as error:
            problems.append(f"{key}: {error}")
    if problems:
        fail("\n  ".join(["the settings have problems:", *problems]), Exit.SETTINGS)
    print("the settings are sound")


@app.command()
def show(config: ConfigFile = None, output: OutputOption = Output.TEXT) -> None:
    """Show every key with its value, defaults included. Secrets are shown as references only."""
    shown = settings_or_fail(config).model_dump(mode="json")
    if output is Output.JSON:
        print(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    for key, value in _flat("", shown):
        print(f"{key} = {json.dumps(value, ensure_ascii=False)}")


@app.command()
def reload(output: OutputOption = Output.TEXT) -> None:
    """Have the running server read its settings again; what is not sound changes nothing."""
    from colonnaded.cli.connected import connected

    with connected() as client:
        done = client.admin.reload()
    if output is Output.JSON:
        keys = {"applied": list(done.applied_keys), "restart": list(done.restart_keys)}
        print(json.dumps(keys))
        return
    for key in done.applied_keys:
        print(f"{key}: counts now")
    for key in done.restart_keys:
        print(f"{key}: counts once the server is started again")
    if not (done.applied_keys or done.restart_keys):
        print("nothing has changed")


def _flat(prefix: str, value: object) -> list[tuple[str, object]]:
    """Tables as dotted keys; a reference to a secret names its place, never the secret."""
    if not isinstance(value, Mapping) or not value:
        return [(prefix, value)]
    rows: list[tuple[str, object]] = []
    for key, item in value.items():
        rows += _flat(f"{prefix}.{key}" if prefix else str(key), item)
    return rows
