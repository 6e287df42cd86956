"""Many slow streams of several tenants through one gateway: memory a stream, and fair shares.

    python -m benchmarks.gateway_streams [--json] [--streams 500] [--seconds 8] [--mock PROGRAM]

Each stream brings a chunk every 100 ms. The tenants have equally many clients, and as soon as a
stream ends the next begins. `kb_a_stream` is what the gateway's process has grown by for each
stream; `jain_index` is Jain's index of the messages that the tenants got, 1 where all got as
many and 1/tenants where one got everything (Jain, Chiu and Hawe 1984). The last line is JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.gatewaying import foreign
from benchmarks.gatewaying.ours import TENANTS
from benchmarks.gatewaying.upstream import AT_ONCE, SLOW
from benchmarks.relaying.processes import child

RAMP_S = 2.0
SAMPLE_S = 0.5


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run the streams for so long, and look at the gateway's process meanwhile."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        log = stack.enter_context((folder / "log").open("w"))
        if options.mock:
            upstream = stack.enter_context(foreign.mock(options.mock)).address
        else:
            provider = stack.enter_context(child("benchmarks.gatewaying.upstream"))
            upstream = provider.answer()["address"]
        load = stack.enter_context(child("benchmarks.gatewaying.clients"))
        data = str(folder / "data")
        ours = child("benchmarks.gatewaying.ours", data, upstream, errors=log)
        gateway = stack.enter_context(ours)
        order = {"kind": "grpc", "address": gateway.answer()["address"], "stream": True}
        few = dict.fromkeys(TENANTS.values(), 8)
        load.ask(model=AT_ONCE, clients=few, seconds=0.5, **order)
        idle_kb = gateway.resident_kb()
        clients = dict.fromkeys(TENANTS.values(), options.streams // len(TENANTS))
        seconds = RAMP_S + options.seconds
        load.send(model=SLOW, clients=clients, seconds=seconds, ramp_s=RAMP_S, cut=True, **order)
        time.sleep(RAMP_S)
        cpu_before = gateway.cpu_s()
        samples: list[int] = []
        until = time.monotonic() + options.seconds - SAMPLE_S
        while not samples or time.monotonic() < until:
            samples.append(gateway.resident_kb())
            time.sleep(SAMPLE_S)
        cpu_s = gateway.cpu_s() - cpu_before
        seen = load.answer()
        shares = [seen["by_key"].get(key, 0) for key in TENANTS.values()]
        streams = sum(clients.values())
        return {
            "streams": streams,
            "tenants": len(TENANTS),
            "idle_mb": round(idle_kb / 1024, 1),
            "kb_a_stream": round((median(samples) - idle_kb) / streams, 1),
            "most_kb_a_stream": round((max(samples) - idle_kb) / streams, 1),
            "jain_index": round(jain_index(shares), 4),
            "messages_per_s": round(seen["messages"] / seen["wall_s"], 1),
            "cpu_share": round(cpu_s / max(SAMPLE_S * len(samples), SAMPLE_S), 3),
        }


def jain_index(shares: Sequence[float]) -> float:
    """How evenly something is shared: 1 is evenly, 1/n is all of it to one."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


def fair_shares(demands: Mapping[str, float], capacity: float) -> dict[str, float]:
    """What each is entitled to of `capacity`: nobody more than asked while another lacks something.

    Max-min fairness (Bertsekas and Gallager 1992, 6.5.2): the smallest demands are met first, and
    what they leave is parted evenly between the others. What nobody asked for goes to all.
    """
    shares: dict[str, float] = {}
    left, waiting = capacity, sorted(demands, key=lambda name: demands[name])
    for number, name in enumerate(waiting):
        shares[name] = min(demands[name], left / (len(waiting) - number))
        left -= shares[name]
    return {name: share + left / len(shares) for name, share in shares.items()}


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="only the last line")
    parser.add_argument("--streams", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--folder", help="where the state lies; default: the temporary folder")
    mock = os.environ.get("COLONNADE_BENCH_MOCK", "")
    parser.add_argument("--mock", default=mock, help="the provider, as a program of its own")
    options = parser.parse_args()
    found = measure(options)
    if not options.json:
        for name, value in found.items():
            print(f"{name:20} {value:>10}")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
