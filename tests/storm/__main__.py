"""python -m tests.storm: real processes, real kills, and a verdict in one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT / part) for part in ("tests", "cmd", "clients/python", "")]

from colonnaded.cli.progress import progress_bar  # noqa: E402
from storm.options import StormOptions  # noqa: E402
from storm.outage import run_outage  # noqa: E402
from storm.storm import run_storm  # noqa: E402
from storm.witness import Witness  # noqa: E402


def main() -> int:
    """Run a storm; 1 where anything was violated."""
    options = _options()
    if options.away_for or options.full_for:
        return _report(asyncio.run(run_outage(options)))
    with progress_bar(hidden=False) as bar:
        task = bar.add_task("storm", total=int(options.seconds))

        def tick(passed: float, seen: Witness) -> None:
            said = f"storm: {seen.errands} errands, {len(seen.readings)} readings"
            bar.update(task, completed=int(passed), description=said)

        figures = asyncio.run(run_storm(options, tick))
    return _report(figures)


def _report(figures: dict[str, object]) -> int:
    print(json.dumps(figures))
    return 1 if figures["violations"] else 0


def _options() -> StormOptions:
    parser = argparse.ArgumentParser(prog="python -m tests.storm", description=__doc__)
    parser.add_argument("--state", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--bus", choices=("local", "nats"), help="with postgres: nats")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--kill-every", type=float, default=3.0)
    parser.add_argument("--restart-every", type=float, default=0.0)
    parser.add_argument("--cut-every", type=float, default=0.5)
    parser.add_argument("--stop", action="store_true", help="pause processes past their leases")
    parser.add_argument("--away", type=float, default=0.0, help="streams, so long without a store")
    parser.add_argument("--full", type=float, default=0.0, help="streams, so long on a full disk")
    parser.add_argument("--restart-servers", action="store_true", help="NATS 3x, PostgreSQL 2x")
    parser.add_argument("--durability", choices=("process", "power"), default="")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="kept; a temporary one otherwise is too")
    given = parser.parse_args()
    bus = given.bus or ("nats" if given.state == "postgres" else "local")
    return StormOptions(
        folder=given.folder or Path(tempfile.mkdtemp(prefix="colonnade-storm-")),
        state=given.state,
        bus=bus,
        processes=given.processes,
        clients=given.clients,
        seconds=given.seconds,
        kill_every=given.kill_every,
        restart_every=given.restart_every,
        cut_every=given.cut_every,
        stop_every=20.0 if given.stop else 0.0,
        away_for=given.away,
        full_for=given.full,
        restart_store=2 if given.restart_servers and given.state == "postgres" else 0,
        restart_bus=3 if given.restart_servers and bus == "nats" else 0,
        durability=given.durability,
        seed=given.seed,
    )


if __name__ == "__main__":
    sys.exit(main())
