"""`colonnade doctor` and `colonnade version`."""

from __future__ import annotations

import json
import sys
from typing import Annotated

import typer

from colonnaded.cli.exits import Exit
from colonnaded.cli.options import ConfigFile, Output, OutputOption, settings_or_fail


def doctor(
    config: ConfigFile = None,
    output: OutputOption = Output.TEXT,
    address: Annotated[str, typer.Option(help="host:port; overrides server.address.")] = "",
) -> None:
    """Check ports, weights, disk and versions, and say how to mend what is wrong."""
    from colonnaded.doctor import examine
    from colonnaded.finding import Standing

    settings = settings_or_fail(config).with_overrides(address=address)
    findings = examine(settings)
    if output is Output.JSON:
        print(json.dumps([finding.as_dict() for finding in findings], ensure_ascii=False))
    else:
        for finding in findings:
            print(f"{finding.standing.value:7}  {finding.subject}: {finding.detail}")
            if finding.remedy:
                print(f"{'':7}  -> {finding.remedy}")
    if any(finding.standing is Standing.BROKEN for finding in findings):
        sys.exit(Exit.FAILED)


def version(output: OutputOption = Output.TEXT) -> None:
    """Print the versions of server, client and contract."""
    from importlib.metadata import version as installed

    versions = {
        "colonnade-server": installed("colonnade-server"),
        "colonnade": installed("colonnade"),
        "contract": "colonnade.v1",
    }
    if output is Output.JSON:
        print(json.dumps(versions))
        return
    for name, number in versions.items():
        print(f"{name} {number}")
