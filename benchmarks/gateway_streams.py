"""Many slow streams of several tenants through one gateway: memory a stream, and fair shares.

    python -m benchmarks.gateway_streams [--json] [--streams 500] [--seconds 8] [--mock PROGRAM]

Each stream brings a chunk every 100 ms, and as soon as one ends its client asks for the next.
First all ten tenants have equally many clients, then one has four fifths of them and the nine
others the rest; last, the same clients want a deployment that works on 50 calls at once, a chunk
every 30 ms.

`kb_a_stream` is what the gateway's process has grown by for each stream. `jain_index` is Jain's
index of what each tenant got of what it is entitled to, 1 where all got as much and 1/tenants
where one got everything (Jain, Chiu and Hawe 1984): `_unequal` while there is room for all,
`_saturated` where there is not. The last line is JSON.
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
from benchmarks.gatewaying.ours import FULL, PLACES, TENANTS
from benchmarks.gatewaying.upstream import AT_ONCE, SLOW
from benchmarks.relaying.processes import Child, child

RAMP_S = 2.0
SAMPLE_S = 0.5
FIRST_S = 4.0
"""Longer than the streams of those who came first, before anybody had to wait."""
CROWD = 0.8
"""The share of the clients that one tenant has."""
KEYS = list(TENANTS.values())


class Streams:
    """The gateway, its provider and the load."""

    def __init__(self, options: argparse.Namespace, stack: ExitStack) -> None:
        self._seconds: float = options.seconds
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        log = stack.enter_context((folder / "log").open("w"))
        if options.mock:
            upstream = stack.enter_context(foreign.mock(options.mock)).address
        else:
            provider = stack.enter_context(child("benchmarks.gatewaying.upstream"))
            upstream = provider.answer()["address"]
        self._load = stack.enter_context(child("benchmarks.gatewaying.clients"))
        data = str(folder / "data")
        ours = child("benchmarks.gatewaying.ours", data, upstream, errors=log)
        self.gateway: Child = stack.enter_context(ours)
        address = self.gateway.answer()["address"]
        self._order = {"kind": "grpc", "address": address, "stream": True}
        few = dict.fromkeys(KEYS, 3)
        self._load.ask(model=AT_ONCE, clients=few, seconds=0.5, **self._order)
        self.idle_kb = self.gateway.resident_kb()
        self.samples: list[int] = []
        self.cpu_share = 0.0

    def run(
        self, clients: Mapping[str, int], model: str = SLOW, settle_s: float = RAMP_S
    ) -> tuple[list[int], float]:
        """What each tenant got, and messages a second; what the process took stands in `self`."""
        times = {"ramp_s": RAMP_S, "settle_s": settle_s, "seconds": settle_s + self._seconds}
        self._load.send(model=model, clients=clients, cut=True, **times, **self._order)
        time.sleep(settle_s)
        cpu_before, self.samples = self.gateway.cpu_s(), []
        began = time.monotonic()
        while not self.samples or time.monotonic() < began + self._seconds - SAMPLE_S:
            self.samples.append(self.gateway.resident_kb())
            time.sleep(SAMPLE_S)
        self.cpu_share = (self.gateway.cpu_s() - cpu_before) / (time.monotonic() - began)
        seen = self._load.answer()
        return [seen["by_key"].get(key, 0) for key in clients], seen["messages"] / seen["wall_s"]


def measure(options: argparse.Namespace) -> dict[str, float]:
    """Run the streams for so long, and look at the gateway's process meanwhile."""
    with ExitStack() as stack:
        streams = Streams(options, stack)
        each = max(1, options.streams // len(KEYS))
        equal, a_second = streams.run(dict.fromkeys(KEYS, each))
        count = each * len(KEYS)
        grown = [(kb - streams.idle_kb) / count for kb in streams.samples]
        cpu_share = streams.cpu_share
        clients = _unequal(options.streams)
        unequal, _ = streams.run(clients)
        saturated, _ = streams.run(clients, FULL, RAMP_S + FIRST_S)
        all_of_them = sum(clients.values())
        return {
            "streams": count,
            "tenants": len(KEYS),
            "idle_mb": round(streams.idle_kb / 1024, 1),
            "kb_a_stream": round(median(grown), 1),
            "most_kb_a_stream": round(max(grown), 1),
            "most_kb_a_stream_saturated": round(
                (max(streams.samples) - streams.idle_kb) / all_of_them, 1
            ),
            "jain_index": round(jain_index(equal), 4),
            "jain_index_unequal": round(_index(unequal, clients, all_of_them), 4),
            "jain_index_saturated": round(_index(saturated, clients, min(PLACES, all_of_them)), 4),
            "messages_per_s": round(a_second, 1),
            "cpu_share": round(cpu_share, 3),
        }


def _unequal(streams: int) -> dict[str, int]:
    """So many clients, four fifths of them the first tenant's."""
    others = max(1, round(streams * (1 - CROWD) / (len(KEYS) - 1)))
    small = dict.fromkeys(KEYS[1:], others)
    return {KEYS[0]: max(1, streams - sum(small.values())), **small}


def _index(got: Sequence[int], clients: Mapping[str, int], places: float) -> float:
    """Jain's index of what each got of its fair share of so many places."""
    entitled = fair_shares({key: float(count) for key, count in clients.items()}, places)
    return jain_index([each / entitled[key] for each, key in zip(got, clients, strict=True)])


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
